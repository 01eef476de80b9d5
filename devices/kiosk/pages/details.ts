import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

const MAX_LETTERS = 80;
const FEW_LEFT = 15;

/** As little as the host and the evacuation list need: a name, and a company if the visitor wants. */
export function detailsPage(kiosk: Kiosk): Page {
  const { visitor } = kiosk;
  const error = element("p", { class: "error", id: "name-error", role: "alert" });
  const name = field("visitor", visitor.name, "name-error", (text) => {
    visitor.name = text;
    error.replaceChildren();
  });
  const company = field("company", visitor.company, null, (text) => (visitor.company = text));
  const submit = (event: Event) => {
    event.preventDefault();
    const written = name.value.trim();
    if (/\p{L}/u.test(written)) {
      kiosk.register(written, /\p{L}/u.test(company.value) ? company.value.trim() : "");
      return;
    }
    name.setAttribute("aria-invalid", "true");
    error.replaceChildren(icon("warning"), gettext("Please write your name."));
    name.focus();
  };
  return {
    question: gettext("What is your name?"),
    lead: gettext("You are meeting {name}.", { name: visitor.host?.name ?? "" }),
    body: [
      element(
        "form",
        { class: "form", novalidate: true, autocomplete: "off", onsubmit: submit },
        element(
          "div",
          { class: "field" },
          element("label", { class: "ds-label", for: "visitor" }, gettext("Your name")),
          name,
          roomLeft(name),
          error,
        ),
        element(
          "div",
          { class: "field" },
          element("label", { class: "ds-label", for: "company" }, gettext("Company, if you come from one")),
          company,
          roomLeft(company),
        ),
        element(
          "p",
          { class: "hint" },
          gettext("Those you meet, and those who keep the building safe, see your name. Then it is deleted."),
        ),
        element(
          "button",
          { class: "ds-button main-action", type: "submit", "data-action": "register" },
          gettext("Tell them that I am here"),
        ),
      ),
    ],
    back: () => kiosk.go("search"),
    first: name,
  };
}

/** Says how many characters are left, when the field is nearly full. */
function roomLeft(field: HTMLInputElement): HTMLElement {
  const line = element("p", { class: "hint room", role: "status" });
  const changed = () => {
    const left = MAX_LETTERS - field.value.length;
    line.toggleAttribute("data-full", left <= 0);
    if (left > FEW_LEFT) line.textContent = "";
    else if (left > 0) line.textContent = gettext("Room for {count} more characters.", { count: String(left) });
    else line.textContent = gettext("There is no room for more than {count} characters.", { count: String(MAX_LETTERS) });
  };
  field.addEventListener("input", changed);
  changed();
  return line;
}

function field(id: string, text: string, error: string | null, changed: (text: string) => void): HTMLInputElement {
  const made = element("input", {
    class: "ds-input",
    id,
    name: id,
    type: "text",
    maxlength: MAX_LETTERS,
    autocomplete: "off",
    autocorrect: "off",
    autocapitalize: "words",
    spellcheck: "false",
    "aria-describedby": error,
  });
  made.value = text;
  made.addEventListener("input", () => {
    made.removeAttribute("aria-invalid");
    changed(made.value);
  });
  return made;
}
