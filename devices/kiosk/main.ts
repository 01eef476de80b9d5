/** Starts the kiosk: reads its enrolment and the stored offer, then connects to the hub. */

import { openDatabase } from "../web/database.ts";
import { ENROLMENT_STORE, enrolledDevice, restartOnNewLink } from "../web/enrolment.ts";
import { connect, type Link } from "../web/link.ts";
import { keepOffline, startsOffline } from "../web/offline.ts";
import { pair } from "../web/pairing.ts";
import { read } from "../web/reading.ts";
import { cachedMessage } from "../web/message_cache.ts";
import { stayAwake } from "../web/wakefulness.ts";
import { Kiosk, OFFER_CACHE_KEY } from "./kiosk.ts";
import { OUTBOX_STORE } from "./outbox.ts";

const database = await openDatabase("kommunevert-kiosk", [ENROLMENT_STORE, OUTBOX_STORE]).catch(() => null);
const enrolment = await enrolledDevice(database);
const offer = read("Offer", (await cachedMessage(OFFER_CACHE_KEY)) ?? "");
const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app");

let link: Link | null = null;
const kiosk = new Kiosk(root, database, () => link, enrolment === null ? null : offer, enrolment !== null);
restartOnNewLink();
stayAwake();
kiosk.startOver();

if (enrolment === null) {
  void pair("kiosk", (pairing) => kiosk.showPairing(pairing));
} else {
  await kiosk.outbox.open();
  link = connect("kiosk", enrolment, {
    connected: () => kiosk.connected(),
    disconnected: () => {},
    arrived: (what, payload) => kiosk.arrived(what, payload),
    condition: () => ({ outbox: kiosk.outbox.size, ...problem() }),
  });
}
void keepOffline("/kiosk", () => kiosk.isFree);

function problem(): { problem?: string } {
  if (database === null) return { problem: "no storage: visits that wait for the network are lost at a restart" };
  if (!startsOffline()) return { problem: "does not start without its network (is the page served over https?)" };
  return {};
}
