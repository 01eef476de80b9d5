/** Open or closed, and until when: the week's hours, and the dates on which others hold. Works without the hub. */

import type { OpeningDay, OtherDay } from "../web/contract.ts";
import type { SiteTime } from "./site_clock.ts";

export interface Hours {
  week: OpeningDay[];
  otherDays: OtherDay[];
}

export type Opening =
  | { isOpen: true; closes: string }
  | { isOpen: false; opens: { inDays: number; date: string; weekday: number; at: string } | null };

const DAYS = 7;
const LOOK_AHEAD_DAYS = 40;
const DAY_MILLISECONDS = 86_400_000;

/** Times are "hh:mm" and compare as text. */
export function openingAt(now: SiteTime, hours: Hours): Opening {
  const current = spansOn(hours, now, 0).find(([from, to]) => from <= now.time && now.time < to);
  if (current !== undefined) return { isOpen: true, closes: current[1] };
  for (let inDays = 0; inDays <= LOOK_AHEAD_DAYS; inDays += 1) {
    const next = spansOn(hours, now, inDays).find(([from]) => inDays > 0 || now.time < from);
    if (next !== undefined) {
      const weekday = (now.weekday + inDays) % DAYS;
      return { isOpen: false, opens: { inDays, date: dateAfter(now.date, inDays), weekday, at: next[0] } };
    }
  }
  return { isOpen: false, opens: null };
}

/** The date, if other hours hold on it than the week's. */
export function otherDayOn(hours: Hours, date: string): OtherDay | undefined {
  return hours.otherDays.find((day) => day.on === date);
}

/** Those that come within `days` from today on. */
export function otherDaysWithin(hours: Hours, now: SiteTime, days: number): OtherDay[] {
  const last = dateAfter(now.date, days);
  return hours.otherDays.filter((day) => now.date <= day.on && day.on < last);
}

/** 0 is Monday. */
export function weekdayOf(date: string): number {
  return (new Date(`${date}T12:00:00Z`).getUTCDay() + DAYS - 1) % DAYS;
}

/** Days after one another with the same hours: what a reader wants to see as one line. */
export interface DayGroup {
  first: number;
  last: number;
  spans: [string, string][];
}

export function dayGroups(week: OpeningDay[]): DayGroup[] {
  const groups: DayGroup[] = [];
  for (let weekday = 0; weekday < DAYS; weekday += 1) {
    const spans = spansOf(week, weekday);
    const group = groups.at(-1);
    if (group !== undefined && JSON.stringify(group.spans) === JSON.stringify(spans)) group.last = weekday;
    else groups.push({ first: weekday, last: weekday, spans });
  }
  return groups;
}

function spansOn(hours: Hours, now: SiteTime, inDays: number): [string, string][] {
  const other = otherDayOn(hours, dateAfter(now.date, inDays));
  return other === undefined ? spansOf(hours.week, (now.weekday + inDays) % DAYS) : (other.spans ?? []);
}

/** In the order of the day, whatever order they were written in. */
function spansOf(week: OpeningDay[], weekday: number): [string, string][] {
  const spans = week.filter((day) => day.weekday === weekday).flatMap((day) => day.spans ?? []);
  return spans.sort(([one], [other]) => one.localeCompare(other));
}

/** Dates alone, at noon of a clock that is never turned. */
function dateAfter(date: string, days: number): string {
  return new Date(Date.parse(`${date}T12:00:00Z`) + days * DAY_MILLISECONDS).toISOString().slice(0, 10);
}
