/**
 * What the console's server-rendered pages need in the browser: htmx, Designsystemet's components, and a line to the
 * hub that says which subjects have changed. A part of a page asks for itself again:
 *
 *     <div id="visit-list" hx-get="/visits" hx-select="#visit-list" hx-swap="outerMorph"
 *          hx-trigger="live-visits from:body">
 */

import htmx from "htmx.org";
import "@digdir/designsystemet-web";

/** `hx-on:` and `js:` values are code in attributes, which our content security policy forbids: say so clearly. */
function refuseCode(): never {
  throw new Error("code in an attribute (hx-on:, js:) is not run here: write an event listener in console.ts");
}

htmx.config.mode = "same-origin";
htmx.registerExtension("no-code-in-attributes", {
  init: (internals: { initSecurity(policy: null, sync: () => never, async: () => never): void }) => {
    internals.initSecurity(null, refuseCode, refuseCode);
  },
});

/** Every part that shows the subject hears of it on the body. */
function tell(subjects: string[]): void {
  for (const subject of subjects) document.body.dispatchEvent(new CustomEvent(`live-${subject}`));
}

function everySubject(): string[] {
  const triggers = [...document.querySelectorAll("[hx-trigger]")].map((part) => part.getAttribute("hx-trigger") ?? "");
  return [...new Set(triggers.flatMap((trigger) => [...trigger.matchAll(/live-(\w+)/g)].map((found) => found[1] ?? "")))];
}

function listen(): void {
  const line = document.getElementById("connection");
  const stream = new EventSource("/live");
  let wasLost = false;
  stream.addEventListener("hello", (event) => {
    if (line) line.hidden = true;
    const hasMissed = (event as MessageEvent<string>).data !== document.body.dataset.changes;
    if (wasLost || hasMissed) tell(everySubject());
    wasLost = false;
  });
  stream.addEventListener("change", (event) => tell((event as MessageEvent<string>).data.split(" ")));
  stream.addEventListener("error", () => {
    wasLost = true;
    if (line) line.hidden = false;
  });
}

/** A form with `data-confirm` asks first; one with `data-busy` shows that it works and is sent once. */
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) event.preventDefault();
  else if (form.dataset.busy !== undefined) {
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  }
});

document.addEventListener("click", (event) => {
  if ((event.target as Element).closest("[data-print]")) window.print();
});

if (document.body.dataset.session !== undefined) listen();
