import type { Signpost } from "../../web/contract.ts";
import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext, translated } from "../../web/i18n.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

/**
 * Where things are. A tap here is seen by nobody: it sends nothing, stores nothing and logs nothing (D7).
 * Whoever changes this file: keep it so.
 */
export function directionsPage(kiosk: Kiosk): Page {
  const signpost = kiosk.visitor.signpost;
  return signpost === null ? listPage(kiosk) : wayPage(kiosk, signpost);
}

function listPage(kiosk: Kiosk): Page {
  const signposts = (kiosk.offer?.signposts ?? []).map((signpost) =>
    element(
      "button",
      {
        class: "signpost",
        type: "button",
        "data-signpost": signpost.id,
        onclick: () => {
          kiosk.visitor.signpost = signpost;
          kiosk.go("directions");
        },
      },
      icon(signpost.icon ?? "info"),
      element(
        "span",
        { class: "words" },
        element("strong", {}, translated(signpost.name)),
        element("span", {}, translated(signpost.floor)),
      ),
    ),
  );
  return {
    question: gettext("Where are you going?"),
    lead: gettext("Nothing that you tap here is sent or kept."),
    body: [element("div", { class: "signposts" }, ...signposts)],
    back: () => (kiosk.offer?.registers_visits === false ? kiosk.startOver() : kiosk.go("start")),
  };
}

function wayPage(kiosk: Kiosk, signpost: Signpost): Page {
  return {
    question: gettext("This is the way"),
    body: [
      element(
        "section",
        { class: "way" },
        element(
          "div",
          { class: "sign" },
          icon(signpost.icon ?? "info"),
          element("p", { class: "sign-name" }, translated(signpost.name)),
          element("p", { class: "sign-floor" }, icon("stairs"), translated(signpost.floor)),
        ),
        element("p", { class: "directions" }, translated(signpost.directions)),
      ),
    ],
    back: () => {
      kiosk.visitor.signpost = null;
      kiosk.go("directions");
    },
  };
}
