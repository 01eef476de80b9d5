/** Plays the programme, also without a connection. */

import type { Notice, PairingOffer, Programme } from "../web/contract.ts";
import { element } from "../web/element.ts";
import { icon, type IconName } from "../web/icon.ts";
import { pairingBlock } from "../web/pairing.ts";
import { read } from "../web/reading.ts";
import { cacheMessage } from "../web/message_cache.ts";
import { siteTime } from "../web/site_clock.ts";
import { catalogueOf, directionOf, gettext, gettextIn, speak, speakable, spokenLanguage } from "../web/i18n.ts";
import { boardSection, pagesOf, roomIn } from "./board.ts";
import { ageSection, headSection, hoursSection, noticeSection } from "./sections.ts";
import { enlarge, fewestParts, pictureAt, picturesOf, takeoverSection, type Picture } from "./takeover.ts";
import { currentNotices, turnAt } from "./turns.ts";

export const PROGRAMME_CACHE_KEY = "/screen/programme";
const FRAME_MS = 1_000;
const AWAY_MS = 5_000;
const SECOND_LANGUAGE = "en";
const SMALLEST_TYPE = 0.45;

export class Player {
  private heardAt: number | null = null;
  /** By `performance.now`, which nobody can set; the page's start is 0. */
  private lostAt = 0;
  private isConnected = false;
  private pairing: PairingOffer | null = null;
  private readonly drawn = new Map<string, string>();
  private readonly parts = new Map<string, number>();

  constructor(
    private readonly root: HTMLElement,
    private readonly isPaired: boolean,
    private programme: Programme | null,
  ) {}

  play(): void {
    this.draw();
    setInterval(() => this.draw(), FRAME_MS);
    addEventListener("resize", () => this.drawAgain());
    void document.fonts.ready.then(() => this.drawAgain());
  }

  showPairing(offer: PairingOffer | null): void {
    this.pairing = offer;
    this.draw();
  }

  lineChanged(isConnected: boolean): void {
    if (isConnected || this.isConnected) {
      this.heardAt = Date.now();
      this.lostAt = performance.now();
    }
    this.isConnected = isConnected;
  }

  /** A new programme is stored before it is shown; one that is not a programme changes nothing. */
  async take(payload: string): Promise<void> {
    const programme = read("Programme", payload);
    if (programme === null) return;
    await cacheMessage(PROGRAMME_CACHE_KEY, programme).catch(() => {}); // a full disk: play it anyway
    this.programme = programme;
    this.parts.clear();
    this.draw();
  }

  private drawAgain(): void {
    this.drawn.clear();
    this.parts.clear();
    this.draw();
  }

  private draw(): void {
    document.body.removeAttribute("data-danger");
    if (!this.isPaired || this.programme === null) this.drawWaiting();
    else if (this.programme.is_on === false) this.drawDark();
    else this.drawPlaying(this.programme);
  }

  private drawPlaying(programme: Programme): void {
    document.body.dataset["state"] = "playing";
    const notices = currentNotices(programme.notices ?? [], new Date());
    const dangers = notices.filter((notice) => notice.severity === "danger");
    if (dangers.length > 0) this.drawTakeover(programme, dangers);
    else this.drawProgramme(programme, notices);
  }

  private drawTakeover(programme: Programme, dangers: Notice[]): void {
    document.body.toggleAttribute("data-danger", true);
    this.root.dataset["parts"] = "takeover";
    const pictures = picturesOf(dangers, programme.languages, (notice, language) =>
      this.partsOf(programme, notice, language),
    );
    const picture = pictureAt(performance.now(), pictures);
    if (picture !== undefined) this.drawPicture(programme, picture);
  }

  /** How many parts a text takes on this screen; measured once, before it is visible. */
  private partsOf(programme: Programme, notice: Notice, language: string): number {
    const key = `${notice.id} ${language}`;
    const known = this.parts.get(key);
    if (known !== undefined) return known;
    const parts = fewestParts((part, all) => {
      this.drawPicture(programme, { notice, language, part, parts: all });
      const drawn = this.root.querySelector<HTMLElement>(".takeover");
      return drawn !== null && enlarge(drawn);
    });
    this.parts.set(key, parts);
    return parts;
  }

  private drawPicture(programme: Programme, picture: Picture): void {
    speak(picture.language);
    this.replace([
      headSection(programme.site_name, siteTime(new Date(), programme.time_zone)),
      takeoverSection(picture),
      ageSection(this.asOf(programme)),
    ]);
  }

  /** Lays the board out again when the space that the other sections leave has changed. */
  private drawProgramme(programme: Programme, notices: Notice[], isSecondTry = false): void {
    const now = new Date();
    const here = siteTime(now, programme.time_zone);
    const board = programme.board ?? [];
    const languages = speakable(programme.languages);
    const room = roomIn(this.root.querySelector(".board ul"), unitOf(this.root), board.length);
    const turn = turnAt(performance.now(), notices.length, pagesOf(board.length, room), languages.length);
    speak(languages[turn.language] ?? "nn");
    this.root.dataset["parts"] = [
      notices.length > 0 ? "notice" : "",
      (programme.hours ?? []).length > 0 ? "hours" : "",
      board.length > 0 ? "board" : "",
    ]
      .filter(Boolean)
      .join(" ");
    this.replace([
      headSection(programme.site_name, here),
      noticeSection(notices, turn.notice),
      hoursSection(programme, here),
      boardSection(board, turn.boardPage, room),
      ageSection(this.asOf(programme)),
    ]);
    const found = roomIn(this.root.querySelector(".board ul"), unitOf(this.root), board.length);
    const isOther = found.rows !== room.rows || found.columns !== room.columns;
    if (board.length > 0 && isOther && !isSecondTry) this.drawProgramme(programme, notices, true);
  }

  /** null while connected, or disconnected for a moment only. */
  private asOf(programme: Programme): string | null {
    if (this.isConnected || performance.now() - this.lostAt < AWAY_MS) return null;
    const heardAt = this.heardAt ?? Date.parse(programme.made_at);
    const then = siteTime(new Date(heardAt), programme.time_zone);
    const today = siteTime(new Date(), programme.time_zone);
    if (then.day === today.day && then.month === today.month) return then.time;
    return `${catalogueOf(spokenLanguage()).days[then.weekday] ?? ""} ${then.time}`;
  }

  /** Switched off: a black page. */
  private drawDark(): void {
    document.body.dataset["state"] = "off";
    delete this.root.dataset["parts"];
    this.replace([]);
  }

  private drawWaiting(): void {
    document.body.dataset["state"] = this.isPaired ? "waiting" : "unpaired";
    delete this.root.dataset["parts"];
    if (this.isPaired) {
      this.replace([waitingSection("resting", gettext("One moment."), "One moment.", null)]);
      return;
    }
    const question = gettext("This screen is not set up yet");
    this.replace([
      waitingSection("pairing", question, "This screen is not set up yet", pairingBlock(this.pairing)),
    ]);
  }

  /** Replaces only what has changed. */
  private replace(sections: (HTMLElement | null)[]): void {
    const wanted = sections.filter((section) => section !== null);
    const names = new Set(wanted.map(nameOfSection));
    let isChanged = false;
    for (const old of [...this.root.children]) if (!names.has(nameOfSection(old))) old.remove();
    wanted.forEach((section, at) => {
      const name = nameOfSection(section);
      const old = [...this.root.children].find((child) => nameOfSection(child) === name);
      if (old !== undefined && this.drawn.get(name) === section.outerHTML) return;
      this.drawn.set(name, section.outerHTML);
      if (old === undefined) this.root.insertBefore(section, this.root.children[at] ?? null);
      else old.replaceWith(section);
      isChanged = true;
    });
    if (!isChanged) return;
    for (const section of this.root.children) {
      if (section.matches(".takeover")) enlarge(section as HTMLElement);
      else fit(section as HTMLElement);
    }
  }
}

/** Smaller type for a text that is too long for its place, rather than half of it. */
function fit(section: HTMLElement): void {
  for (let size = 1; size >= SMALLEST_TYPE; size -= 0.05) {
    section.style.setProperty("--fit", size.toFixed(2));
    if (section.scrollHeight <= section.clientHeight && section.scrollWidth <= section.clientWidth) return;
  }
}

function nameOfSection(section: Element): string {
  return section.getAttribute("data-section") ?? "";
}

function unitOf(root: HTMLElement): number {
  return Number.parseFloat(getComputedStyle(root).fontSize); // the stylesheet gives the root one unit of type
}

function waitingSection(name: IconName, text: string, second: string, help: HTMLElement | null): HTMLElement {
  return element(
    "section",
    { class: "waiting", "data-section": "waiting" },
    icon(name),
    element("h1", {}, text),
    element("p", { lang: SECOND_LANGUAGE, dir: directionOf(SECOND_LANGUAGE) }, gettextIn(SECOND_LANGUAGE, second)),
    help,
  );
}
