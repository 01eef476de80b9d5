/** What the visitor has entered so far. Replaced as a whole: nothing is kept between visitors. */

import type { Host, HostAnswer, Receipt, Signpost, Told } from "../web/contract.ts";

export interface Visitor {
  signpost: Signpost | null;
  letters: string;
  host: Host | null;
  name: string;
  company: string;
  sent: Sent | null;
  /** The reply to a visitor who asked by their number; null while it is pending. */
  hostAnswer: Told | null;
}

/** What was sent for this visitor, and the hub's replies. */
export interface Sent {
  id: string;
  what: "visit" | "checkout";
  receipt: Receipt | null;
  answer: HostAnswer["answer"] | null;
}

export function newVisitor(): Visitor {
  return { signpost: null, letters: "", host: null, name: "", company: "", sent: null, hostAnswer: null };
}
