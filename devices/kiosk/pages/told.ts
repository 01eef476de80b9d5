import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/tongue.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";
import { doneButton, words } from "./sent.ts";

/** What the host has answered, for whoever has left the page that waited for it. */
export function toldPage(kiosk: Kiosk): Page {
  const told = kiosk.visitor.told;
  const again = element(
    "button",
    { class: "ds-button main-action", type: "button", "data-action": "again", onclick: () => kiosk.go("checkout") },
    gettext("Try again"),
  );
  if (told === null || (told.wait_seconds ?? 0) > 0) {
    return {
      question: gettext("We cannot look it up right now"),
      picture: "kept",
      lead: gettext("Try again in a moment, or ask at the desk."),
      body: [again],
    };
  }
  if (told.result === "unknown_number") {
    return {
      question: gettext("We do not know that number"),
      picture: "warning",
      lead: gettext("Check the number and try again, or ask at the desk."),
      body: [again],
    };
  }
  const answer = told.answer ?? null;
  return {
    question: answer === null ? gettext("There is no answer yet") : gettext("There is an answer"),
    picture: answer === null ? "kept" : "check",
    body: [
      answer === null
        ? element("p", { class: "answer" }, icon("clock"), element("span", {}, gettext("Ask again in a few minutes, or ask at the desk.")))
        : element("p", { class: "answer", role: "status" }, ...words(answer, null)),
      doneButton(kiosk),
    ],
  };
}
