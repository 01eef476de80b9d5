"""The directory plugin against a real OpenLDAP: reading, roles, and going on when it is down."""

import gc
import socket
import socketserver
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import ldap3
import pytest
from ldap3 import MODIFY_DELETE, MODIFY_REPLACE, SAFE_SYNC, Connection, Server
from sqlalchemy import text

from hub.hooks.specifications import Login
from hub.hub import Hub
from plugins.directory import Plugin
from plugins.directory.config import Attributes, DisabledWhen, Ldap, Settings
from plugins.directory.entries import DirectoryError, employee_of
from plugins.directory.ldap import LdapSource
from tests.conftest import PERSON_IDS, running_hub, until
from tests.directory_server import DirectoryServer, slapd

__all__ = ["slapd"]

ACTIVE = 143


def ldap_settings(server: DirectoryServer, folder: Path, **changes: Any) -> dict[str, Any]:
    (folder / "directory.secret").write_text(server.bind_password)
    return {
        "kind": "ldap",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "bind_dn": server.bind_dn,
        "secret_file": str(folder / "directory.secret"),
        "base": server.base,
        "page_size": 50,
        "timeout_seconds": 2,
        "login": {
            "groups": {
                "front_line": f"cn=vert-skranke,{server.groups}",
                "caretaker": f"cn=vert-vaktmeister,{server.groups}",
                "it": f"cn=vert-ikt,{server.groups}",
            }
        },
    } | changes


def source(server: DirectoryServer, folder: Path, **changes: Any) -> LdapSource:
    return LdapSource(Ldap.model_validate(ldap_settings(server, folder, **changes)), Attributes(), DisabledWhen())


@pytest.fixture
def settings(settings: dict[str, Any], slapd: DirectoryServer, tmp_path: Path) -> dict[str, Any]:
    slapd.start()
    settings["plugins"]["directory"] = {"source": ldap_settings(slapd, tmp_path), "protected_units": ["Helsestasjon"]}
    return settings


def plugin(hub: Hub) -> Plugin:
    return hub.host.plugins["directory"].instance


@pytest.mark.parametrize("url", ["tls_url", "url"])
def test_ldaps_and_starttls_give_everybody_page_by_page(slapd: DirectoryServer, tmp_path: Path, url: str) -> None:
    """The server gives at most 100 entries without paging."""
    wanted = Settings.model_validate({"source": ldap_settings(slapd, tmp_path)})
    found = [
        employee_of(entry, wanted, PERSON_IDS) for entry in source(slapd, tmp_path, url=getattr(slapd, url)).entries()
    ]
    assert len(found) > 140
    active = [one for one in found if one is not None]
    assert len(found) - len(active) == 6  # the disabled ones
    assert all(one.name and one.unit and one.words for one in active)
    assert any(len(one.tasks) > 1 for one in active)
    assert any("ø" in one.name for one in active)


def test_a_server_that_is_not_ours_is_not_believed(slapd: DirectoryServer, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"(?i)certificate"):
        list(source(slapd, tmp_path, ca_file=None).entries())


@pytest.mark.parametrize("url", ["tls_url", "url"])
def test_a_server_of_another_name_is_not_believed(
    slapd: DirectoryServer, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is for localhost and 127.0.0.1."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more, **named: resolve("127.0.0.1", *more, **named))
    address = getattr(slapd, url)
    assert list(source(slapd, tmp_path, url=address.replace("127.0.0.1", "localhost")).entries())
    for name in ("elsewhere.test", "127.0.0.2"):
        with pytest.raises(DirectoryError, match=r"(?i)certificate"):
            list(source(slapd, tmp_path, url=address.replace("127.0.0.1", name)).entries())


@pytest.mark.parametrize("url", ["tls_url", "url"])
def test_an_address_is_a_name_where_ssl_matches_none(
    slapd: DirectoryServer, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python 3.12 on ldap3 takes its own copy of what `ssl` had, and that knows no addresses."""

    def knows_no_addresses(_certificate: Any, name: str) -> None:
        raise ssl.CertificateError(f"{name} matches nothing")

    monkeypatch.setattr(ldap3.core.tls, "match_hostname", knows_no_addresses)
    assert list(source(slapd, tmp_path, url=getattr(slapd, url)).entries())


def test_a_refused_connection_leaves_no_socket(slapd: DirectoryServer, tmp_path: Path) -> None:
    """They were left to the garbage collector, which complained in whatever test came later."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        with slapd.stopped():
            for host in ("127.0.0.1", "localhost"):
                with pytest.raises(DirectoryError, match="refused"):
                    list(source(slapd, tmp_path, url=slapd.tls_url.replace("127.0.0.1", host)).entries())
        for more in ({"ca_file": None}, {"bind_dn": slapd.dn("nobody")}):
            with pytest.raises(DirectoryError):
                list(source(slapd, tmp_path, **more).entries())
        gc.collect()
    assert not said


def test_a_wrong_password_and_a_wrong_base_are_said(slapd: DirectoryServer, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="invalidCredentials"):
        list(source(slapd, tmp_path, bind_dn=slapd.dn("nobody")).entries())
    with pytest.raises(DirectoryError, match="noSuchObject"):
        list(source(slapd, tmp_path, base="dc=nowhere").entries())


def test_roles_by_group_and_passwords_by_bind(slapd: DirectoryServer, tmp_path: Path) -> None:
    directory = source(slapd, tmp_path)
    *active, (disabled, its_password) = slapd.passwords.items()
    for uid, password in active:
        assert directory.roles(uid, password), uid
        assert directory.roles(uid, "wrong") is None
        assert directory.roles(uid, "") is None
    assert directory.roles(disabled, its_password) is None


@pytest.mark.parametrize("name", ["*", "a*", "*)(uid=*", "\\", "\x00", "(", ""])
def test_a_hostile_name_is_nobody(slapd: DirectoryServer, tmp_path: Path, name: str) -> None:
    assert source(slapd, tmp_path).roles(name, "password") is None


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[bytes]]]:
    """A server that a referral may name: its host and port, and whatever anybody has sent to it."""
    got: list[bytes] = []

    class Noting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(2)
            got.append(b"connected")
            with suppress(OSError):
                got.append(self.request.recv(1000))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Noting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", got
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def referring(slapd: DirectoryServer, dn: str, address: str) -> Iterator[None]:
    """The directory with an entry that refers to another server."""
    with changed(slapd) as admin:
        done = admin.add(dn, ["referral", "extensibleObject"], {"ref": address})
        assert done[0], done[1]
        yield


@contextmanager
def as_admin(slapd: DirectoryServer) -> Iterator[Connection]:
    admin = Connection(Server("127.0.0.1", slapd.port), slapd.admin_dn, slapd.admin_password, client_strategy=SAFE_SYNC)
    admin.open()
    admin.bind()
    try:
        yield admin
    finally:
        admin.unbind()


@contextmanager
def changed(slapd: DirectoryServer) -> Iterator[Connection]:
    """As `as_admin`; everything is as it was afterwards."""
    try:
        with as_admin(slapd) as admin:
            yield admin
    finally:
        slapd.reload()


@pytest.mark.parametrize("url", ["tls_url", "url"])
def test_a_referral_is_told_and_never_followed(slapd: DirectoryServer, tmp_path: Path, url: str) -> None:
    """ldap3 follows them unless it is told not to, and sends the reader's password in clear."""
    unit = f"ou=flytta,{slapd.base}"
    with elsewhere() as (other, got), referring(slapd, unit, f"ldap://{other}/{unit}"):
        with pytest.raises(DirectoryError, match=other):
            list(source(slapd, tmp_path, url=getattr(slapd, url), base=unit).entries())
        with pytest.raises(DirectoryError, match=other):
            source(slapd, tmp_path, url=getattr(slapd, url), base=unit).roles(*next(iter(slapd.passwords.items())))
        groups = {"groups": {"it": unit}}
        with pytest.raises(DirectoryError, match=other):
            source(slapd, tmp_path, login=groups).roles(*next(iter(slapd.passwords.items())))
        assert got == []


async def test_a_part_of_the_directory_that_is_elsewhere_is_told(hub: Hub, slapd: DirectoryServer) -> None:
    """The rest is taken, as before; the settings and name zones of an Active Directory have nobody in them."""
    unit = f"ou=flytta,{slapd.base}"
    with elsewhere() as (other, got), referring(slapd, unit, f"ldap://{other}/{unit}"):
        with as_admin(slapd) as admin:
            zones = {"ref": f"ldap://{other}/DC=ForestDnsZones,{slapd.base}"}
            assert admin.add(f"ou=zones,{slapd.base}", ["referral", "extensibleObject"], zones)[0]
        plugin(hub).directory.request_read(accept_loss=False)
        note = await until(lambda: plugin(hub).directory.note)
        assert f"refers to ldap://{other}/{unit}" in note
        assert "Zones" not in note
        assert plugin(hub).directory.health().problem == note
        assert len(plugin(hub).people) == ACTIVE
        assert got == []
    plugin(hub).directory.request_read(accept_loss=False)
    await until(lambda: plugin(hub).directory.note is None)


async def test_the_hub_goes_on_with_what_it_has(hub: Hub, slapd: DirectoryServer) -> None:
    assert len(plugin(hub).people) == ACTIVE
    for trouble in (slapd.stopped, slapd.frozen):
        with trouble():
            plugin(hub).directory.request_read(accept_loss=False)
            await until(lambda: plugin(hub).directory.problem)
            assert len(plugin(hub).people) == ACTIVE
            assert plugin(hub).directory.read_at is not None
        plugin(hub).directory.request_read(accept_loss=False)
        await until(lambda: plugin(hub).directory.problem is None)


async def test_a_directory_that_was_away_for_a_moment_is_soon_read_again(
    hub: Hub, slapd: DirectoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one that went well, the next try came after `every_minutes` only."""
    monkeypatch.setattr("plugins.directory.service.FIRST_RETRY_SECONDS", 0.1)
    for _ in range(2):
        with slapd.stopped():
            plugin(hub).directory.request_read(accept_loss=False)
            await until(lambda: plugin(hub).directory.problem)
        await until(lambda: plugin(hub).directory.problem is None)


async def test_a_restart_without_the_directory_still_knows_everybody(
    settings: dict[str, Any], tmp_path: Path, slapd: DirectoryServer
) -> None:
    async with running_hub(settings, tmp_path):
        pass
    with slapd.stopped():
        async with running_hub(settings, tmp_path) as hub:
            await until(lambda: plugin(hub).directory.problem)
            assert len(plugin(hub).people) == ACTIVE


async def test_changes_come_and_a_half_empty_directory_is_not_believed(hub: Hub, slapd: DirectoryServer) -> None:
    with changed(slapd) as admin:
        uid = next(iter(slapd.passwords))
        admin.modify(slapd.dn(uid), {"cn": [(MODIFY_REPLACE, ["Heilt Nytt-Namn"])]})
        plugin(hub).directory.request_read(accept_loss=False)
        await until(lambda: plugin(hub).people.hosts("heilt nytt", 5))

        _, _, found, _ = admin.search(slapd.people, "(employeeType=active)", attributes=["1.1"])
        for entry in found[:60]:
            admin.modify(entry["dn"], {"employeeType": [(MODIFY_REPLACE, ["disabled"])]})
        plugin(hub).directory.request_read(accept_loss=False)
        await until(lambda: "60 of 143 people are gone" in (plugin(hub).directory.problem or ""))
        assert len(plugin(hub).people) == ACTIVE
        plugin(hub).directory.request_read(accept_loss=True)
        await until(lambda: len(plugin(hub).people) == ACTIVE - 60)
        admin.modify(slapd.dn(uid), {"mail": [(MODIFY_DELETE, [])]})


async def test_login_to_the_console_with_the_directorys_password(hub: Hub, slapd: DirectoryServer) -> None:
    uid, password = next(iter(slapd.passwords.items()))
    assert await hub.accounts.check(uid, password) == Login(uid, frozenset({"front_line"}), "directory")
    assert await hub.accounts.check(uid, "wrong") is None
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        address = hub.settings.web.address
        answer = await browser.post(f"{address}/login", data={"name": uid, "password": password})
        assert answer.url.path == "/visits"
        assert (await browser.get(f"{address}/plugins", headers={"Accept": "text/html"})).status == 403


async def test_a_local_account_is_not_asked_of_the_directory(hub: Hub, slapd: DirectoryServer) -> None:
    uid, password = next(iter(slapd.passwords.items()))
    await hub.accounts.put(uid, "another password", frozenset({"it"}), "test")
    assert await hub.accounts.check(uid, password) is None


async def test_a_failed_write_ends_neither_the_reading_nor_logins(hub: Hub, slapd: DirectoryServer) -> None:
    """One failed write closed the reader's threads: no reading and no directory login until a restart."""
    uid, password = next(iter(slapd.passwords.items()))
    for _ in range(2):
        await hub.store.write(lambda c: c.execute(text("ALTER TABLE directory_reading RENAME TO directory_away")))
        plugin(hub).directory.request_read(accept_loss=False)
        await until(lambda: "could not be stored" in (plugin(hub).directory.problem or ""))
        assert await hub.accounts.check(uid, password) is not None
        await hub.store.write(lambda c: c.execute(text("ALTER TABLE directory_away RENAME TO directory_reading")))
        await until(lambda: plugin(hub).directory.problem is None)
    assert await hub.accounts.check(uid, password) is not None
    assert hub.host.plugins["directory"].state == "running"


async def test_a_hidden_unit_opens_nothing(hub: Hub, slapd: DirectoryServer) -> None:
    """What the reader's account may not see is not there for it: as a deleted attribute."""
    directory, people = plugin(hub).directory, plugin(hub).people
    nurse = next(one for one in people if one.unit == "Helsestasjon")
    assert people.host(nurse.id) is None
    with changed(slapd) as admin:
        _, _, found, _ = admin.search(slapd.people, "(ou=*)", attributes=["1.1"])
        for entry in found:
            admin.modify(entry["dn"], {"ou": [(MODIFY_DELETE, [])]})
        directory.request_read(accept_loss=False)
        problem = await until(lambda: directory.problem)
        assert "ou is missing from 149 of 149 people" in problem
        assert "protected units" in problem
        assert people.host(nurse.id) is None
        directory.request_read(accept_loss=True)
        await until(lambda: directory.problem is None)


async def test_a_hidden_state_lets_nobody_in(hub: Hub, slapd: DirectoryServer) -> None:
    directory = plugin(hub).directory
    with changed(slapd) as admin:
        _, _, found, _ = admin.search(slapd.people, "(employeeType=*)", attributes=["1.1"])
        for entry in found:
            admin.modify(entry["dn"], {"employeeType": [(MODIFY_DELETE, [])]})
        directory.request_read(accept_loss=False)
        problem = await until(lambda: directory.problem)
        assert "employeeType is missing from 149 of 149 people" in problem
        assert "6 of 6 who were left out are not any more" in problem
        assert len(plugin(hub).people) == ACTIVE


async def test_a_few_changes_of_a_day_are_taken(hub: Hub, slapd: DirectoryServer) -> None:
    directory = plugin(hub).directory
    with changed(slapd) as admin:
        _, _, found, _ = admin.search(slapd.people, "(employeeType=disabled)", attributes=["1.1"])
        for entry in found[:2]:
            admin.modify(entry["dn"], {"employeeType": [(MODIFY_REPLACE, ["active"])]})
        directory.request_read(accept_loss=False)
        await until(lambda: len(plugin(hub).people) == ACTIVE + 2)
        assert directory.problem is None


async def test_a_protected_unit_of_nobody_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["directory"]["protected_units"] = ["helsestasjon ", "Helsestasjonen"]
    async with running_hub(settings, tmp_path) as hub:
        note = await until(lambda: plugin(hub).directory.note)
        assert note == "nobody works in the protected units Helsestasjonen, so that they protect nobody"
        nurse = next(one for one in plugin(hub).people if one.unit == "Helsestasjon")
        assert plugin(hub).people.host(nurse.id) is None


def test_a_group_is_its_whole_dn(slapd: DirectoryServer, tmp_path: Path) -> None:
    wanted = Settings.model_validate({"source": ldap_settings(slapd, tmp_path)})
    entry = {"uid": ["x"], "cn": ["X"], "memberof": ["CN=Vakt\\, natt, OU=Helse,DC=x", "no dn"]}
    found = employee_of(entry, wanted, PERSON_IDS)
    assert found is not None
    assert found.groups == ("CN=Vakt\\, natt,OU=Helse,DC=x",)
