/** The time of day at the site, which need not be the time zone of the device on the wall. */

export interface SiteTime {
  /** "2026-12-24" */
  date: string;
  /** 0 is Monday, as in the contract. */
  weekday: number;
  day: number;
  /** 0 is January. */
  month: number;
  /** "09:05" */
  time: string;
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

export function siteTime(now: Date, timeZone: string): SiteTime {
  const parts = new Map(formatter(timeZone).formatToParts(now).map((part) => [part.type, part.value]));
  const two = (name: "month" | "day") => (parts.get(name) ?? "").padStart(2, "0");
  return {
    date: `${parts.get("year")}-${two("month")}-${two("day")}`,
    weekday: WEEKDAYS.indexOf(parts.get("weekday") ?? ""),
    day: Number(parts.get("day")),
    month: Number(parts.get("month")) - 1,
    time: `${parts.get("hour")}:${parts.get("minute")}`,
  };
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** For a zone that this browser does not know: the device's own clock, which is most likely right. */
function formatter(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const options: Intl.DateTimeFormatOptions = {
    weekday: "short",
    year: "numeric",
    day: "numeric",
    month: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  };
  let made: Intl.DateTimeFormat;
  try {
    made = new Intl.DateTimeFormat("en", { ...options, timeZone });
  } catch {
    made = new Intl.DateTimeFormat("en", options);
  }
  formatters.set(timeZone, made);
  return made;
}
