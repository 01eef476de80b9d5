import type { HostAnswer } from "../../web/contract.ts";
import { element } from "../../web/element.ts";
import { icon } from "../../web/icon.ts";
import { gettext } from "../../web/i18n.ts";
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

/** No receipt has come: the visit is stored here, and the host is not notified yet. */
export function keptPage(kiosk: Kiosk): Page {
  if (kiosk.visitor.sent?.what === "checkout") {
    return {
      question: gettext("You can go"),
      picture: "kept",
      lead: gettext("The network is away right now. We keep your message, and it is sent by itself when the network is back."),
      body: [doneButton(kiosk)],
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
      doneButton(kiosk),
    ],
  };
}

/** Shown only after the hub's receipt. */
export function registeredPage(kiosk: Kiosk): Page {
  const receipt = kiosk.visitor.sent?.receipt;
  const name = hostName(kiosk);
  return {
    question: gettext("You are registered"),
    picture: "check",
    lead: element(
      "span",
      { id: "whom" },
      receipt?.host_is_told === false
        ? gettext("The desk tells {name} that you are here. Please say hello there.", { name })
        : gettext("We are telling {name} that you are here.", { name }),
    ),
    body: [
      element("p", { class: "answer", role: "status", id: "answer" }, ...answerWords(kiosk)),
      receipt?.number ? numberCard(receipt.number) : null,
      doneButton(kiosk),
    ].filter((part) => part !== null),
  };
}

/** The receipt came after the visitor had left the page: shows the number without names. */
export function lateNumberPage(kiosk: Kiosk): Page {
  const number = kiosk.visitor.sent?.receipt?.number ?? "";
  return {
    question: gettext("The visit that waited is registered now"),
    picture: "check",
    lead: gettext("Is it yours? Then this is your number."),
    body: [numberCard(number), doneButton(kiosk)],
  };
}

function numberCard(number: string): HTMLElement {
  return element(
    "div",
    { class: "number-card" },
    element("p", { class: "number-name" }, gettext("Your number")),
    element("p", { class: "number", dir: "ltr", "data-number": number }, number),
    element("p", {}, gettext("Remember it. You use it when you leave.")),
  );
}

/** Shows the host's answer on the open page. */
export function showAnswer(kiosk: Kiosk): void {
  document.getElementById("answer")?.replaceChildren(...answerWords(kiosk));
}

/** Removes the host's name after a while, since others may look at the page. */
export function hideNames(kiosk: Kiosk): void {
  kiosk.visitor.host = null;
  const isTold = kiosk.visitor.sent?.receipt?.host_is_told !== false;
  document.getElementById("whom")?.replaceChildren(isTold ? gettext("We have told them that you are here.") : gettext("The desk tells them that you are here. Please say hello there."));
  showAnswer(kiosk);
}

function answerWords(kiosk: Kiosk): Node[] {
  const sent = kiosk.visitor.sent;
  if (sent?.answer) return words(sent.answer, hostName(kiosk) || null);
  if (sent?.receipt?.host_is_told === false) return [];
  return [
    icon("clock"),
    element("span", { "data-answer": "" }, gettext("Feel free to sit down. If an answer comes, you see it here.")),
  ];
}

/** `name`: null where others may read it. */
export function words(answer: HostAnswer["answer"], name: string | null): Node[] {
  const said = (kind: "handshake" | "clock" | "person", text: string) => [
    icon(kind),
    element("span", { "data-answer": answer }, text),
  ];
  switch (answer) {
    case "coming":
      return said(
        "handshake",
        name === null ? gettext("The person you are meeting is coming now.") : gettext("{name} is coming now.", { name }),
      );
    case "five_minutes":
      return said(
        "clock",
        name === null
          ? gettext("The person you are meeting is coming in about five minutes.")
          : gettext("{name} is coming in about five minutes.", { name }),
      );
    case "ask_desk":
      return said("person", gettext("Please come to the desk, and we will help you on."));
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
    body: [doneButton(kiosk)],
  };
}

function hostName(kiosk: Kiosk): string {
  return kiosk.visitor.host?.name ?? "";
}

export function doneButton(kiosk: Kiosk): HTMLElement {
  return element(
    "button",
    { class: "ds-button main-action", type: "button", "data-action": "done", onclick: () => kiosk.startOver() },
    gettext("Done"),
  );
}
