"""`kommunevert check` for mail: unusual settings, and whether the server accepts the login."""

from collections.abc import Iterator

from hub.plugin import Remark
from plugins.notify import mail
from plugins.notify.config import Mail, Settings

SUBMISSION, SUBMISSIONS, RELAY = 587, 465, 25
TRY_SECONDS = 20.0


async def check_mail(settings: Settings, *, trying: bool) -> list[Remark]:
    """Connects to the server only when `trying`."""
    if settings.mail is None:
        return []
    found = list(_odd(settings.mail))
    if trying:
        try:
            await mail.check_login(settings.mail, TRY_SECONDS)
        except (mail.UnreachableError, OSError) as error:
            found.append(Remark(("mail", "host"), str(error)))
    return found


def _odd(mail_settings: Mail) -> Iterator[Remark]:
    if mail_settings.port == SUBMISSIONS and mail_settings.security == "starttls":
        yield Remark(("mail", "port"), "465 is mostly for `security: tls`; STARTTLS is mostly on 587", is_hint=True)
    if mail_settings.port == SUBMISSION and mail_settings.security == "tls":
        yield Remark(("mail", "port"), "587 is mostly for `security: starttls`; TLS is mostly on 465", is_hint=True)
    if mail_settings.port == RELAY and mail_settings.user is not None:
        yield Remark(("mail", "port"), "on 25 mail servers mostly take no login; on 587 they do", is_hint=True)
    if mail_settings.user is None and mail_settings.secret_file is not None:
        yield Remark(("mail", "secret_file"), "is not used without `user`", is_hint=True)
    if mail_settings.user is not None and mail_settings.security == "none":
        yield Remark(("mail", "security"), "the password of `user` goes in clear over the network", is_hint=True)
