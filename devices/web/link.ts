/**
 * The connection to the broker: MQTT 5 over WebSockets on the page's own origin.
 *
 * The device shows that it is alive (`up/status`, `up/heartbeat`), reads its own `down` and writes its own
 * `up`. Nothing is queued here: what must not be lost stands in the app's own outbox.
 */

import mqtt from "mqtt";

import { battery } from "./battery.ts";
import { HEARTBEAT_SECONDS, type Heartbeat } from "./contract.ts";
import type { Enrolment } from "./enrolment.ts";
import { newId } from "./identity.ts";

const SHORTEST_WAIT_MS = 1_000;
/** In the first minutes of an outage retries are frequent, since somebody may be waiting. */
const FIRST_LONGEST_MS = 5_000;
const FIRST_MINUTES = 5;
const LONGEST_WAIT_MS = 15_000;
const CONNECT_MS = 8_000;
/** MQTT 5 § 3.14.2.1: another connection uses our account. */
const TAKEN_OVER = 0x8e;
const AFTER_TAKEOVER_MS = 5_000;
const LONGEST_AFTER_TAKEOVER_MS = 300_000;
/** A connection that lasted this long ends the outage, and was not taken over. */
const SETTLED_MS = 30_000;
/** Debian's broker does not report a takeover: this many short connections in a row count as one. */
const CUT_OFTEN = 3;
/** The hub tells a clock that was set from a message that waited by the latest heartbeat. */
const CLOCK_STEP_MS = 1_000;

export interface Ends {
  connected(): void;
  disconnected(): void;
  /** `what` is the part of the topic after `down/`. */
  arrived(what: string, payload: string): void;
  /** Further fields of the heartbeat. */
  condition(): Pick<Heartbeat, "outbox" | "problem">;
}

export interface Link {
  isConnected(): boolean;
  /** QoS 1. False without a connection: nothing was sent or queued. */
  send(what: string, message: object): boolean;
}

export function connect(kind: string, enrolment: Enrolment, ends: Ends): Link {
  const { device, root, secret, site } = enrolment;
  const branch = `${root}/${site}/${kind}/${device}`;
  const began = performance.now();
  const instance = newId();
  let failures = 0;
  let awaySince: number | null = null;
  let takenOver = 0;
  let cuts = 0;
  let wasConnected = false;
  let wasTakenOver = false;
  let connectedAt = began;
  let clockAhead = 0;

  const client = mqtt.connect(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/mqtt`, {
    protocolVersion: 5,
    clientId: device,
    username: device,
    password: secret,
    clean: true,
    keepalive: HEARTBEAT_SECONDS,
    connectTimeout: CONNECT_MS,
    reconnectPeriod: SHORTEST_WAIT_MS,
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: "native", // the other kind runs in a blob: worker, which our content security policy forbids
    will: { topic: `${branch}/up/status`, payload: asBytes({ online: false }), qos: 1, retain: true },
  });

  client.on("connect", () => {
    connectedAt = performance.now();
    wasConnected = true;
    client.publish(`${branch}/up/status`, JSON.stringify({ online: true }), { qos: 1, retain: true });
    client.subscribe(`${branch}/down/#`, { qos: 1 }, (error) => {
      if (error === null) ends.connected();
    });
    beat();
  });
  client.on("message", (topic, payload) => {
    ends.arrived(topic.slice(`${branch}/down/`.length), payload.toString());
  });
  client.on("disconnect", (packet) => {
    if (packet.reasonCode === TAKEN_OVER) wasTakenOver = true;
  });
  client.on("close", () => {
    const now = performance.now();
    const lasted = wasConnected ? now - connectedAt : null;
    if (lasted !== null && lasted >= SETTLED_MS) {
      failures = cuts = 0;
      awaySince = null;
    }
    if (awaySince === null) awaySince = now;
    else if (lasted !== null) awaySince += lasted; // the outage continues, less the time connected
    failures += 1;
    cuts = lasted === null ? 0 : cuts + 1;
    client.options.reconnectPeriod = waitBefore(failures, now - awaySince);
    if (wasTakenOver) {
      cuts = Math.max(cuts, CUT_OFTEN);
      client.options.reconnectPeriod = waitAfterTakeover(cuts - CUT_OFTEN);
    } else if (cuts >= CUT_OFTEN) {
      client.options.reconnectPeriod = Math.max(client.options.reconnectPeriod, waitAfterTakeover(0));
    }
    if (cuts >= CUT_OFTEN) takenOver += 1;
    wasConnected = wasTakenOver = false;
    ends.disconnected();
  });
  client.on("error", () => {}); // "close" follows and is what counts; without a listener it would be thrown

  setInterval(beat, HEARTBEAT_SECONDS * 1_000);

  function beat(): void {
    if (!client.connected) return;
    clockAhead = aheadOfSteady();
    const heartbeat: Heartbeat = {
      sent_at: new Date().toISOString(),
      version: __VERSION__,
      uptime_seconds: Math.floor((performance.now() - began) / 1_000),
      instance,
      taken_over: takenOver,
      ...battery(),
      ...ends.condition(),
    };
    client.publish(`${branch}/up/heartbeat`, JSON.stringify(heartbeat), { qos: 0 });
  }

  return {
    isConnected: () => client.connected,
    send(what, message) {
      if (!client.connected) return false;
      if (Math.abs(aheadOfSteady() - clockAhead) > CLOCK_STEP_MS) beat();
      client.publish(`${branch}/up/${what}`, JSON.stringify(message), { qos: 1 });
      return true;
    },
  };
}

/** Otherwise two devices with one account would disconnect each other several times a second. */
function waitAfterTakeover(before: number): number {
  return spread(Math.min(LONGEST_AFTER_TAKEOVER_MS, AFTER_TAKEOVER_MS * 2 ** Math.min(before, 10)));
}

/** At most 5 s in an outage's first five minutes, and then a second more for each minute; as `devices/wire/reconnecting.py`. */
function waitBefore(failures: number, awayMs: number): number {
  const first = Math.min(SHORTEST_WAIT_MS * 2 ** Math.min(failures - 1, 10), FIRST_LONGEST_MS);
  const later = Math.min(awayMs / 60, LONGEST_WAIT_MS);
  return spread(awayMs <= FIRST_MINUTES * 60_000 ? first : later);
}

/** Jitter, for when a whole fleet reconnects after a power cut. */
function spread(longestMs: number): number {
  return longestMs * (0.5 + Math.random() / 2);
}

/** Changes only when somebody sets the clock. */
function aheadOfSteady(): number {
  return Date.now() - performance.now();
}

function asBytes(message: object): never {
  // MQTT.js takes bytes here; its types ask for Node's Buffer, which a browser does not have
  return new TextEncoder().encode(JSON.stringify(message)) as never;
}
