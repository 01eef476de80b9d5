"""Each address is one page's: the first that offers it would take it from the other without a word."""

from hub.hub import Hub
from tests.api_client import browser


async def test_the_pages_of_accounts_and_of_gateways_are_two(hub: Hub) -> None:
    async with browser(hub, "it") as it:
        address = hub.settings.web.address
        pages = [await (await it.get(f"{address}{path}")).text() for path in ("/accounts", "/logins")]
        assert "Andre system" in pages[0]
        assert "Kontoar" in pages[1]
        assert "nokon" in pages[1]
