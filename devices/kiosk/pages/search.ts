import type { Host } from "../../web/contract.ts";
import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext, nameOf } from "../../web/i18n.ts";
import { HostSearch, type Result } from "../host_search.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

/** Three letters or more, five people at most: nobody can list who works here. */
export function searchPage(kiosk: Kiosk): Page {
  const status = element("p", { class: "status", role: "status" });
  const hosts = element("div", { class: "hosts" });
  const field = element("input", {
    class: "ds-input",
    id: "host",
    type: "text",
    name: "host",
    enterkeyhint: "search",
    maxlength: 80,
    autocomplete: "off",
    autocorrect: "off",
    autocapitalize: "words",
    spellcheck: "false",
    "aria-describedby": "host-hint",
  });
  const search = new HostSearch(
    (message) => kiosk.line()?.send("search", message) ?? false,
    (result) => {
      status.textContent = words(result);
      status.dataset["result"] = result.kind;
      hosts.replaceChildren(...(result.kind === "found" ? result.hosts.map((host) => choice(kiosk, host)) : []));
    },
  );
  kiosk.search = search;
  field.value = kiosk.visitor.letters;
  field.addEventListener("input", () => {
    kiosk.visitor.letters = field.value;
    search.typed(field.value);
  });
  search.typed(field.value);
  return {
    question: gettext("Who are you meeting?"),
    body: [
      element(
        "div",
        { class: "field large" },
        element("label", { class: "ds-label", for: "host" }, gettext("Their name")),
        element("p", { class: "hint", id: "host-hint" }, gettext("Write at least three letters of the name.")),
        element("div", { class: "with-icon" }, icon("search"), field),
      ),
      status,
      hosts,
    ],
    back: () => kiosk.go("start"),
    first: field,
  };
}

/** The same words for unknown, protected and absent people, so that they reveal nothing. */
function words(result: Result): string {
  switch (result.kind) {
    case "too_short":
      return "";
    case "searching":
      return gettext("Searching …");
    case "busy":
      return gettext("Many people are searching right now. We soon try again by ourselves.");
    case "away":
      return gettext("We cannot search right now, but keep trying. Ask at the desk, and we will help you there.");
    case "found":
      return result.hosts.length > 0
        ? gettext("Tap the person you are meeting.")
        : gettext("We found nobody to show you. Check the name, or ask at the desk, and we will help you there.");
  }
}

function choice(kiosk: Kiosk, host: Host): HTMLElement {
  return element(
    "button",
    {
      class: "choice",
      type: "button",
      "data-host": host.id,
      onclick: () => {
        kiosk.visitor.host = host;
        kiosk.go("details");
      },
    },
    element("span", { class: "words" }, element("strong", {}, nameOf(host.name)), element("span", {}, nameOf(host.unit))),
    icon("forward"),
  );
}
