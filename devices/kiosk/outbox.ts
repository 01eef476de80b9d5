/**
 * Visits and check-outs that the hub has not acknowledged yet. They are stored on the device until the hub's
 * receipt comes, and resent with the same id (D1, I2).
 *
 * The only place on the device where a visitor's name is ever stored: a receipt deletes it at once.
 */

import { answered, written } from "../web/database.ts";
import type { CheckOut, Visit } from "../web/contract.ts";

export const OUTBOX_STORE = "outbox";
const SHORTEST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

export interface Item {
  id: string;
  what: "visit" | "checkout";
  message: Visit | CheckOut;
}

export class Outbox {
  private readonly waiting = new Map<string, Item>();
  private readonly undurable = new Set<string>();
  private wait = SHORTEST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `send` returns false without a connection. Without a database nothing survives a reload. */
  constructor(
    private readonly database: IDBDatabase | null,
    private readonly send: (item: Item) => boolean,
  ) {}

  /** Loads the items that an earlier run of the page has stored. */
  async open(): Promise<void> {
    if (this.database === null) return;
    const records = this.database.transaction(OUTBOX_STORE).objectStore(OUTBOX_STORE);
    for (const item of (await answered(records.getAll())) as Item[]) this.waiting.set(item.id, item);
    this.sendAgainLater();
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Stores the item, then sends it. False: it could not be stored and is lost with the page. */
  async post(item: Item): Promise<boolean> {
    this.waiting.set(item.id, item);
    const isDurable = await this.write((records) => records.put(item));
    if (!isDurable) this.undurable.add(item.id);
    this.send(item);
    this.wait = SHORTEST_WAIT_MS;
    this.sendAgainLater();
    return isDurable;
  }

  /** Removes an acknowledged item; unknown ids are ignored. */
  settle(id: string): void {
    if (!this.waiting.delete(id)) return;
    if (!this.undurable.delete(id)) void this.write((records) => records.delete(id));
  }

  /** Rate limit of the hub: nothing is resent before `seconds` have passed. */
  holdOff(seconds: number): void {
    this.wait = Math.max(this.wait, Math.min(seconds * 1_000, LONGEST_WAIT_MS));
    this.sendAgainLater();
  }

  /** Resends everything: after each connect, and periodically with growing pauses. */
  sendAll(): void {
    for (const item of this.waiting.values()) this.send(item);
    this.sendAgainLater();
  }

  private sendAgainLater(): void {
    clearTimeout(this.timer);
    if (this.waiting.size === 0) return;
    this.timer = setTimeout(() => {
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
      this.sendAll();
    }, this.wait);
  }

  private async write(change: (records: IDBObjectStore) => void): Promise<boolean> {
    if (this.database === null) return false;
    try {
      await written(this.database, OUTBOX_STORE, change);
      return true;
    } catch {
      return false; // the caller tells the visitor; the heartbeat tells the hub
    }
  }
}
