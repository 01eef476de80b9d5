/** What the visitor at the kiosk has told so far. Forgotten as a whole: nothing of it is kept between visitors. */

import type { Host, HostAnswer, Receipt, Signpost, Told } from "../web/contract.ts";

export interface Visitor {
  signpost: Signpost | null;
  letters: string;
  host: Host | null;
  name: string;
  company: string;
  sent: Sent | null;
  /** What the visitor heard who asked by their number; null while the question is under way. */
  told: Told | null;
}

/** What was sent for this visitor, and what came back. */
export interface Sent {
  id: string;
  what: "visit" | "checkout";
  receipt: Receipt | null;
  answer: HostAnswer["answer"] | null;
}

export function nobody(): Visitor {
  return { signpost: null, letters: "", host: null, name: "", company: "", sent: null, told: null };
}
