"""Where one comes to after the login, and after another language was chosen."""

from collections.abc import AsyncIterator
from itertools import product

import aiohttp
import pytest_asyncio

from hub.hub import Hub
from tests.api_client import PASSWORD


@pytest_asyncio.fixture
async def nobody(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Origin": hub.settings.web.address}
    async with aiohttp.ClientSession(hub.settings.web.address, headers=headers) as session:
        yield session


ELSEWHERE = (
    "/\t/evil.example/x",
    "\t/x",
    "//evil.example",
    "/\\evil.example",
    "/a\\b",
    "/\n/evil",
    "/x\r\ny: z",
    " /",
    "x",
    "",
)


async def test_nobody_is_sent_to_another_site(hub: Hub, nobody: aiohttp.ClientSession) -> None:
    await hub.accounts.put("nokon", PASSWORD, frozenset({"it"}), "test")
    for path, to in product(("/language", "/login"), ELSEWHERE):
        form = {"name": "nokon", "password": PASSWORD, "language": "nn", "to": to}
        answer = await nobody.post(path, data=form, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/"), (path, to)


async def test_one_comes_back_to_the_page_that_was_asked_for(nobody: aiohttp.ClientSession) -> None:
    form = {"language": "nn", "to": "/found?q=lås%20a&b=//x"}
    assert (await nobody.post("/language", data=form, allow_redirects=False)).headers["Location"] == form["to"]


async def test_wrong_passwords_of_others_keep_nobody_out(hub: Hub) -> None:
    """One who tries a name without end, and its owner in a browser of theirs, at the same address."""
    address = hub.settings.web.address
    await hub.accounts.put("kari", PASSWORD, frozenset({"it"}), "test")
    jar = aiohttp.CookieJar(unsafe=True)
    headers = {"Origin": address}
    async with (
        aiohttp.ClientSession(headers=headers, cookie_jar=jar) as owner,
        aiohttp.ClientSession(headers=headers) as attacker,
    ):

        async def tried(session: aiohttp.ClientSession, name: str, password: str) -> int:
            form = {"name": name, "password": password}
            async with session.post(f"{address}/login", data=form, allow_redirects=False) as answer:
                return answer.status

        assert await tried(owner, "kari", PASSWORD) == 303
        await owner.post(f"{address}/logout")
        answers = [await tried(attacker, "Kari", f"feil {n}") for n in range(12)]
        assert answers[0] == 403
        assert answers[-1] == 429
        assert await tried(attacker, "kari", PASSWORD) == 429
        assert await tried(owner, "kari", "feil") == 403
        assert await tried(owner, "kari", PASSWORD) == 303
        page = await (await owner.get(f"{address}/devices")).text()
        assert "9 feil passord" in page  # the first of ten tries from this address was the owner, as a stranger
        await owner.post(f"{address}/login/seen")
        assert "feil passord" not in await (await owner.get(f"{address}/devices")).text()
        assert [await tried(owner, "kari", "feil") for _ in range(12)][-1] == 429
        jar.update_cookies({"kommunevert_browser": "x.y.z"})
        assert await tried(owner, "kari", PASSWORD) == 429  # a cookie that nobody signed is a stranger's


async def test_a_known_browser_is_known_for_its_owner_only(hub: Hub) -> None:
    address = hub.settings.web.address
    for name in ("kari", "ola"):
        await hub.accounts.put(name, PASSWORD, frozenset({"it"}), "test")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(headers={"Origin": address}, cookie_jar=jar) as kari:
        form = {"name": "kari", "password": PASSWORD}
        assert (await kari.post(f"{address}/login", data=form, allow_redirects=False)).status == 303
        wrong = {"name": "ola", "password": "feil"}
        statuses = [(await kari.post(f"{address}/login", data=wrong)).status for _ in range(12)]
        assert statuses[-1] == 429
        assert (await kari.post(f"{address}/login", data=form, allow_redirects=False)).status == 303
