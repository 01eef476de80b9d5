/** The kiosk as a whole: which page it is on, what arrives, and when everything about a visitor is forgotten. */

import type { Offer, PairingOffer, Visit } from "../web/contract.ts";
import { newId } from "../web/identity.ts";
import type { Link } from "../web/link.ts";
import { read } from "../web/reading.ts";
import { shelve } from "../web/shelf.ts";
import { speak, speakable, spokenLanguage } from "../web/tongue.ts";
import type { HostSearch } from "./host_search.ts";
import { Idleness, QUIET_MS } from "./idleness.ts";
import { Outbox, type Item } from "./outbox.ts";
import { layOut, type Page } from "./page.ts";
import { checkedOutPage, checkOutPage } from "./pages/checkout.ts";
import { detailsPage } from "./pages/details.ts";
import { directionsPage } from "./pages/directions.ts";
import { languagePage } from "./pages/language.ts";
import { showOpening } from "./pages/opening.ts";
import { outOfOrderPage, unpairedPage } from "./pages/resting.ts";
import { searchPage } from "./pages/search.ts";
import { blankNames, keptPage, lateNumberPage, refusedPage, registeredPage, sendingPage, showAnswer } from "./pages/sent.ts";
import { startPage } from "./pages/start.ts";
import { toldPage } from "./pages/told.ts";
import { nobody } from "./visitor.ts";

export const OFFER_SHELF = "/kiosk/offer";
const RECEIPT_MS = 5_000;
const RECEIPT_WITHOUT_LINE_MS = 1_500;
const BLANK_MS = 30_000;
const CLOCK_MS = 5_000;
const MOST_LATE = 50;

const pages = {
  language: languagePage,
  start: startPage,
  directions: directionsPage,
  search: searchPage,
  details: detailsPage,
  sending: sendingPage,
  kept: keptPage,
  registered: registeredPage,
  "late-number": lateNumberPage,
  told: toldPage,
  checkout: checkOutPage,
  "checked-out": checkedOutPage,
  refused: refusedPage,
  unpaired: unpairedPage,
  "out-of-order": outOfOrderPage,
} satisfies Record<string, (kiosk: Kiosk) => Page>;

export type State = keyof typeof pages;

const WITHOUT_VISITOR: State[] = ["language", "unpaired", "out-of-order"];

export class Kiosk {
  visitor = nobody();
  search: HostSearch | null = null;
  pairing: PairingOffer | null = null;
  readonly outbox: Outbox;
  private state: State = "out-of-order";
  private readonly idleness = new Idleness(() => this.startOver());
  private receiptTimer: ReturnType<typeof setTimeout> | undefined;
  private blankTimer: ReturnType<typeof setTimeout> | undefined;
  /** Visits whose visitor went before the receipt came: their number is shown when it does, if nobody else is here. */
  private readonly late = new Set<string>();
  private asked: string | null = null;

  constructor(
    private readonly root: HTMLElement,
    database: IDBDatabase | null,
    readonly line: () => Link | null,
    public offer: Offer | null,
    readonly isPaired: boolean,
  ) {
    this.outbox = new Outbox(database, (item: Item) => this.line()?.send(item.what, item.message) ?? false);
    setInterval(() => showOpening(this), CLOCK_MS);
  }

  /** Nobody stands here, as far as we can know. */
  get isFree(): boolean {
    return WITHOUT_VISITOR.includes(this.state);
  }

  get languages(): string[] {
    return speakable(this.offer?.languages ?? []);
  }

  go(state: State): void {
    this.search?.stop();
    this.search = null;
    this.state = state;
    document.body.dataset["state"] = state;
    const frame = {
      siteName: this.offer?.site_name ?? "",
      startOver: this.isFree ? null : () => this.startOver(),
    };
    layOut(this.root, pages[state](this), frame);
    clearTimeout(this.blankTimer);
    if (state === "registered") this.blankTimer = setTimeout(() => blankNames(this), BLANK_MS);
    this.idleness.watch(!this.isFree, state === "registered" ? this.waitingMs : QUIET_MS);
  }

  /** Forgets everything but the outbox. */
  startOver(): void {
    clearTimeout(this.receiptTimer);
    const sent = this.visitor.sent;
    if (sent?.what === "visit" && sent.receipt === null && this.late.size < MOST_LATE) this.late.add(sent.id);
    this.visitor = nobody();
    speak(this.languages[0] ?? "nn");
    if (!this.isPaired) this.go("unpaired");
    else this.go(this.offer === null ? "out-of-order" : "language");
  }

  register(name: string, company: string): void {
    const host = this.visitor.host;
    if (host === null || this.visitor.sent !== null) return;
    const visit: Visit = {
      id: newId(),
      host: host.id,
      visitor: name,
      ...(company === "" ? {} : { company }),
      language: spokenLanguage(),
      arrived_at: new Date().toISOString(),
    };
    this.post({ id: visit.id, what: "visit", message: visit });
  }

  checkOut(number: string): void {
    const id = newId();
    this.post({ id, what: "checkout", message: { id, number, left_at: new Date().toISOString() } });
  }

  /** What has the host of this number answered? */
  ask(number: string): void {
    this.asked = newId();
    this.visitor.told = null;
    this.go("sending");
    const isSent = this.line()?.send("ask", { id: this.asked, number }) ?? false;
    this.receiptTimer = setTimeout(() => this.go("told"), isSent ? RECEIPT_MS : 0);
  }

  showPairing(offer: PairingOffer | null): void {
    this.pairing = offer;
    this.go("unpaired");
  }

  connected(): void {
    this.outbox.sendAll();
    this.search?.connected();
  }

  arrived(what: string, payload: string): void {
    if (what === "offer") this.takeOffer(payload);
    else if (what === "found") this.takeFound(payload);
    else if (what === "receipt") this.takeReceipt(payload);
    else if (what === "answer") this.takeAnswer(payload);
    else if (what === "told") this.takeTold(payload);
  }

  private post(item: Item): void {
    const sent = { id: item.id, what: item.what, receipt: null, answer: null };
    this.visitor.sent = sent;
    this.go("sending");
    const patience = this.line()?.isConnected() ? RECEIPT_MS : RECEIPT_WITHOUT_LINE_MS;
    void this.outbox.post(item).then((isDurable) => {
      if (this.visitor.sent !== sent || sent.receipt !== null) return;
      this.receiptTimer = setTimeout(() => this.go(isDurable ? "kept" : "refused"), patience);
    });
  }

  private takeOffer(payload: string): void {
    const offer = read("Offer", payload);
    if (offer === null || JSON.stringify(offer) === JSON.stringify(this.offer)) return;
    this.offer = offer;
    void shelve(OFFER_SHELF, offer);
    if (this.isFree) this.startOver(); // a visitor in the middle of something keeps the page as it is
  }

  private takeFound(payload: string): void {
    const found = read("Found", payload);
    if (found !== null) this.search?.answer(found);
  }

  private takeReceipt(payload: string): void {
    const receipt = read("Receipt", payload);
    if (receipt === null) return;
    if (receipt.result === "wait") {
      this.outbox.holdOff(receipt.wait_seconds ?? 0);
      return;
    }
    this.outbox.settle(receipt.of);
    const sent = this.visitor.sent;
    if (this.late.delete(receipt.of) && this.isFree && receipt.number != null) {
      this.visitor.sent = { id: receipt.of, what: "visit", receipt, answer: null };
      this.go("late-number");
      return;
    }
    if (sent?.id !== receipt.of || sent.receipt !== null) return;
    sent.receipt = receipt;
    clearTimeout(this.receiptTimer);
    if (receipt.result === "registered") this.go("registered");
    else if (receipt.result === "checked_out") this.go("checked-out");
    else this.go("refused");
  }

  private takeAnswer(payload: string): void {
    const answer = read("HostAnswer", payload);
    const sent = this.visitor.sent;
    if (answer === null) return;
    const isWaiting = sent?.id === answer.visit && (this.state === "registered" || sent.receipt === null);
    if (!isWaiting) {
      this.line()?.send("shown", { visit: answer.visit, is_seen: false });
      return;
    }
    const isNews = sent.answer !== answer.answer;
    sent.answer = answer.answer;
    if (this.state !== "registered") return; // the receipt is still to come, and the answer comes again
    if (isNews) {
      showAnswer(this);
      this.idleness.restart();
    }
    this.line()?.send("shown", { visit: answer.visit, is_seen: true });
  }

  private takeTold(payload: string): void {
    const told = read("Told", payload);
    if (told === null || told.of !== this.asked || this.state !== "sending") return;
    this.asked = null;
    clearTimeout(this.receiptTimer);
    this.visitor.told = told;
    this.go("told");
  }

  private get waitingMs(): number {
    return (this.offer?.waiting_seconds ?? 300) * 1_000;
  }
}
