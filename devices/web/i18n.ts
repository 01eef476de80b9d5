/** The page's language: our texts from the catalogues, and the hub's translated texts. */

import catalogues, { type Catalogue } from "catalogues";

import { element } from "./element.ts";

const DEFAULT = "nn";
const ISOLATE = "\u2068";
const END_ISOLATE = "\u2069";
/** Unicode's embeddings, overrides and isolates (UAX #9). The marks U+200E and U+200F turn no letters, and Arabic text needs them. */
const TURNS = /[\u202A-\u202E\u2066-\u2069]/g;

let spoken = DEFAULT;

export function speak(language: string): void {
  spoken = language in catalogues ? language : DEFAULT;
  document.documentElement.lang = spoken;
  document.documentElement.dir = directionOf(spoken);
}

export function spokenLanguage(): string {
  return spoken;
}

/** Those of `languages` that have a catalogue; at least the default. */
export function speakable(languages: string[]): string[] {
  const known = languages.filter((language) => language in catalogues);
  return known.length > 0 ? known : [DEFAULT];
}

export function catalogueOf(language: string): Catalogue {
  const found = catalogues[language] ?? catalogues[DEFAULT];
  if (found === undefined) throw new Error("the build has no catalogue for its default language");
  return found;
}

export function directionOf(language: string): "ltr" | "rtl" {
  return catalogueOf(language).direction;
}

/** `message` in the language of the page, with `{name}` filled in from `values`. */
export function gettext(message: string, values: Record<string, string> = {}): string {
  return gettextIn(spoken, message, values);
}

export function gettextIn(language: string, message: string, values: Record<string, string> = {}): string {
  const catalogue = catalogueOf(language);
  const text = catalogue.messages[message] ?? message;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const given = values[name];
    if (given === undefined) return whole;
    const value = withTurnsShown(given);
    return catalogue.direction === "rtl" ? ISOLATE + value + END_ISOLATE : value;
  });
}

/** A translated text in the page's language, else in the first one it has, marked with that language. */
export function translated(text: Record<string, string>): HTMLElement {
  const language = text[spoken] ? spoken : (Object.keys(text).find((one) => text[one]) ?? spoken);
  const words = withTurnsShown(text[language] ?? "");
  if (language === spoken) return element("span", {}, words);
  return element("span", { lang: language, dir: directionOf(language) }, words);
}

/** A name of a person or a place: no language, and a direction of its own. */
export function nameOf(text: string): HTMLElement {
  return element("bdi", {}, withTurnsShown(text));
}

/** Shows direction characters by their code, so that a name cannot be made to look like another. */
function withTurnsShown(text: string): string {
  return text.replace(TURNS, (turn) => `[U+${turn.charCodeAt(0).toString(16).toUpperCase()}]`);
}
