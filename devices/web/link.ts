/**
 * The line to the broker: MQTT 5 over WebSockets on the page's own origin.
 *
 * The device shows that it is alive (`up/status`, `up/heartbeat`), reads its own `down` and writes its own
 * `up`. Nothing is queued here: what must not be lost stands in the app's own outbox.
 */

import mqtt from "mqtt";

import { battery } from "./battery.ts";
import { HEARTBEAT_SECONDS, type Heartbeat } from "./contract.ts";
import type { Enrolment } from "./enrolment.ts";

const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
const CONNECT_MS = 8_000;

export interface Ends {
  connected(): void;
  disconnected(): void;
  /** `what` is the part of the topic after `down/`. */
  arrived(what: string, payload: string): void;
  /** What the heartbeat should tell beside the time. */
  condition(): Pick<Heartbeat, "outbox" | "problem">;
}

export interface Link {
  isConnected(): boolean;
  /** QoS 1. False when the line is down: nothing was sent and nothing will be. */
  send(what: string, message: object): boolean;
}

export function connect(kind: string, enrolment: Enrolment, ends: Ends): Link {
  const { device, root, secret, site } = enrolment;
  const branch = `${root}/${site}/${kind}/${device}`;
  const began = performance.now();
  let failures = 0;

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
    failures = 0;
    client.publish(`${branch}/up/status`, JSON.stringify({ online: true }), { qos: 1, retain: true });
    client.subscribe(`${branch}/down/#`, { qos: 1 }, (error) => {
      if (error === null) ends.connected();
    });
    beat();
  });
  client.on("message", (topic, payload) => {
    ends.arrived(topic.slice(`${branch}/down/`.length), payload.toString());
  });
  client.on("close", () => {
    failures += 1;
    client.options.reconnectPeriod = waitBefore(failures);
    ends.disconnected();
  });
  client.on("error", () => {}); // "close" follows and is what counts; without a listener it would be thrown

  setInterval(beat, HEARTBEAT_SECONDS * 1_000);

  function beat(): void {
    if (!client.connected) return;
    const heartbeat: Heartbeat = {
      sent_at: new Date().toISOString(),
      version: __VERSION__,
      uptime_seconds: Math.floor((performance.now() - began) / 1_000),
      ...battery(),
      ...ends.condition(),
    };
    client.publish(`${branch}/up/heartbeat`, JSON.stringify(heartbeat), { qos: 0 });
  }

  return {
    isConnected: () => client.connected,
    send(what, message) {
      if (!client.connected) return false;
      client.publish(`${branch}/up/${what}`, JSON.stringify(message), { qos: 1 });
      return true;
    },
  };
}

/** Longer for every failure, and never the same for two devices: a whole fleet comes back after a power cut. */
function waitBefore(failures: number): number {
  const longest = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** Math.min(failures, 10));
  return SHORTEST_WAIT_MS / 2 + Math.random() * (longest - SHORTEST_WAIT_MS / 2);
}

function asBytes(message: object): never {
  // MQTT.js takes bytes here; its types ask for Node's Buffer, which a browser does not have
  return new TextEncoder().encode(JSON.stringify(message)) as never;
}
