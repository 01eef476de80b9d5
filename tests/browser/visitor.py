"""What a visitor does at the kiosk, tap by tap."""

from playwright.async_api import Page, expect


async def choose_language(kiosk: Page, language: str = "nn") -> None:
    await kiosk.locator(f"[data-language={language}]").click()


async def choose_host(kiosk: Page, letters: str = "kari", name: str = "Kari Nordmann") -> None:
    await choose_language(kiosk)
    await kiosk.locator("[data-track=search]").click()
    await kiosk.locator("#host").fill(letters)
    await kiosk.locator("[data-host]", has_text=name).click()


async def register(kiosk: Page, visitor: str = "Ola Besøk", company: str = "") -> str:
    """From the welcome to the number, which it returns."""
    await choose_host(kiosk)
    await kiosk.locator("#visitor").fill(visitor)
    await kiosk.locator("#company").fill(company)
    await kiosk.locator("[data-action=register]").click()
    return await number_shown(kiosk)


async def number_shown(kiosk: Page) -> str:
    number = kiosk.locator("[data-number]")
    await expect(number).to_be_visible()
    return (await number.inner_text()).strip()


async def check_out(kiosk: Page, number: str, language: str = "nn") -> None:
    await choose_language(kiosk, language)
    await kiosk.locator("[data-track=checkout]").click()
    for digit in number:
        await kiosk.locator(f"[data-key='{digit}']").click()
    await kiosk.locator("[data-action=check-out]").click()
