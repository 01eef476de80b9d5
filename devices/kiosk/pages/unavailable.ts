/** Pages without a service. No language has been chosen, so the text is in two. */

import { element } from "../../web/element.ts";
import { pairingBlock } from "../../web/pairing.ts";
import { directionOf, gettext, gettextIn } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

const SECOND_LANGUAGE = "en";

export function unpairedPage(kiosk: Kiosk): Page {
  return {
    question: gettext("This screen is not set up yet"),
    picture: "pairing",
    lead: gettext("Are you visiting us? Please come to the desk."),
    body: [
      inSecondLanguage("Are you visiting us? Please come to the desk."),
      pairingBlock(kiosk.pairing),
    ],
  };
}

export function outOfOrderPage(): Page {
  return {
    question: gettext("This screen is taking a break"),
    picture: "resting",
    lead: gettext("Please come to the desk, and we will help you there. The screen comes back by itself."),
    body: [
      inSecondLanguage("Please come to the desk, and we will help you there. The screen comes back by itself."),
    ],
  };
}

function inSecondLanguage(message: string): HTMLElement {
  const attributes = { class: "second-language", lang: SECOND_LANGUAGE, dir: directionOf(SECOND_LANGUAGE) };
  return element("p", attributes, gettextIn(SECOND_LANGUAGE, message));
}
