/** Starts the player: the stored programme is shown first, so that the screen is never empty for long. */

import { openDatabase } from "../web/database.ts";
import { ENROLMENT_STORE, enrolledDevice, restartOnNewLink } from "../web/enrolment.ts";
import { connect } from "../web/link.ts";
import { keepOffline, startsOffline } from "../web/offline.ts";
import { pair } from "../web/pairing.ts";
import { read } from "../web/reading.ts";
import { cachedMessage } from "../web/message_cache.ts";
import { stayAwake } from "../web/wakefulness.ts";
import { Player, PROGRAMME_CACHE_KEY } from "./player.ts";

const programme = read("Programme", (await cachedMessage(PROGRAMME_CACHE_KEY)) ?? "");
const database = await openDatabase("kommunevert-screen", [ENROLMENT_STORE]).catch(() => null);
const enrolment = await enrolledDevice(database);
const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app");

const player = new Player(root, enrolment !== null, programme);
restartOnNewLink();
stayAwake();
player.play();

if (enrolment === null) {
  void pair("screen", (pairing) => player.showPairing(pairing));
} else {
  connect("screen", enrolment, {
    connected: () => player.lineChanged(true),
    disconnected: () => player.lineChanged(false),
    arrived: (what, payload) => void (what === "programme" && player.take(payload)),
    condition: () => (startsOffline() ? {} : { problem: "does not start without its network (is the page served over https?)" }),
  });
}
void keepOffline("/screen", () => true);
