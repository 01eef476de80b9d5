/**
 * How a device without an account gets one: it shows a code, and an administrator types it on the console.
 *
 * Only who knows the claim can fetch the account, and the claim never leaves this page but to the hub.
 */

import { ASK_AGAIN_SECONDS, type PairingClaim, type PairingOffer, type PairingRequest } from "./contract.ts";
import { element } from "./element.ts";
import { newId } from "./identity.ts";
import { read } from "./reading.ts";
import { gettext } from "./i18n.ts";

const ANSWER_MS = 8_000;
const LONGEST_WAIT_MS = 30_000;

/** Shows an offer as often as there is a new one, null while the hub does not answer; ends by opening the link. */
export async function pair(kind: string, show: (offer: PairingOffer | null) => void): Promise<void> {
  for (;;) {
    const claim = newId() + newId();
    const offer = await offered({ claim, kind }, () => show(null));
    show(offer);
    const link = await linkFor({ claim }, offer, show);
    if (link !== null) {
      location.replace(link); // on this same page only the fragment changes: see restartOnNewLink
      return;
    }
  }
}

/** What a caretaker needs to see; null: nothing yet. */
export function pairingBlock(offer: PairingOffer | null): HTMLElement {
  if (offer === null) return element("p", { class: "caretaker" }, gettext("No contact with the hub yet."));
  const half = offer.code.length / 2;
  const parts = [offer.code.slice(0, half), offer.code.slice(half)];
  return element(
    "div",
    { class: "pairing" },
    element("img", { src: offer.picture, alt: gettext("QR code that opens the console"), width: 240, height: 240 }),
    element(
      "div",
      {},
      element("p", {}, gettext("Do you look after this screen? Scan the picture, or type this code in the console:")),
      element(
        "p",
        { class: "code", dir: "ltr", "data-code": offer.code, "aria-label": [...offer.code].join(" ") },
        ...parts.map((part) => element("span", {}, part)),
      ),
    ),
  );
}

async function offered(request: PairingRequest, isAway: () => void): Promise<PairingOffer> {
  for (let wait = 1_000; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const offer = read("PairingOffer", (await posted("/pair", request)) ?? "");
    if (offer !== null) return offer;
    isAway();
    await pause(wait * (0.5 + Math.random()));
  }
}

/** null: the code is too old, ask for a new one. */
async function linkFor(
  claim: PairingClaim,
  offer: PairingOffer,
  show: (offer: PairingOffer | null) => void,
): Promise<string | null> {
  const end = performance.now() + offer.valid_seconds * 1_000;
  let isShown = true;
  while (performance.now() < end) {
    await pause(ASK_AGAIN_SECONDS * 1_000);
    const answer = read("PairingAnswer", (await posted("/pair/claim", claim)) ?? "");
    if (answer?.state === "gone") return null;
    if (answer?.state === "paired" && answer.link) return answer.link;
    if (isShown !== (answer !== null)) show(answer === null ? null : offer);
    isShown = answer !== null;
  }
  return null;
}

async function posted(path: string, message: object): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(message), signal });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
