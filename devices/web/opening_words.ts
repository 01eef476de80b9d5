/** The opening hours as people read them, in the language of the page. */

import { weekdayOf, type Opening } from "./opening.ts";
import { catalogueOf, gettext, spokenLanguage } from "./i18n.ts";

/** From then on a weekday alone would be taken for an earlier one. */
const NEXT_WEEK_DAYS = 7;

export function stateWords(opening: Opening): string {
  return opening.isOpen ? gettext("Open now") : gettext("Closed now");
}

/** When that changes; empty when it is unknown. */
export function changeWords(opening: Opening): string {
  if (opening.isOpen) return gettext("Closes at {time}", { time: opening.closes });
  if (opening.opens === null) return "";
  const { inDays, date, weekday, at } = opening.opens;
  if (inDays === 0) return gettext("Opens today at {time}", { time: at });
  if (inDays === 1) return gettext("Opens tomorrow at {time}", { time: at });
  const day = inDays < NEXT_WEEK_DAYS ? (catalogueOf(spokenLanguage()).days[weekday] ?? "") : dateWords(date);
  return gettext("Opens {weekday} at {time}", { weekday: day, time: at });
}

export function dateWords(date: string): string {
  const { days, months } = catalogueOf(spokenLanguage());
  return gettext("{weekday} {day} {month}", {
    weekday: days[weekdayOf(date)] ?? "",
    day: String(Number(date.slice(8))),
    month: months[Number(date.slice(5, 7)) - 1] ?? "",
  });
}
