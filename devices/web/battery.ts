/** The tablet's battery, where the browser tells it (Chromium, over https); asked once, and kept current by the browser. */

import type { Heartbeat } from "./contract.ts";

interface Battery extends EventTarget {
  readonly level: number;
}

let known: Battery | null = null;

if ("getBattery" in navigator) {
  void (navigator as { getBattery(): Promise<Battery> })
    .getBattery()
    .then((battery) => (known = battery))
    .catch(() => {}); // a policy may forbid it: then nobody knows
}

export function battery(): Pick<Heartbeat, "battery_percent"> {
  return known === null ? {} : { battery_percent: Math.round(known.level * 100) };
}
