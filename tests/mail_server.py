"""A real SMTP server for tests: it keeps what it gets, and can be stopped and started on its port."""

import asyncio
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.ports import free_port


class MailServer:
    def __init__(self, port: int, certificates: dict[str, Path] | None = None) -> None:
        """`certificates`, for TLS: as `hub.tls.make_certificates` gives them."""
        self.port = port
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        """Of the envelopes, as long as `mails`."""
        self.refuses: dict[str, str] = {}
        """Recipient → what the server answers."""
        self.hangs: set[str] = set()
        """Recipients to whom it says nothing at all."""
        self.thinks_seconds = 0.0
        """Before it says that it has a mail."""
        self.has_smtputf8 = True
        self.drops = 0
        """So many mails are kept, and the line cut before the answer."""
        self.security = "none"
        """Or `starttls` or `tls`, as in `plugins: notify: mail:`."""
        self._certificates = certificates or {}
        self.password: bytes | None = None
        """None: it wants no login."""
        self._controller: Controller | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.password is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        await asyncio.sleep(self.thinks_seconds)
        assert isinstance(envelope.content, bytes)
        self.recipients += envelope.rcpt_tos
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.drops:
            self.drops -= 1
            server.transport.close()
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.hangs:
            await asyncio.Event().wait()
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def start(self) -> None:
        tls = None
        if self.security != "none":
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self._certificates["server"], self._certificates["server-key"])
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            enable_SMTPUTF8=self.has_smtputf8,
            ssl_context=tls if self.security == "tls" else None,
            tls_context=tls if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            auth_require_tls=self.security == "starttls",  # to aiosmtpd TLS from the beginning is none
            authenticator=self._look_at,
        )
        self._controller.start()

    def _look_at(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=given.login == b"vert" and given.password == self.password, handled=False)

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    @property
    def settings(self) -> dict[str, object]:
        """For `plugins: notify: mail:`."""
        sender = "vert@fjordvik.example"
        return {"host": "127.0.0.1", "port": self.port, "security": self.security, "sender": sender}


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer(free_port())
    server.start()
    yield server
    server.stop()


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
