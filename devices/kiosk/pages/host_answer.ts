import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";
import { doneButton, words } from "./sent.ts";

/** The host's answer, for a visitor who has left the page that waited for it. */
export function hostAnswerPage(kiosk: Kiosk): Page {
  const reply = kiosk.visitor.hostAnswer;
  const again = element(
    "button",
    { class: "ds-button main-action", type: "button", "data-action": "again", onclick: () => kiosk.go("checkout") },
    gettext("Try again"),
  );
  if (reply === null || (reply.wait_seconds ?? 0) > 0) {
    return {
      question: gettext("We cannot look it up right now"),
      picture: "kept",
      lead: gettext("Try again in a moment, or ask at the desk."),
      body: [again],
    };
  }
  if (reply.result === "unknown_number") {
    return {
      question: gettext("We do not know that number"),
      picture: "warning",
      lead: gettext("Check the number and try again, or ask at the desk."),
      body: [again],
    };
  }
  const answer = reply.answer ?? null;
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
