"""Sets a page's clock, as somebody sets a tablet's: what is measured by `performance.now` notices nothing."""

from playwright.async_api import Page

SET = """seconds => {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) {
      if (given.length > 0) super(...given);
      else super(Real.now() + seconds * 1000);
    }
    static now() { return Real.now() + seconds * 1000; }
  };
}"""


async def set_clock(page: Page, seconds: float) -> None:
    await page.evaluate(SET, seconds)
