/** Danger notices fill the screen, one at a time, with text of at least a twentieth of the height. */

import type { Notice } from "../web/contract.ts";
import { element } from "../web/element.ts";
import { icon } from "../web/icon.ts";
import { gettext, speakable, translated } from "../web/i18n.ts";

const TURN_MS = 8_000;
const MAX_PARTS = 12;
const STEPS = 20;

/** One picture of the screen: a notice, in a language that it is written in, and a part of its text. */
export interface Picture {
  notice: Notice;
  language: string;
  part: number;
  parts: number;
}

/** Every notice in every language that it is written in, in as many parts as its text takes. */
export function picturesOf(
  notices: Notice[],
  languages: string[],
  partsOf: (notice: Notice, language: string) => number,
): Picture[] {
  return notices.flatMap((notice) =>
    writtenIn(notice, languages).flatMap((language) => {
      const parts = partsOf(notice, language);
      return Array.from({ length: parts }, (_, part) => ({ notice, language, part, parts }));
    }),
  );
}

/** A function of the time alone, so that a reload changes nothing. */
export function pictureAt(elapsedMs: number, pictures: Picture[]): Picture | undefined {
  return pictures[Math.floor(elapsedMs / TURN_MS) % pictures.length];
}

export function takeoverSection({ notice, part, parts }: Picture): HTMLElement {
  const text = translated(notice.text);
  if (parts > 1) text.textContent = partOf(text.textContent ?? "", part, parts);
  return element(
    "section",
    { class: "takeover", "data-section": "takeover", "data-notice": notice.id, role: "alert" },
    element("p", { class: "kind" }, icon("warning"), gettext("Important")),
    element("h2", {}, translated(notice.title)),
    text.textContent ? element("p", { class: "text" }, text) : null,
  );
}

/** The fewest parts in which the text fits; `fits` renders one and measures it. */
export function fewestParts(fits: (part: number, parts: number) => boolean): number {
  for (let parts = 1; parts < MAX_PARTS; parts += 1) {
    let part = 0;
    while (part < parts && fits(part, parts)) part += 1;
    if (part === parts) return parts;
  }
  return MAX_PARTS;
}

/** As large as there is room for (`--room` from 1 to 0); false when even the smallest type is too large. */
export function enlarge(section: HTMLElement): boolean {
  for (let step = STEPS; step >= 0; step -= 1) {
    section.style.setProperty("--room", (step / STEPS).toFixed(2));
    section.toggleAttribute("data-tight", step === 0); // the longest word may be broken now
    if (section.scrollHeight <= section.clientHeight && section.scrollWidth <= section.clientWidth) return true;
  }
  return false;
}

/** The languages of the site, of which it has a title; the first when it has one in none of them. */
function writtenIn(notice: Notice, languages: string[]): string[] {
  const known = speakable(languages);
  const written = known.filter((language) => notice.title[language]);
  return written.length > 0 ? written : known.slice(0, 1);
}

/** About as many letters in each, and no word in two. */
function partOf(text: string, part: number, parts: number): string {
  const chosen: string[] = [];
  let letters = 0;
  for (const word of text.split(" ")) {
    if (Math.min(Math.floor((letters * parts) / (text.length + 1)), parts - 1) === part) chosen.push(word);
    letters += word.length + 1;
  }
  return `${part > 0 ? "… " : ""}${chosen.join(" ")}${part < parts - 1 ? " …" : ""}`;
}
