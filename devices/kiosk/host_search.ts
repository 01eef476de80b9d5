/** Searches for hosts while the visitor types, within the hub's rate limit. */

import { MIN_LETTERS, MAX_HOSTS, type Found, type Host } from "../web/contract.ts";
import { newId } from "../web/identity.ts";

const PAUSE_IN_TYPING_MS = 350;
const ANSWER_MS = 4_000;
const TRY_AGAIN_MS = 5_000;

export type Result =
  | { kind: "too_short" }
  | { kind: "searching" }
  | { kind: "found"; hosts: Host[] }
  | { kind: "busy" }
  | { kind: "away" };

export class HostSearch {
  private text = "";
  private asked: string | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `send` returns false without a connection. */
  constructor(
    private readonly send: (search: { id: string; text: string }) => boolean,
    private readonly show: (result: Result) => void,
  ) {}

  typed(letters: string): void {
    const text = letters.trim().replace(/\s+/g, " ");
    if (text === this.text) return;
    this.text = text;
    this.asked = null;
    clearTimeout(this.timer);
    if (Array.from(text).length < MIN_LETTERS) {
      this.show({ kind: "too_short" });
      return;
    }
    this.show({ kind: "searching" });
    this.askIn(PAUSE_IN_TYPING_MS);
  }

  /** Handles results; those of earlier searches are ignored. */
  answer(found: Found): void {
    if (found.search !== this.asked) return;
    this.asked = null;
    clearTimeout(this.timer);
    const wait = found.wait_seconds ?? 0;
    if (wait > 0) {
      this.show({ kind: "busy" });
      this.askIn(wait * 1_000);
    } else {
      this.show({ kind: "found", hosts: found.hosts.slice(0, MAX_HOSTS) });
    }
  }

  /** After a reconnect: repeats a pending search at once. */
  connected(): void {
    if (this.asked !== null) this.askIn(0);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.asked = null;
  }

  private askIn(delay: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), delay);
  }

  private ask(): void {
    this.asked = newId();
    const isSent = this.send({ id: this.asked, text: this.text });
    this.timer = setTimeout(() => this.unanswered(), isSent ? ANSWER_MS : 0);
  }

  private unanswered(): void {
    this.show({ kind: "away" });
    this.askIn(TRY_AGAIN_MS);
  }
}
