"""What the HTTP API keeps and reads, on both databases: tokens, answers to be given again, pages."""

import asyncio
from base64 import urlsafe_b64decode
from datetime import timedelta

import aiohttp
from sqlalchemy import select

from devices.contract import kiosk as contract
from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from hub.store.tables import api_answer, api_token
from tests.api_client import actions, problem, program
from tests.kiosk_client import KioskClient, a_visit


async def test_nobody_comes_in_without_a_session_or_a_living_token(hub: Hub) -> None:
    token, secret = await hub.tokens.make("gammal", frozenset({"devices:read"}), "test")
    _, expired = await hub.tokens.make("utgått", frozenset({"devices:read"}), "test", now() + timedelta(seconds=0.2))
    address = f"{hub.settings.web.address}/api/v1/devices"
    async with aiohttp.ClientSession() as session:

        async def status(authorization: str | None) -> int:
            headers = {"Authorization": authorization} if authorization else {}
            async with session.get(address, headers=headers) as answer:
                if answer.status == 401:
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                    assert await problem(answer) == "unauthenticated"
                return answer.status

        assert await status(None) == 401
        assert await status("Bearer kv_guessed") == 401
        assert await status(f"Basic {secret}") == 401
        assert await status(f"Bearer {secret}") == 200
        await asyncio.sleep(0.25)
        assert await status(f"Bearer {expired}") == 401
        await hub.tokens.revoke(token.id, "ikt")
        assert await status(f"Bearer {secret}") == 401
    assert ("ikt", "token.revoked") in await actions(hub)


async def test_the_store_has_no_tokens_secret(hub: Hub) -> None:
    _, secret = await hub.tokens.make("prøve", frozenset({"devices:read"}), "test")
    rows = await hub.store.read(lambda connection: list(connection.execute(select(api_token))))
    assert secret not in repr(rows)
    assert secret[3:] not in repr(rows)


async def test_pages_have_everything_once(hub: Hub) -> None:
    for number in range(7):
        await hub.enroller.enrol(f"kiosk-{number}", "kiosk", f"Nettbrett {number}", "", "test")
    async with program(hub) as api:
        seen: list[str] = []
        path: str | None = "/api/v1/devices?limit=3&kind=kiosk"
        while path is not None:
            answer = await api.get(path)
            page = await answer.json()
            seen += [one["id"] for one in page["items"]]
            path = page["next"]
            assert ("next" in answer.links) == (path is not None)
            if len(seen) == 3:
                await hub.enroller.revoke("kiosk-2", "test")  # the cursor's own: nothing shifts
        assert seen == [f"kiosk-{number}" for number in range(7)]
        path, names = "/api/v1/people?limit=1", []
        while path:
            page = await (await api.get(path)).json()
            names += [one["name"] for one in page["items"]]
            path = page["next"]
            if path:
                text = urlsafe_b64decode(path.rpartition("cursor=")[2] + "===").decode()
                assert text == page["items"][0]["id"]  # addresses end up in logs: no names in them
        assert names == sorted(names)
        assert len(names) == 4
        assert await problem(await api.get("devices?cursor=%21")) == "invalid"
        assert await problem(await api.get("audit?cursor=abc")) == "malformed"
        numbers, path = [], "/api/v1/audit?limit=5"
        while path:
            page = await (await api.get(path)).json()
            numbers += [one["id"] for one in page["items"]]
            path = page["next"]
        assert numbers == list(range(await hub.store.read(audit.length), 0, -1))


async def test_the_same_key_does_it_once(hub: Hub) -> None:
    async with program(hub) as api:
        key = {"Idempotency-Key": "ein-nøkkel".encode("ascii", "replace").decode()}
        wanted = {"kind": "kiosk", "name": "Inngangen"}
        first = await api.post("devices", json=wanted, headers=key)
        again = await api.post("devices", json=wanted, headers=key)
        assert (first.status, again.status) == (201, 201)
        assert await first.json() == await again.json()
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"] == "/api/v1/devices/kiosk-1"
        assert len(list(hub.devices)) == 1
        other = await api.post("devices", json=wanted | {"name": "Utgangen"}, headers=key)
        assert await problem(other) == "key-reused"
        secret = (await first.json())["link"].partition("secret=")[2].partition("&")[0]
    rows = await hub.store.read(lambda connection: list(connection.execute(select(api_answer))))
    assert secret.encode() not in b"".join(row.answer for row in rows)
    async with program(hub) as stranger:  # the same key of the same token's name is the same caller's
        await hub.tokens.make("annan", frozenset({"devices:write"}), "test")
        _, secret = await hub.tokens.make("annan", frozenset({"devices:write"}), "test")
        theirs = await stranger.post("devices", json=wanted, headers=key | {"Authorization": f"Bearer {secret}"})
        assert (await theirs.json())["id"] == "kiosk-2"


async def test_what_was_refused_may_be_tried_again_with_the_same_key(hub: Hub, kiosk: KioskClient) -> None:
    kari = (await kiosk.search("kari")).hosts[0]
    visit = a_visit(kari.id)
    async with program(hub) as api:
        key = {"Idempotency-Key": "k1"}
        assert await problem(await api.post(f"visits/{visit.id}/check-out", headers=key)) == "not-found"
        kiosk.say("visit", visit)
        await kiosk.hear(contract.Receipt, of=visit.id)
        assert (await api.post(f"visits/{visit.id}/check-out", headers=key)).status == 200
