/** Open or closed, and until when, from the weekly hours. */

import type { OpeningDay } from "../web/contract.ts";
import type { SiteTime } from "./site_clock.ts";

export type Opening =
  | { isOpen: true; closes: string }
  | { isOpen: false; opens: { inDays: number; weekday: number; at: string } | null };

const DAYS = 7;

/** Times are "hh:mm" and compare as text. */
export function openingAt(now: SiteTime, hours: OpeningDay[]): Opening {
  const current = spansOf(hours, now.weekday).find(([from, to]) => from <= now.time && now.time < to);
  if (current !== undefined) return { isOpen: true, closes: current[1] };
  for (let inDays = 0; inDays <= DAYS; inDays += 1) {
    const weekday = (now.weekday + inDays) % DAYS;
    const next = spansOf(hours, weekday).find(([from]) => inDays > 0 || now.time < from);
    if (next !== undefined) return { isOpen: false, opens: { inDays, weekday, at: next[0] } };
  }
  return { isOpen: false, opens: null };
}

/** Days after one another with the same hours: what a reader wants to see as one line. */
export interface DayGroup {
  first: number;
  last: number;
  spans: [string, string][];
}

export function dayGroups(hours: OpeningDay[]): DayGroup[] {
  const groups: DayGroup[] = [];
  for (let weekday = 0; weekday < DAYS; weekday += 1) {
    const spans = spansOf(hours, weekday);
    const group = groups.at(-1);
    if (group !== undefined && JSON.stringify(group.spans) === JSON.stringify(spans)) group.last = weekday;
    else groups.push({ first: weekday, last: weekday, spans });
  }
  return groups;
}

/** In the order of the day, whatever order they were written in. */
function spansOf(hours: OpeningDay[], weekday: number): [string, string][] {
  const spans = hours.filter((day) => day.weekday === weekday).flatMap((day) => day.spans ?? []);
  return spans.sort(([one], [other]) => one.localeCompare(other));
}
