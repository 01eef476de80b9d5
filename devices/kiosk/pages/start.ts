import { element } from "../../web/element.ts";
import { icon, type IconName } from "../../web/icon.ts";
import { gettext } from "../../web/i18n.ts";
import type { Kiosk, State } from "../kiosk.ts";
import type { Page } from "../page.ts";
import { openingLine } from "./opening.ts";

/** Two tracks: most visitors only need the way, and nobody needs to know that they went there (D7). */
export function startPage(kiosk: Kiosk): Page {
  const track = (state: State, name: IconName, title: string, text: string) =>
    element(
      "button",
      { class: "track", type: "button", "data-track": state, onclick: () => kiosk.go(state) },
      element("span", { class: "picture" }, icon(name)),
      element("span", { class: "words" }, element("strong", {}, title), element("span", {}, text)),
    );
  const hasSignposts = (kiosk.offer?.signposts ?? []).length > 0;
  const tracks = [
    track(
      "search",
      "handshake",
      gettext("I am meeting someone"),
      gettext("Find the person, and we tell them that you are here."),
    ),
    track(
      "checkout",
      "leave",
      gettext("I am leaving"),
      gettext("With your number: check out, or see whether your host has answered."),
    ),
  ];
  if (hasSignposts) {
    const text = gettext("Find the right place in the building. We ask you nothing.");
    tracks.unshift(track("directions", "way", gettext("Show me the way"), text));
  }
  return {
    question: gettext("How can we help you?"),
    lead: openingLine(kiosk),
    body: [element("div", { class: "tracks" }, ...tracks)],
    back: () => kiosk.startOver(),
  };
}
