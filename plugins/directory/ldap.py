"""People in a directory server, by ldap3. Blocking; the service calls it in a thread of its own.

ldap3 2.9.1 is hardly maintained, so that nothing of it shows outside this file. It takes 6 MB: a hub that reads a file
does without.

A referral (RFC 4511 § 4.1.10) is never followed: whoever can write one, or is in the middle of one, would be sent the
reader's password, and ldap3 would send it in clear. A referral is reported with the other server's name.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ldap3 import BASE, NONE, SAFE_SYNC, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from hub.plugin.hooks import Role
from plugins.directory.config import Attributes, DisabledWhen, Ldap
from plugins.directory.entries import DirectoryError, Entry, is_disabled, referral_notice, text_of

Scope = Literal["BASE", "SUBTREE"]

PAGED_RESULTS = "1.2.840.113556.1.4.319"
SIZE_LIMIT_EXCEEDED = 4
REFERRAL = 10
NO_SUCH_OBJECT = 32
INVALID_CREDENTIALS = 49
NO_PEOPLE_THERE = re.compile(r"^ldaps?://[^/]*/(CN=Configuration|DC=(Domain|Forest)DnsZones),", re.IGNORECASE)
"""Referrals that every Active Directory gives for a search from its root, and that contain no people."""


class LdapSource:
    def __init__(self, settings: Ldap, attributes: Attributes, disabled: DisabledWhen) -> None:
        self.referrals: tuple[str, ...] = ()
        self._settings = settings
        self._attributes = attributes
        self._disabled = disabled
        self._is_ldaps = settings.url.startswith("ldaps:")

    def entries(self) -> Iterator[Entry]:
        attributes = sorted({*self._attributes.model_dump().values(), self._disabled.attribute})
        referrals: list[str] = []
        with self._bound() as connection:
            cookie: bytes | None = None
            while True:
                result, found = _searched(
                    connection,
                    self._settings.base,
                    f"(objectClass={escape_filter_chars(self._settings.object_class)})",
                    SUBTREE,
                    attributes=attributes,
                    paged_size=self._settings.page_size,
                    paged_cookie=cookie,
                )
                if result["result"] != 0:
                    raise DirectoryError(f"the search was refused: {result['description']} {result['message']}".strip())
                yield from (_entry(entry) for entry in found if entry["type"] == "searchResEntry")
                referrals += (
                    str(address) for entry in found if entry["type"] == "searchResRef" for address in entry["uri"]
                )
                cookie = result.get("controls", {}).get(PAGED_RESULTS, {}).get("value", {}).get("cookie")
                if not cookie:
                    break
        self.referrals = tuple(address for address in dict.fromkeys(referrals) if not NO_PEOPLE_THERE.match(address))

    def roles(self, name: str, password: str) -> frozenset[Role] | None:
        if not password:
            return None  # RFC 4513 § 5.1.2: an empty password binds as nobody and "succeeds"
        with self._bound() as connection:
            dn = self._dn(connection, name)
            if dn is None:
                return None
            roles = self._roles_of(connection, dn)
        return roles if self._password_is_right(dn, password) else None

    def roles_now(self, name: str) -> frozenset[Role] | None:
        with self._bound() as connection:
            dn = self._dn(connection, name)
            return frozenset() if dn is None else self._roles_of(connection, dn)

    def _roles_of(self, connection: Connection, dn: str) -> frozenset[Role]:
        groups = self._settings.login.groups.items()
        return frozenset(role for role, group in groups if self._is_member(connection, group, dn))

    def _dn(self, connection: Connection, name: str) -> str | None:
        result, found = _searched(
            connection,
            self._settings.base,
            f"(&(objectClass={escape_filter_chars(self._settings.object_class)})"
            f"({self._attributes.login}={escape_filter_chars(name)}))",
            SUBTREE,
            attributes=[self._disabled.attribute],
            size_limit=2,
        )
        if result["result"] not in (0, SIZE_LIMIT_EXCEEDED):
            raise DirectoryError(f"the search for a login was refused: {result['description']}")
        entries = [entry for entry in found if entry["type"] == "searchResEntry"]
        if len(entries) != 1 or is_disabled(_entry(entries[0]), self._disabled):
            return None
        return str(entries[0]["dn"])

    def _is_member(self, connection: Connection, group: str, dn: str) -> bool:
        result, found = _searched(connection, group, f"(member={escape_filter_chars(dn)})", BASE, attributes=["1.1"])
        if result["result"] not in (0, NO_SUCH_OBJECT):
            raise DirectoryError(f"the search in {group} was refused: {result['description']}")
        return any(entry["type"] == "searchResEntry" for entry in found)

    def _password_is_right(self, dn: str, password: str) -> bool:
        try:
            with self._bound(dn, password):
                return True
        except WrongPasswordError:
            return False

    def _server(self) -> Server:
        """A new one each time: ldap3 remembers for a while that a server was away, and does not look again."""
        settings, parts = self._settings, urlsplit(self._settings.url)
        return Server(
            parts.hostname or "",
            port=parts.port or (636 if self._is_ldaps else 389),
            use_ssl=self._is_ldaps,
            tls=CheckedTls(settings.ca_file),
            get_info=NONE,
            connect_timeout=settings.timeout_seconds,
        )

    @contextmanager
    def _bound(self, dn: str | None = None, password: str | None = None) -> Iterator[Connection]:
        settings = self._settings
        try:
            connection = _Connection(
                self._server(),
                user=dn or settings.bind_dn,
                password=password or settings.secret_file.read_text().strip(),
                client_strategy=SAFE_SYNC,
                receive_timeout=settings.timeout_seconds,
                read_only=True,
                auto_referrals=False,
            )
            try:
                connection.open()
                if not self._is_ldaps:
                    connection.start_tls()
                good, result, _, _ = connection.bind()
                _must_not_refer(result)
                if not good:
                    failure = WrongPasswordError if result["result"] == INVALID_CREDENTIALS else DirectoryError
                    raise failure(f"{settings.url} refuses the login: {result['description']}")
                yield connection
            finally:
                with suppress(LDAPException, OSError):  # the original error is more useful
                    connection.unbind()
                connection.socket = None
        except (LDAPException, OSError) as error:
            raise DirectoryError(f"{settings.url}: {error}") from error


class CheckedTls(Tls):
    """TLS by a context that checks the certificate and the server's name, also one that is an IP address.

    ldap3 checks names by itself: by what Python 3.12 removed, and after that by a copy that knows no addresses. Not
    `ssl.create_default_context`, which in Python 3.13 refuses home-made authorities (VERIFY_X509_STRICT).
    """

    def __init__(self, ca_file: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED, ca_certs_file=str(ca_file) if ca_file else None)

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks both
        if self.ca_certs_file:
            context.load_verify_locations(self.ca_certs_file)
        else:
            context.load_default_certs()
        connection.socket = context.wrap_socket(
            connection.socket, do_handshake_on_connect=do_handshake, server_hostname=connection.server.host
        )


class _Connection(Connection):
    """Closes a replaced socket: ldap3 leaves sockets that did not connect to the garbage collector."""

    _socket: Any = None

    @property
    def socket(self) -> Any:
        return self._socket

    @socket.setter
    def socket(self, new: Any) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = new


class WrongPasswordError(DirectoryError):
    """The directory rejected the password."""


def _searched(connection: Connection, base: str, filter_: str, scope: Scope, **more: Any) -> tuple[Any, list[Any]]:
    """The result and the entries. Raises DirectoryError for a referral."""
    _, result, found, _ = connection.search(base, filter_, scope, **more)
    _must_not_refer(result)
    return result, found or []


def _must_not_refer(result: Any) -> None:
    if result["result"] == REFERRAL:
        raise DirectoryError(
            referral_notice([str(address) for address in result.get("referrals") or ["another server"]])
        )


def _entry(found: Mapping[str, Mapping[str, list[bytes]]]) -> Entry:
    return {name.lower(): [text_of(value) for value in values] for name, values in found["raw_attributes"].items()}
