/** The kiosk as a whole: its pages, the messages it receives, and when data about a visitor are deleted. */

import type { Offer, PairingOffer, Visit } from "../web/contract.ts";
import { newId } from "../web/identity.ts";
import type { Link } from "../web/link.ts";
import { read } from "../web/reading.ts";
import { cacheMessage } from "../web/message_cache.ts";
import { speak, speakable, spokenLanguage } from "../web/i18n.ts";
import type { HostSearch } from "./host_search.ts";
import { Idleness, QUIET_MS } from "./idleness.ts";
import { Outbox, type Item } from "./outbox.ts";
import { render, type Page } from "./page.ts";
import { checkedOutPage, checkOutPage } from "./pages/checkout.ts";
import { detailsPage } from "./pages/details.ts";
import { directionsPage } from "./pages/directions.ts";
import { languagePage } from "./pages/language.ts";
import { showOpening } from "./pages/opening.ts";
import { outOfOrderPage, unpairedPage } from "./pages/unavailable.ts";
import { searchPage } from "./pages/search.ts";
import { hideNames, keptPage, lateNumberPage, refusedPage, registeredPage, sendingPage, showAnswer } from "./pages/sent.ts";
import { startPage } from "./pages/start.ts";
import { hostAnswerPage } from "./pages/host_answer.ts";
import { newVisitor } from "./visitor.ts";

export const OFFER_CACHE_KEY = "/kiosk/offer";
const RECEIPT_MS = 5_000;
const RECEIPT_WITHOUT_LINE_MS = 1_500;
const BLANK_MS = 30_000;
const CLOCK_MS = 5_000;
const MAX_LATE = 50;

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
  "host-answer": hostAnswerPage,
  checkout: checkOutPage,
  "checked-out": checkedOutPage,
  refused: refusedPage,
  unpaired: unpairedPage,
  "out-of-order": outOfOrderPage,
} satisfies Record<string, (kiosk: Kiosk) => Page>;

export type State = keyof typeof pages;

const WITHOUT_VISITOR: State[] = ["language", "unpaired", "out-of-order"];

export class Kiosk {
  visitor = newVisitor();
  search: HostSearch | null = null;
  pairing: PairingOffer | null = null;
  readonly outbox: Outbox;
  private state: State = "out-of-order";
  private readonly idleness = new Idleness(() => this.startOver());
  private receiptTimer: ReturnType<typeof setTimeout> | undefined;
  private blankTimer: ReturnType<typeof setTimeout> | undefined;
  /** Visits whose visitor left before the receipt came: their number is shown when it does, if nobody else is here. */
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

  /** No visitor is using the kiosk. */
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
    render(this.root, pages[state](this), frame);
    clearTimeout(this.blankTimer);
    if (state === "registered") this.blankTimer = setTimeout(() => hideNames(this), BLANK_MS);
    this.idleness.watch(!this.isFree, state === "registered" ? this.waitingMs : QUIET_MS);
  }

  /** Deletes everything about the visitor but the outbox. */
  startOver(): void {
    clearTimeout(this.receiptTimer);
    const sent = this.visitor.sent;
    if (sent?.what === "visit" && sent.receipt === null && this.late.size < MAX_LATE) this.late.add(sent.id);
    this.visitor = newVisitor();
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

  /** Asks for the host's answer to the visitor with this number. */
  ask(number: string): void {
    this.asked = newId();
    this.visitor.hostAnswer = null;
    this.go("sending");
    const isSent = this.line()?.send("ask", { id: this.asked, number }) ?? false;
    this.receiptTimer = setTimeout(() => this.go("host-answer"), isSent ? RECEIPT_MS : 0);
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
    if (what === "offer") this.handleOffer(payload);
    else if (what === "found") this.handleFound(payload);
    else if (what === "receipt") this.handleReceipt(payload);
    else if (what === "answer") this.handleAnswer(payload);
    else if (what === "told") this.handleTold(payload);
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

  private handleOffer(payload: string): void {
    const offer = read("Offer", payload);
    if (offer === null || JSON.stringify(offer) === JSON.stringify(this.offer)) return;
    this.offer = offer;
    void cacheMessage(OFFER_CACHE_KEY, offer);
    if (this.isFree) this.startOver(); // never while a visitor is in the middle of something
  }

  private handleFound(payload: string): void {
    const found = read("Found", payload);
    if (found !== null) this.search?.answer(found);
  }

  private handleReceipt(payload: string): void {
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

  private handleAnswer(payload: string): void {
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
    if (this.state !== "registered") return; // the receipt is still to come; the hub resends the answer
    if (isNews) {
      showAnswer(this);
      this.idleness.restart();
    }
    this.line()?.send("shown", { visit: answer.visit, is_seen: true });
  }

  private handleTold(payload: string): void {
    const told = read("Told", payload);
    if (told === null || told.of !== this.asked || this.state !== "sending") return;
    this.asked = null;
    clearTimeout(this.receiptTimer);
    this.visitor.hostAnswer = told;
    this.go("host-answer");
  }

  private get waitingMs(): number {
    return (this.offer?.waiting_seconds ?? 300) * 1_000;
  }
}
