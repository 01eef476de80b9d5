"""The mails of the demo's mailbox, in memory: the last MAX_KEPT, with bounded texts."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

MAX_KEPT = 200
MAX_TEXT = 50_000

Callback = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Mail:
    """As it came in. `sender` and `recipients` are the envelope's, not what the header says."""

    id: int
    received_at: datetime
    sender: str
    recipients: list[str]
    subject: str
    text: str
    attachments: list[str] = field(default_factory=list)


class Mailbox:
    """Received mails. `on_change` callbacks are called after each new mail."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=MAX_KEPT)
        self._count = 0
        self.on_change: set[Callback] = set()

    def newest_first(self) -> list[Mail]:
        return list(reversed(self._mails))

    def __len__(self) -> int:
        return len(self._mails)

    def put(self, sender: str, recipients: list[str], raw: bytes) -> Mail:
        """Parse and store a mail; one that cannot be parsed is stored as its raw text."""
        self._count += 1
        subject, text, attachments = _read(raw)
        mail = Mail(self._count, datetime.now(UTC), sender, recipients, subject, text[:MAX_TEXT], attachments)
        self._mails.append(mail)
        for callback in list(self.on_change):
            callback()
        return mail


def _read(raw: bytes) -> tuple[str, str, list[str]]:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 (for the type checker: this policy makes these)
    try:
        subject = str(message.get("subject", ""))
        attachments = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
        return subject, _text(message), attachments
    except (LookupError, ValueError, KeyError, AttributeError, TypeError):
        return "", raw.decode(errors="replace"), []


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    content = str(body.get_content())
    if body.get_content_subtype() != "html":
        return content.replace("\r\n", "\n")
    reader = _Words()
    reader.feed(content)
    return "".join(reader.words).strip()


class _Words(HTMLParser):
    """The visible text of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style"}
        if tag in {"p", "br", "div", "li", "tr", "h1", "h2", "h3"}:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if self._silent <= 0:
            self.words.append(data)
