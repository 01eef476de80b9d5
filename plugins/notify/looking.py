"""What `kommunevert check` finds out about the way for mails: what is odd, and whether the server lets us in."""

from collections.abc import Iterator

from hub.plugin import Remark
from plugins.notify import mail
from plugins.notify.config import Mail, Settings

SUBMISSION, SUBMISSIONS, RELAY = 587, 465, 25
TRY_SECONDS = 20.0


async def look_over(settings: Settings, *, trying: bool) -> list[Remark]:
    """The server is asked only when `trying`."""
    if settings.mail is None:
        return []
    found = list(_odd(settings.mail))
    if trying:
        try:
            await mail.try_out(settings.mail, TRY_SECONDS)
        except (mail.NotReachedError, OSError) as error:
            found.append(Remark(("mail", "host"), str(error)))
    return found


def _odd(one: Mail) -> Iterator[Remark]:
    if one.port == SUBMISSIONS and one.security == "starttls":
        yield Remark(("mail", "port"), "465 is mostly for `security: tls`; STARTTLS is mostly on 587", is_hint=True)
    if one.port == SUBMISSION and one.security == "tls":
        yield Remark(("mail", "port"), "587 is mostly for `security: starttls`; TLS is mostly on 465", is_hint=True)
    if one.port == RELAY and one.user is not None:
        yield Remark(("mail", "port"), "on 25 mail servers mostly take no login; on 587 they do", is_hint=True)
    if one.user is None and one.secret_file is not None:
        yield Remark(("mail", "secret_file"), "is not used without `user`", is_hint=True)
    if one.user is not None and one.security == "none":
        yield Remark(("mail", "security"), "the password of `user` goes in clear over the network", is_hint=True)
