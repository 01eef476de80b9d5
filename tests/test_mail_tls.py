"""The way to the mail server: STARTTLS and TLS from the beginning, with a certificate and a login, both right and wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.broker.tls import make_certificates
from plugins.notify.config import Mail
from plugins.notify.mail import Letter, UnreachableError, check_login, send
from tests.mail_server import MailServer
from tests.ports import free_port

pytestmark = pytest.mark.parametrize("security", ["starttls", "tls"])


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    return make_certificates(tmp_path / "tls", ["127.0.0.1"])


@pytest.fixture
def trusted(certificates: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the authority stood in the system's store, where OpenSSL looks unless told otherwise."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["ca"]))


@pytest.fixture
def server(security: str, certificates: dict[str, Path]) -> Iterator[MailServer]:
    server = MailServer(free_port(), certificates)
    server.security = security
    server.start()
    yield server
    server.stop()


def settings(server: MailServer, **more: Any) -> Mail:
    return Mail.model_validate(server.settings | more)


def letter() -> Letter:
    return Letter("m", datetime.now(UTC), "Vertskapet", "kari@fjordvik.example", "Du har besøk", "Ola ventar på deg.")


@pytest.mark.usefixtures("trusted")
async def test_a_mail_goes_over_a_way_that_is_protected(server: MailServer) -> None:
    await send(settings(server), letter())
    assert server.recipients == ["kari@fjordvik.example"]
    await check_login(settings(server), 20)


async def test_a_certificate_of_an_unknown_authority_is_refused_and_told(server: MailServer) -> None:
    for way in (send(settings(server), letter()), check_login(settings(server), 20)):
        with pytest.raises(UnreachableError, match=r"certificate that is not trusted here: self-signed certificate"):
            await way
    assert server.mails == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_host_is_refused_and_told(
    server: MailServer, certificates: dict[str, Path]
) -> None:
    server.stop()
    make_certificates(certificates["ca"].parent, ["mail.fjordvik.example"])
    server.start()
    with pytest.raises(UnreachableError, match=r"not trusted here: IP address mismatch"):
        await send(settings(server), letter())
    assert server.mails == []


@pytest.mark.usefixtures("trusted")
async def test_the_login_is_right_or_wrong(server: MailServer, tmp_path: Path) -> None:
    server.stop()
    server.password = "rett æøå".encode()
    server.start()
    secret = tmp_path / "secret"
    account = {"user": "vert", "secret_file": str(secret)}
    secret.write_text("rett æøå\n")
    await send(settings(server, **account), letter())
    assert len(server.mails) == 1
    secret.write_text("feil")
    for way in (send(settings(server, **account), letter()), check_login(settings(server, **account), 20)):
        with pytest.raises(UnreachableError, match=r"does not let us in: 535"):
            await way
    assert len(server.mails) == 1


async def test_a_server_without_protection_gets_neither_password_nor_mail(
    security: str, mail_server: MailServer, tmp_path: Path
) -> None:
    """Somebody between may have taken STARTTLS out of its answer."""
    (tmp_path / "secret").write_text("rett")
    account = {"user": "vert", "secret_file": str(tmp_path / "secret"), "security": security}
    with pytest.raises(UnreachableError, match=r"cannot be reached"):
        await send(settings(mail_server, **account), letter())
    assert mail_server.mails == []
