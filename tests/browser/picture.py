"""`python -m tests.browser.picture`: the picture in the README, from the pictures that `test_looks.py` has taken."""

import asyncio
from base64 import b64encode
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.chromium import ARGUMENTS
from tests.browser.looks import PICTURES
from tests.conftest import needs

TARGET = Path(__file__).parents[2] / "docs" / "picture.png"
PARTS = {
    "screen": "screen/wall-nn-danger",
    "kiosk": "kiosk/tablet-nn/02-start",
    "doors": "console/small-phone-nn/doors-caretaker",
}
STYLE = """
body { margin: 0; width: 1600px; height: 860px; position: relative;
       background: linear-gradient(160deg, #dce9f2, #f6f8fa); }
div { position: absolute; overflow: hidden; border: 10px solid #16222e; background: #16222e;
      box-shadow: 0 18px 40px rgb(0 30 60 / 28%); }
img { display: block; width: 100%; }
.screen { inset: 60px auto auto 40px; width: 880px; border-radius: 14px; }
.kiosk { inset: 215px auto auto 770px; width: 420px; border-width: 16px; border-radius: 28px; }
.doors { inset: 90px auto auto 1268px; width: 280px; height: 620px; border-radius: 32px; }
"""


async def compose() -> None:
    images = "".join(
        f'<div class="{name}"><img src="data:image/png;base64,'
        f'{b64encode((PICTURES / f"{file}.png").read_bytes()).decode()}"></div>'
        for name, file in PARTS.items()
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=needs("chromium"), args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1600, "height": 860})
        await page.set_content(f"<style>{STYLE}</style>{images}")
        TARGET.parent.mkdir(exist_ok=True)
        await page.screenshot(path=TARGET)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(compose())
