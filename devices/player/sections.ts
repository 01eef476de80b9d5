/** The sections beside the board, each a pure function of the programme. */

import type { Notice, OtherDay, Programme } from "../web/contract.ts";
import { element } from "../web/element.ts";
import { icon } from "../web/icon.ts";
import { dayGroups, openingAt, otherDayOn, otherDaysWithin, type DayGroup, type Hours } from "../web/opening.ts";
import { changeWords, dateWords, stateWords } from "../web/opening_words.ts";
import type { SiteTime } from "../web/site_clock.ts";
import { catalogueOf, gettext, nameOf, spokenLanguage, translated } from "../web/i18n.ts";

export function headSection(siteName: string, now: SiteTime): HTMLElement {
  const { days, months } = catalogueOf(spokenLanguage());
  const date = gettext("{weekday} {day} {month}", {
    weekday: days[now.weekday] ?? "",
    day: String(now.day),
    month: months[now.month] ?? "",
  });
  return element(
    "header",
    { class: "head", "data-section": "head" },
    element("span", { class: "mark", "aria-hidden": "true" }),
    element("h1", {}, nameOf(siteName)),
    element(
      "div",
      { class: "clock" },
      element("p", { class: "time", dir: "ltr" }, now.time),
      element("p", { class: "date" }, capitalised(date)),
    ),
  );
}

export function noticeSection(notices: Notice[], shown: number): HTMLElement | null {
  const notice = notices[shown];
  if (notice === undefined) return null;
  const severity = notice.severity ?? "info";
  const text = translated(notice.text);
  return element(
    "section",
    {
      class: "notice",
      "data-section": "notice",
      "data-notice": notice.id,
      "data-severity": severity,
    },
    element("p", { class: "kind" }, icon(severity === "info" ? "info" : "warning"), kindOf(severity)),
    element("h2", {}, translated(notice.title)),
    text.textContent ? element("p", { class: "text" }, text) : null,
    notices.length > 1
      ? element("p", { class: "dots", "aria-hidden": "true" }, ...notices.map((_, at) => dot(at === shown)))
      : null,
  );
}

export function hoursSection(programme: Programme, now: SiteTime): HTMLElement | null {
  const hours: Hours = { week: programme.hours ?? [], otherDays: programme.other_days ?? [] };
  if (hours.week.length === 0) return null;
  const { days } = catalogueOf(spokenLanguage());
  const opening = openingAt(now, hours);
  const isOther = otherDayOn(hours, now.date) !== undefined;
  const rows = [
    ...otherDaysWithin(hours, now, COMING_DAYS)
      .slice(0, MAX_COMING)
      .map((day) => hoursRow(otherDayName(day), day.spans ?? [], day.on === now.date)),
    ...dayGroups(hours.week).map((group) =>
      hoursRow([dayNames(group, days)], group.spans, !isOther && group.first <= now.weekday && now.weekday <= group.last),
    ),
  ];
  return element(
    "section",
    { class: "hours", "data-section": "hours" },
    element(
      "div",
      { class: "opening", "data-open": String(opening.isOpen) },
      element("h2", {}, stateWords(opening)),
      element("p", {}, changeWords(opening)),
    ),
    element("ul", { "aria-label": gettext("Opening hours") }, ...rows),
  );
}

/** How far ahead a reader wants to know of a day with other hours, and of how many. */
const COMING_DAYS = 8;
const MAX_COMING = 3;

function hoursRow(name: (string | HTMLElement)[], spans: [string, string][], isToday: boolean): HTMLElement {
  const times = spans.map(([from, to], at) => `${from}–${to}${at + 1 < spans.length ? "," : ""}`);
  const written = times.flatMap((time) => [" ", element("span", {}, time)]);
  return element(
    "li",
    { "data-today": isToday, "aria-current": isToday ? "date" : null },
    element("span", {}, ...name),
    written.length > 0
      ? element("span", { class: "spans", dir: "ltr" }, ...written)
      : element("span", { class: "spans" }, gettext("Closed")),
  );
}

/** "Første juledag, fredag 25. desember", or the day and its date alone. */
function otherDayName(day: OtherDay): (string | HTMLElement)[] {
  return day.name ? [translated(day.name), ", ", dateWords(day.on)] : [capitalised(dateWords(day.on))];
}

function dayNames({ first, last }: DayGroup, days: string[]): string {
  const from = capitalised(days[first] ?? "");
  return first === last ? from : `${from}–${days[last] ?? ""}`;
}

function kindOf(severity: NonNullable<Notice["severity"]>): string {
  return severity === "warning" ? gettext("Please note") : gettext("News");
}

/** How old the content is; only without a connection. */
export function ageSection(asOf: string | null): HTMLElement | null {
  if (asOf === null) return null;
  return element("p", { class: "age", "data-section": "age" }, gettext("Shown as of {time}", { time: asOf }));
}

function dot(isOn: boolean): HTMLElement {
  return element("i", { "data-on": isOn });
}

function capitalised(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}
