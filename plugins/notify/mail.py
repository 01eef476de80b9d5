"""Mail by SMTP: RFC 5321 with its time limits, RFC 6531 for other letters, RFC 3463 for what a server answers."""

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from re import match

import aiosmtplib

from hub.plugin.settings import usable_address
from plugins.notify.config import Mail

COMMAND_SECONDS = 300.0
DATA_SECONDS = 600.0
"""RFC 5321, 4.5.3.2: five minutes for the greeting and each command, ten for a mail that is handed over. A shorter
limit sends the mail twice."""
PERMANENT = 500
MAILBOX_FULL = 552
"""RFC 5321, 4.5.3.1.10: to be treated as 452, for now."""


class UnreachableError(Exception):
    """The server cannot be reached or refuses the login, so no message can be sent."""


class TemporaryError(Exception):
    """Not accepted this time; worth a retry."""


class PermanentError(Exception):
    """Rejected for good: a retry does not help."""


@dataclass(frozen=True)
class Letter:
    """A mail. `id` gives the same Message-ID to all tries, so that duplicates can be recognised."""

    id: str
    made_at: datetime
    sender_name: str
    to: str
    subject: str
    text: str


async def send(settings: Mail, letter: Letter) -> None:
    """Returns when the server has accepted it.

    Raises UnreachableError, TemporaryError or PermanentError; their texts contain no addresses.
    """
    try:
        to, sender = usable_address(letter.to), usable_address(settings.sender)
    except ValueError:
        raise PermanentError("the address cannot be used") from None
    needs_utf8 = not (to + sender).isascii()
    client = await _connected(settings)
    try:
        if needs_utf8 and not client.supports_extension("smtputf8"):
            raise PermanentError("the mail server takes only English letters in addresses (it has no SMTPUTF8)")
        options = ["SMTPUTF8", "BODY=8BITMIME"] if needs_utf8 else []
        content = _message(letter, sender, to).as_bytes(policy=SMTPUTF8 if needs_utf8 else SMTP)
        await client.mail(sender, options=options, encoding="utf-8", timeout=COMMAND_SECONDS)
        await client.rcpt(to, encoding="utf-8", timeout=COMMAND_SECONDS)
        await client.data(content, timeout=DATA_SECONDS)
    except aiosmtplib.SMTPSenderRefused as error:  # ours, and so the same for every message: set, or let in, otherwise
        raise TemporaryError(f"the mail server refuses the sender: {_code(error)}") from None
    except aiosmtplib.SMTPResponseException as error:
        what = f"the mail server answers {_code(error)}"
        if error.code >= PERMANENT and error.code != MAILBOX_FULL:
            raise PermanentError(what) from None
        raise TemporaryError(what) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TemporaryError(f"the mail server fell silent ({type(error).__name__})") from None
    finally:
        client.close()


async def check_login(settings: Mail, seconds: float) -> None:
    """Connect and log in without sending. Raises UnreachableError or OSError (the file with the password)."""
    try:
        async with asyncio.timeout(seconds):
            client = await _connected(settings)
    except TimeoutError:
        raise UnreachableError(f"{settings.host}:{settings.port} has not answered within {seconds:g} s") from None
    client.close()


async def _connected(settings: Mail) -> aiosmtplib.SMTP:
    """Raises UnreachableError."""
    place = f"{settings.host}:{settings.port}"
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
        username=settings.user,
        password=settings.secret_file.read_text().strip() if settings.secret_file else None,
        timeout=COMMAND_SECONDS,
    )
    try:
        await client.connect()
        await client.ehlo(timeout=COMMAND_SECONDS)
    except aiosmtplib.SMTPResponseException as error:
        client.close()
        raise UnreachableError(f"{place} does not let us in: {_code(error)}") from None
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        if (why := _certificate_refused(error)) is not None:
            raise UnreachableError(f"{place} has a certificate that is not trusted here: {why}") from None
        raise UnreachableError(f"{place} cannot be reached ({type(error).__name__})") from None
    return client


def _certificate_refused(error: BaseException | None) -> str | None:
    """OpenSSL's message if the certificate was rejected, anywhere in the chain of causes."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _message(letter: Letter, sender: str, to: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address(letter.sender_name, *_parts(sender))
    message["To"] = Address("", *_parts(to))
    message["Subject"] = letter.subject
    message["Date"] = letter.made_at
    name = hashlib.sha256(letter.id.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers
    message.set_content(letter.text)
    return message


def _parts(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain


def _code(error: aiosmtplib.SMTPResponseException) -> str:
    """The status codes alone: the server's text may repeat the address."""
    enhanced = match(r"[245]\.\d{1,3}\.\d{1,3}", error.message)
    return f"{error.code} {enhanced.group()}" if enhanced else str(error.code)
