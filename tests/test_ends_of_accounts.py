"""A login ends when its reason ends: a new password or role, a removed or shut account, a group that was left."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE

from hub.accounts.accounts import LastAccountError, UnknownAccountError
from hub.hub import Hub
from hub.store.store import now
from tests.api_client import PASSWORD, actions, browser, program
from tests.conftest import running_hub, until_async
from tests.directory_server import DirectoryServer, slapd
from tests.test_directory import as_admin, changed, ldap_settings, plugin

__all__ = ["slapd"]

IT = frozenset({"it"})


async def status(session: aiohttp.ClientSession, hub: Hub, path: str = "/devices") -> int:
    headers = {"Accept": "text/html"}
    async with session.get(f"{hub.settings.web.address}{path}", headers=headers, allow_redirects=False) as answer:
        return answer.status


async def test_a_new_password_or_role_ends_sessions(hub: Hub) -> None:
    async with browser(hub, "it") as it:
        assert await status(it, hub) == 200
        await hub.accounts.put("nokon", "eit anna passord", IT, "test")
        assert await status(it, hub) == 303


async def test_who_is_removed_or_shut_is_out_at_once(hub: Hub) -> None:
    await hub.accounts.put("eigar", PASSWORD, IT, "test")
    for end in ("shut", "remove"):
        async with browser(hub, "it") as it:
            assert await status(it, hub) == 200
            stream = await it.get(f"{hub.settings.web.address}/live")
            if end == "shut":
                await hub.accounts.shut("nokon", "test", is_shut=True)
            else:
                await hub.accounts.remove("nokon", "test")
            assert await status(it, hub) == 303
            assert await hub.accounts.check("nokon", PASSWORD) is None
            stream.close()
    with pytest.raises(UnknownAccountError):
        await hub.accounts.remove("nokon", "test")
    with pytest.raises(LastAccountError):
        await hub.accounts.remove("eigar", "test")
    with pytest.raises(LastAccountError):
        await hub.accounts.shut("eigar", "test", is_shut=True)
    assert {"account.removed", "account.shut"} <= {action for _, action in await actions(hub)}


async def test_a_stream_ends_with_its_session(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.stream_access.CHECK_SECONDS", 0.0)
    _, secret = await hub.tokens.make("lyttar", frozenset({"events:read"}), "test")
    address = hub.settings.web.address
    async with browser(hub, "it") as it, aiohttp.ClientSession() as listener:
        live = await it.get(f"{address}/live")
        entities = await it.get(f"{address}/entities/stream")
        bearer = {"Authorization": f"Bearer {secret}"}
        events = await listener.get(f"{address}/api/v1/events", headers=bearer)
        await hub.accounts.put("nokon", "eit anna passord", IT, "test")
        await hub.tokens.revoke((await hub.tokens.all())[0].id, "test")
        hub.live.touch("devices")
        async with asyncio.timeout(25):
            for stream in (live, events, entities):
                await stream.read()


async def test_accounts_on_the_console(hub: Hub) -> None:
    await hub.accounts.put("gamal", PASSWORD, frozenset({"front_line"}), "test")
    address = hub.settings.web.address
    async with browser(hub, "it") as it:
        page = await (await it.get(f"{address}/logins")).text()
        assert ("Skranke" in page, "front_line" in page) == (True, False)
        assert "gamal" in page
        answer = await it.post(f"{address}/logins/gamal/shut", data={"shut": "yes"})
        assert answer.status == 200, await answer.text()
        assert [one.is_shut for one in await hub.accounts.all() if one.name == "gamal"] == [True]
        await it.post(f"{address}/logins/gamal/shut", data={"shut": "no"})
        assert await hub.accounts.check("gamal", PASSWORD)
        await it.post(f"{address}/logins/gamal/remove")
        assert [one.name for one in await hub.accounts.all()] == ["nokon"]
        assert (await it.post(f"{address}/logins/nokon/remove")).status == 409
        await it.post(f"{address}/logins/nokon/end")
        assert await status(it, hub) == 303


async def test_accounts_by_command(settings: dict[str, Any], tmp_path: Path) -> None:
    """Beside a hub that runs."""
    async with running_hub(settings, tmp_path) as hub, browser(hub, "it") as it:
        await hub.accounts.put("eigar", PASSWORD, IT, "test")

        async def command(*words: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "hub", "user", *words, "--config", str(tmp_path / "kommunevert.yaml")),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            return (await process.communicate())[0].decode()

        assert await status(it, hub) == 200
        assert "nokon  it\n" in await command("list")
        assert "Disabled: nokon" in await command("disable", "nokon")
        assert "nokon  it  disabled" in await command("list")
        assert await status(it, hub) == 303
        await hub.tokens.make("rapport", frozenset({"devices:read"}), "nokon")
        removed = await command("remove", "nokon")
        assert "Removed: nokon" in removed
        assert "Token revoked: rapport" in removed
        assert "there is no account nokon" in await command("remove", "nokon")
        assert "last account" in await command("disable", "eigar")


async def test_roles_follow_the_directorys_groups(
    settings: dict[str, Any], tmp_path: Path, slapd: DirectoryServer
) -> None:
    slapd.start()
    settings["plugins"]["directory"] = {"source": ldap_settings(slapd, tmp_path)}
    uid, password = next(iter(slapd.passwords.items()))
    group = f"cn=vert-skranke,{slapd.groups}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with running_hub(settings, tmp_path) as hub, aiohttp.ClientSession(cookie_jar=jar) as person:
        address = hub.settings.web.address
        await person.post(f"{address}/login", data={"name": uid, "password": password})
        assert await status(person, hub, "/visits") == 200
        with changed(slapd) as admin:
            admin.modify(f"cn=vert-ikt,{slapd.groups}", {"member": [(MODIFY_ADD, [slapd.dn(uid)])]})
            plugin(hub).directory.request_read(accept_loss=False)
            await until_async(lambda: is_(person, hub, "/devices", 200))
            with slapd.stopped():
                await hub.accounts.refresh_roles()
                assert await status(person, hub) == 200  # what cannot be told stays
            for one in (group, f"cn=vert-ikt,{slapd.groups}"):
                done = admin_of(slapd, one, uid)
                assert done
            plugin(hub).directory.request_read(accept_loss=False)
            await until_async(lambda: is_(person, hub, "/visits", 303))


def admin_of(slapd: DirectoryServer, group: str, uid: str) -> bool:
    with as_admin(slapd) as admin:
        return bool(admin.modify(group, {"member": [(MODIFY_DELETE, [slapd.dn(uid)])]})[0])


async def is_(session: aiohttp.ClientSession, hub: Hub, path: str, wanted: int) -> bool:
    return await status(session, hub, path) == wanted


async def test_what_a_token_made_ends_with_it(hub: Hub) -> None:
    until = now() + timedelta(days=10)
    _, secret = await hub.tokens.make("mor", frozenset({"tokens:write", "devices:read"}), "test", until)
    address = f"{hub.settings.web.address}/api/v1/"
    async with aiohttp.ClientSession(address) as session:

        async def child(of: str, name: str, **more: Any) -> dict[str, Any]:
            wanted = {"name": name, "scopes": ["tokens:write", "devices:read"]} | more
            answer = await session.post("tokens", json=wanted, headers={"Authorization": f"Bearer {of}"})
            assert answer.status == 201
            return dict(await answer.json())

        daughter = await child(secret, "dotter")
        assert daughter["expires_at"] is not None
        later = (until + timedelta(days=300)).isoformat()
        grandchild = await child(daughter["secret"], "dotterdotter", expires_at=later)
        assert grandchild["expires_at"][:19] == until.isoformat()[:19]
        mother = next(one for one in await hub.tokens.all() if one.name == "mor")
        assert await hub.tokens.revoke(mother.id, "test")
        for one in (daughter, grandchild):
            bearer = {"Authorization": f"Bearer {one['secret']}"}
            assert (await session.get("devices", headers=bearer)).status == 401
    async with program(hub) as other:
        assert (await other.get("devices")).status == 200


async def test_what_somebody_made_ends_with_their_account(hub: Hub) -> None:
    """Their tokens and what was made with those; nobody else's."""
    await hub.accounts.put("eigar", PASSWORD, IT, "test")
    scopes = frozenset({"tokens:write", "devices:read"})
    async with browser(hub, "it") as it:
        page = f"{hub.settings.web.address}/tokens"
        await it.post(page, data={"name": "deira", "days": "0", "scope": ["devices:read"]})
        mother, secret = await hub.tokens.make("mor", scopes, "nokon")
        _, child = await hub.tokens.make("dotter", scopes, mother.actor, parent=mother.id)
        _, others = await hub.tokens.make("anna", scopes, "eigar")
        async with it.get(f"{hub.settings.web.address}/logins") as answer:
            assert "deira, mor" in (await answer.text()).replace("mor, deira", "deira, mor")
    assert await hub.accounts.remove("nokon", "test") == ["deira", "mor"]
    for one in (secret, child):
        assert await hub.tokens.verify(one) is None
    assert await hub.tokens.verify(others) is not None
    assert [one.name for one in await hub.tokens.all()] == ["anna"]
