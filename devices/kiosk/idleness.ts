/** Detects that the visitor has left: warns, counts down visibly, and then calls back. */

import { element } from "../web/element.ts";
import { gettext } from "../web/i18n.ts";

export const QUIET_MS = 30_000;
const WARNING_SECONDS = 20;

export class Idleness {
  private readonly dialog = element("dialog", {
    class: "still-there",
    role: "alertdialog",
    "aria-labelledby": "still-there",
    "aria-describedby": "still-there-why",
  });
  private readonly count = element("p", { class: "countdown", "aria-hidden": "true" });
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isWatching = false;
  private quiet = QUIET_MS;

  constructor(private readonly left: () => void) {
    document.body.append(this.dialog);
    for (const sign of ["pointerdown", "keydown", "input", "wheel"]) {
      document.addEventListener(sign, () => !this.dialog.open && this.restart(), { passive: true });
    }
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.stays();
    });
  }

  /** Starts or stops watching. `quiet`: milliseconds without input before the warning. */
  watch(isWatching: boolean, quiet = QUIET_MS): void {
    this.isWatching = isWatching;
    this.quiet = quiet;
    this.close();
    this.restart();
  }

  /** Restarts the timer; call it when there is something new to read. */
  restart(): void {
    if (this.dialog.open) return;
    clearTimeout(this.timer);
    if (this.isWatching) this.timer = setTimeout(() => this.warn(), this.quiet);
  }

  private warn(): void {
    const question = gettext("Are you still there?");
    const explanation = gettext("If not, we soon start over, so that nobody else sees what you have written.");
    const more = element(
      "button",
      { class: "ds-button", type: "button", "data-action": "more-time", onclick: () => this.stays() },
      gettext("Yes, I need more time"),
    );
    this.dialog.replaceChildren(
      element("h2", { id: "still-there", class: "ds-heading" }, question),
      this.count,
      element("p", { id: "still-there-why" }, explanation),
      more,
      element(
        "button",
        { class: "ds-button", type: "button", "data-variant": "secondary", onclick: () => this.gone() },
        gettext("No, start over"),
      ),
    );
    this.dialog.showModal();
    more.focus();
    this.tick(WARNING_SECONDS);
  }

  private tick(seconds: number): void {
    if (seconds === 0) {
      this.gone();
      return;
    }
    this.count.textContent = String(seconds);
    this.count.style.setProperty("--left", String(seconds / WARNING_SECONDS));
    this.timer = setTimeout(() => this.tick(seconds - 1), 1_000);
  }

  private stays(): void {
    this.close();
    this.restart();
  }

  private gone(): void {
    this.close();
    this.left();
  }

  private close(): void {
    clearTimeout(this.timer);
    if (this.dialog.open) this.dialog.close();
  }
}
