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

/** What a form, or the button that sends it, asks first: `{choice}` is what its list shows as chosen. */
function question(form: HTMLFormElement, button: HTMLElement | null): string | undefined {
  const chosen = form.querySelector("select")?.selectedOptions[0]?.text ?? "";
  return (button?.dataset.confirm ?? form.dataset.confirm)?.replace("{choice}", () => chosen);
}

/** Seconds that are left, in the button: somebody is on the way to what it waits for. */
function countDown(button: HTMLElement, seconds: number): void {
  button.textContent = String(seconds);
  if (seconds > 0) setTimeout(() => countDown(button, seconds - 1), 1000);
}

/** A form or button with `data-confirm` asks first; a form with `data-busy` shows that it works and is sent once. */
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  const button = event.submitter;
  const asked = question(form, button);
  if (asked && !window.confirm(asked)) event.preventDefault();
  else if (form.dataset.busy !== undefined) {
    for (const one of form.querySelectorAll("button")) one.setAttribute("aria-busy", "true");
    if (button?.dataset.seconds) setTimeout(() => countDown(button, Number(button.dataset.seconds)));
  }
});

document.addEventListener("click", (event) => {
  const pressed = event.target as Element;
  if (pressed.closest("[data-print]")) window.print();
  if (pressed.closest("[data-back]")) history.back();
});

if (document.body.dataset.session !== undefined) listen();
