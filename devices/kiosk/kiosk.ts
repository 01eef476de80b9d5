/** The kiosk as a whole: which page it is on, what arrives, and when everything about a visitor is forgotten. */

import type { Offer, PairingOffer, Visit } from "../web/contract.ts";
import { newId } from "../web/identity.ts";
import type { Link } from "../web/link.ts";
import { read } from "../web/reading.ts";
import { shelve } from "../web/shelf.ts";
import { speak, speakable, spokenLanguage } from "../web/tongue.ts";
import type { HostSearch } from "./host_search.ts";
import { Idleness } from "./idleness.ts";
import { Outbox, type Item } from "./outbox.ts";
import { layOut, type Page } from "./page.ts";
import { checkedOutPage, checkOutPage } from "./pages/checkout.ts";
import { detailsPage } from "./pages/details.ts";
import { directionsPage } from "./pages/directions.ts";
import { languagePage } from "./pages/language.ts";
import { outOfOrderPage, unpairedPage } from "./pages/resting.ts";
import { searchPage } from "./pages/search.ts";
import { keptPage, refusedPage, registeredPage, sendingPage, showAnswer } from "./pages/sent.ts";
import { startPage } from "./pages/start.ts";
import { nobody } from "./visitor.ts";

export const OFFER_SHELF = "/kiosk/offer";
const RECEIPT_MS = 5_000;
const RECEIPT_WITHOUT_LINE_MS = 1_500;

const pages = {
  language: languagePage,
  start: startPage,
  directions: directionsPage,
  search: searchPage,
  details: detailsPage,
  sending: sendingPage,
  kept: keptPage,
  registered: registeredPage,
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

  constructor(
    private readonly root: HTMLElement,
    database: IDBDatabase | null,
    readonly line: () => Link | null,
    public offer: Offer | null,
    readonly isPaired: boolean,
  ) {
    this.outbox = new Outbox(database, (item: Item) => this.line()?.send(item.what, item.message) ?? false);
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
    this.idleness.watch(!this.isFree);
  }

  /** Forgets everything but the outbox. */
  startOver(): void {
    clearTimeout(this.receiptTimer);
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
    this.outbox.settle(receipt.of);
    const sent = this.visitor.sent;
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
    if (answer === null || sent?.id !== answer.visit || sent.answer === answer.answer) return;
    sent.answer = answer.answer;
    if (this.state !== "registered") return;
    showAnswer(this);
    this.idleness.restart();
  }
}
