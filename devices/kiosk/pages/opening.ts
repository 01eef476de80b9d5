import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { openingAt } from "../../web/opening.ts";
import { changeWords, stateWords } from "../../web/opening_words.ts";
import { siteTime } from "../../web/site_clock.ts";
import { spokenLanguage } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";

/** "Open now · closes at 15:30", by the kiosk's own clock; null without opening hours. */
export function openingLine(kiosk: Kiosk): HTMLElement | null {
  const words = openingWords(kiosk);
  if (words === "") return null;
  return element("span", { class: "opening" }, icon("clock"), element("span", { id: "opening" }, words));
}

/** Updates the line on an open page. */
export function showOpening(kiosk: Kiosk): void {
  const line = document.getElementById("opening");
  const words = openingWords(kiosk);
  if (line !== null && line.textContent !== words) line.textContent = words;
}

function openingWords({ offer }: Kiosk): string {
  const week = offer?.hours ?? [];
  if (week.length === 0) return "";
  const now = siteTime(new Date(), offer?.time_zone ?? "");
  const opening = openingAt(now, { week, otherDays: offer?.other_days ?? [] });
  const change = changeWords(opening);
  const continued = change.charAt(0).toLocaleLowerCase(spokenLanguage()) + change.slice(1);
  return [stateWords(opening), continued].filter(Boolean).join(" · ");
}
