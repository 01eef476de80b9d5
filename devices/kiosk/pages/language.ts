import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { catalogueOf, directionOf, gettext, gettextIn, speak } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";
import { openingLine } from "./opening.ts";

/** By the language's own name, never a flag; the choice holds for one visitor. */
export function languagePage(kiosk: Kiosk): Page {
  const choices = kiosk.languages.map((language) =>
    element(
      "button",
      {
        class: "choice",
        type: "button",
        lang: language,
        dir: directionOf(language),
        "data-language": language,
        onclick: () => {
          speak(language);
          kiosk.go(kiosk.offer?.registers_visits === false ? "directions" : "start");
        },
      },
      element(
        "span",
        { class: "words" },
        element("strong", {}, catalogueOf(language).name),
        element("span", {}, gettextIn(language, "Tap here to begin")),
      ),
      icon("forward"),
    ),
  );
  return {
    question: gettext("Welcome"),
    lead: openingLine(kiosk),
    body: [element("div", { class: "choices", "data-many": choices.length > 4 }, ...choices)],
  };
}
