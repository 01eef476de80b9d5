"""How a page looks and whether everybody can use it: a picture, axe, and our own measure of what is touched."""

import os
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

PICTURES = Path(__file__).parents[2] / "test-results"
HAS_PICTURES = bool(os.environ.get("KOMMUNEVERT_PICTURES"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
KIOSK_PX = 48
CONSOLE_PHONE_PX = 44

# axe knows one rule about sizes (24 px, with an exception for spacing). Links inside running text are text.
MEASURE = """least => {
  const root = document.querySelector("dialog[open]") ?? document;
  const isText = (one) => one.matches("a") && one.closest("p, li, small") !== null
    && one.closest("p, li, small").textContent.trim() !== one.textContent.trim();
  const found = [];
  for (const one of root.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    if (!one.checkVisibility({ visibilityProperty: true })) continue;
    if (one.matches(".ds-skip-link") || isText(one)) continue;
    one.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const touched = one.matches("[type=checkbox], [type=radio]") ? one.closest("label") ?? one : one;
    const box = touched.getBoundingClientRect();
    const name = `${one.tagName.toLowerCase()} "${(one.getAttribute("aria-label") ?? one.textContent).trim()}"`;
    if (box.height < least - 0.5) found.push(`${name} is ${box.height.toFixed(1)} px high`);
    const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const isHit = hit !== null && (touched.contains(hit) || hit.contains(touched));
    if (!isHit) found.push(`${name} is covered by ${hit?.outerHTML.slice(0, 80)}`);
  }
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push(`the page is ${width} px wide`);
  scrollTo(0, 0);
  return found;
}"""


async def look(
    page: Page, name: str, *, least_px: int | None = None, is_whole_page: bool = False, has_axe: bool = True
) -> None:
    """Raises AssertionError for what axe or our measure find.

    With KOMMUNEVERT_PICTURES=1 there is a picture of it to look at, `test-results/<name>.png`.
    """
    await page.evaluate("document.fonts.ready.then(() => null)")
    if HAS_PICTURES:
        path = PICTURES / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=path, full_page=is_whole_page)
    found = await violations(page) if has_axe else []
    if least_px is not None:
        found += await page.evaluate(MEASURE, least_px)
    assert not found, f"{name}: " + "\n".join(found)


async def violations(page: Page) -> list[str]:
    answer: dict[str, Any] = (await Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})).response
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}"
        for one in answer["violations"]
        for node in one["nodes"]
    ]
