/** The tablet's battery, where the browser has the API (Chromium, over https). */

import type { Heartbeat } from "./contract.ts";

interface Battery extends EventTarget {
  readonly level: number;
}

let known: Battery | null = null;

if ("getBattery" in navigator) {
  void (navigator as { getBattery(): Promise<Battery> })
    .getBattery()
    .then((battery) => (known = battery))
    .catch(() => {}); // a policy may forbid it
}

export function battery(): Pick<Heartbeat, "battery_percent"> {
  return known === null ? {} : { battery_percent: Math.round(known.level * 100) };
}
