import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/tongue.ts";
import type { Kiosk } from "../kiosk.ts";
import type { Page } from "../page.ts";

export function sendingPage(): Page {
  return {
    question: gettext("Sending …"),
    picture: "sending",
    lead: gettext("One moment."),
    body: [element("div", { class: "waiting", "aria-hidden": "true" }, element("i"), element("i"), element("i"))],
  };
}

/** The truth when no receipt came: it is safe here, nobody has been told yet. */
export function keptPage(kiosk: Kiosk): Page {
  if (kiosk.visitor.sent?.what === "checkout") {
    return {
      question: gettext("You can go"),
      picture: "kept",
      lead: gettext("The network is away right now. We keep your message, and it is sent by itself when the network is back."),
      body: [done(kiosk)],
    };
  }
  return {
    question: gettext("We have not reached anybody yet"),
    picture: "kept",
    lead: gettext("The network is away right now. We keep your visit, and it is sent by itself when the network is back."),
    body: [
      element(
        "p",
        { class: "next" },
        icon("person"),
        element(
          "span",
          {},
          gettext("Please say hello at the desk, so that {name} hears that you are here.", { name: hostName(kiosk) }),
        ),
      ),
      done(kiosk),
    ],
  };
}

/** Only ever after the hub's receipt. */
export function registeredPage(kiosk: Kiosk): Page {
  const receipt = kiosk.visitor.sent?.receipt;
  const name = hostName(kiosk);
  return {
    question: gettext("You are registered"),
    picture: "check",
    lead:
      receipt?.host_is_told === false
        ? gettext("The desk tells {name} that you are here. Please say hello there.", { name })
        : gettext("We are telling {name} that you are here.", { name }),
    body: [
      element("p", { class: "answer", role: "status", id: "answer" }, ...answerWords(kiosk)),
      receipt?.number
        ? element(
            "div",
            { class: "number-card" },
            element("p", { class: "number-name" }, gettext("Your number")),
            element("p", { class: "number", dir: "ltr", "data-number": receipt.number }, receipt.number),
            element("p", {}, gettext("Remember it. You use it when you leave.")),
          )
        : null,
      done(kiosk),
    ].filter((part) => part !== null),
  };
}

/** The host has answered while the visitor looks at the page. */
export function showAnswer(kiosk: Kiosk): void {
  document.getElementById("answer")?.replaceChildren(...answerWords(kiosk));
}

function answerWords(kiosk: Kiosk): Node[] {
  const name = hostName(kiosk);
  const answer = kiosk.visitor.sent?.answer;
  const said = (kind: "handshake" | "clock" | "person", text: string) => [
    icon(kind),
    element("span", { "data-answer": answer ?? "" }, text),
  ];
  switch (answer) {
    case "coming":
      return said("handshake", gettext("{name} is coming now.", { name }));
    case "five_minutes":
      return said("clock", gettext("{name} is coming in about five minutes.", { name }));
    case "ask_desk":
      return said("person", gettext("Please come to the desk, and we will help you on."));
    default:
      if (kiosk.visitor.sent?.receipt?.host_is_told === false) return [];
      return said("clock", gettext("Feel free to sit down. If an answer comes, you see it here."));
  }
}

export function refusedPage(kiosk: Kiosk): Page {
  if (kiosk.visitor.sent?.receipt?.reason === "unknown_number") {
    return {
      question: gettext("We do not know that number"),
      picture: "warning",
      lead: gettext("Check the number and try again, or tell us at the desk that you are leaving."),
      body: [
        element(
          "button",
          { class: "ds-button main-action", type: "button", "data-action": "again", onclick: () => kiosk.go("checkout") },
          gettext("Try again"),
        ),
      ],
    };
  }
  return {
    question: gettext("Please come to the desk"),
    picture: "person",
    lead: gettext("We could not do this here. At the desk we will help you at once."),
    body: [done(kiosk)],
  };
}

function hostName(kiosk: Kiosk): string {
  return kiosk.visitor.host?.name ?? "";
}

function done(kiosk: Kiosk): HTMLElement {
  return element(
    "button",
    { class: "ds-button main-action", type: "button", "data-action": "done", onclick: () => kiosk.startOver() },
    gettext("Done"),
  );
}
