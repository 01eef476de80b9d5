import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

const DIGITS = 4;

export function checkOutPage(kiosk: Kiosk): Page {
  kiosk.visitor.sent = null;
  return {
    question: gettext("What is your number?"),
    lead: element("span", { id: "number-hint" }, gettext("You got four digits when you came.")),
    ...numberPad(kiosk),
    back: () => kiosk.go("start"),
  };
}

/** A number pad on the screen; a keyboard writes into the same field. */
function numberPad(kiosk: Kiosk): Pick<Page, "body" | "first"> {
  const number = element("input", {
    class: "ds-input digits",
    id: "number",
    type: "text",
    inputmode: "none",
    maxlength: DIGITS,
    autocomplete: "off",
    dir: "ltr",
    "aria-describedby": "number-hint number-error",
  });
  const error = element("p", { class: "error", id: "number-error", role: "alert" });
  const changed = () => {
    number.value = number.value.replace(/\D/g, "").slice(0, DIGITS);
    error.replaceChildren();
  };
  number.addEventListener("input", changed);
  const key = (name: string, content: string | Node, press: () => void) =>
    element(
      "button",
      {
        class: "key",
        type: "button",
        "data-key": name,
        onclick: () => {
          press();
          changed();
        },
      },
      content,
    );
  const digit = (one: string) => key(one, one, () => (number.value += one));
  const erase = key("erase", icon("erase"), () => (number.value = number.value.slice(0, -1)));
  erase.setAttribute("aria-label", gettext("Erase the last digit"));
  const withNumber = (take: (number: string) => void) => {
    if (number.value.length === DIGITS) take(number.value);
    else error.replaceChildren(icon("warning"), gettext("The number has four digits."));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    withNumber((digits) => kiosk.checkOut(digits));
  };
  return {
    body: [
      element(
        "form",
        { class: "form checkout", novalidate: true, autocomplete: "off", onsubmit: submit },
        element(
          "div",
          { class: "field" },
          element("label", { class: "ds-label", for: "number" }, gettext("Your number")),
          number,
          error,
        ),
        element(
          "div",
          { class: "pad", dir: "ltr" },
          ...["1", "2", "3", "4", "5", "6", "7", "8", "9"].map(digit),
          digit("0"),
          erase,
        ),
        element(
          "button",
          { class: "ds-button main-action", type: "submit", "data-action": "check-out" },
          gettext("Check me out"),
        ),
        element(
          "button",
          {
            class: "ds-button main-action",
            type: "button",
            "data-variant": "secondary",
            "data-action": "ask",
            onclick: () => withNumber((digits) => kiosk.ask(digits)),
          },
          gettext("Has my host answered?"),
        ),
      ),
    ],
    first: number,
  };
}

export function checkedOutPage(kiosk: Kiosk): Page {
  return {
    question: gettext("Thank you for coming"),
    picture: "check",
    lead: gettext("You are checked out. Have a nice day!"),
    body: [
      element(
        "button",
        { class: "ds-button main-action", type: "button", "data-action": "done", onclick: () => kiosk.startOver() },
        gettext("Done"),
      ),
    ],
  };
}
