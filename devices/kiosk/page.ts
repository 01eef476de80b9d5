/** A page of the kiosk and its layout: one question above, what to touch below, ways out at the foot. */

import { element } from "../web/element.ts";
import { icon, type IconName } from "../web/icon.ts";
import { gettext, nameOf } from "../web/i18n.ts";

export interface Page {
  question: string;
  lead?: string | Node | null;
  picture?: IconName;
  body: Node[];
  /** Where "Back" leads; without it there is no such button. */
  back?: () => void;
  /** Gets the focus when the page opens; else the question does, so that it is read aloud. */
  first?: HTMLElement;
}

/** What every page shows. */
export interface Frame {
  siteName: string;
  startOver: (() => void) | null;
}

export function render(root: HTMLElement, page: Page, frame: Frame): void {
  const question = element("h1", { class: "ds-heading", tabindex: "-1" }, page.question);
  root.replaceChildren(
    element(
      "header",
      { class: "site" },
      element("span", { class: "mark", "aria-hidden": "true" }),
      element("span", { class: "site-name" }, nameOf(frame.siteName)),
    ),
    element(
      "main",
      { class: "page" },
      element(
        "div",
        { class: "question" },
        page.picture ? element("div", { class: "picture" }, icon(page.picture)) : null,
        question,
        page.lead ? element("p", { class: "lead" }, page.lead) : null,
      ),
      element("div", { class: "body" }, ...page.body),
    ),
    foot(page, frame),
  );
  scrollTo(0, 0);
  (page.first ?? question).focus({ preventScroll: page.first === undefined });
}

function foot(page: Page, frame: Frame): HTMLElement {
  const waysOut = [
    page.back ? exitButton("back", gettext("Back"), page.back) : null,
    frame.startOver ? exitButton("start_over", gettext("Start over"), frame.startOver) : null,
  ];
  return element(
    "footer",
    { class: "foot" },
    waysOut.some(Boolean)
      ? element("nav", { class: "ways-out", "aria-label": gettext("Back or start over") }, ...waysOut)
      : null,
    element(
      "p",
      { class: "person", "data-help": true },
      icon("person"),
      element("span", {}, gettext("Would you rather talk to a person? Come to the desk.")),
    ),
  );
}

function exitButton(name: "back" | "start_over", text: string, onclick: () => void): HTMLElement {
  return element(
    "button",
    { class: "ds-button", type: "button", "data-variant": "secondary", "data-action": name, onclick },
    icon(name),
    text,
  );
}
