/**
 * Who this device is. Pairing by a code, or the console, makes a link `#device=…&secret=…&site=…&root=…`; browsers never send the
 * part after `#` to a server. It is taken out of the address bar at once and kept in IndexedDB.
 */

import { answered, written } from "./database.ts";

export interface Enrolment {
  device: string;
  secret: string;
  site: string;
  root: string;
}

const STORE = "enrolment";
/** Opened with this fragment, a device deletes its enrolment and shows a pairing code. */
const FORGET = "#pair";
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The store that `enrolledDevice` needs in the app's database. */
export const ENROLMENT_STORE = STORE;

/** The enrolment in the link, else the stored one; null when this device was never enrolled. */
export async function enrolledDevice(database: IDBDatabase | null): Promise<Enrolment | null> {
  const isToForget = location.hash === FORGET;
  const given = takeFromAddress();
  if (given !== null) {
    if (database !== null) await written(database, STORE, (records) => records.put({ id: "this", ...given }));
    return given;
  }
  if (database === null) return null;
  if (isToForget) await written(database, STORE, (records) => records.delete("this"));
  const kept = await answered(database.transaction(STORE).objectStore(STORE).get("this"));
  return (kept as Enrolment | undefined) ?? null;
}

/** A new link opened in a page that already runs: start again as the new device. */
export function restartOnNewLink(): void {
  addEventListener("hashchange", () => {
    if (location.hash.includes("secret=") || location.hash === FORGET) location.reload();
  });
}

function takeFromAddress(): Enrolment | null {
  const given = new URLSearchParams(location.hash.slice(1));
  const device = given.get("device");
  const secret = given.get("secret");
  const site = given.get("site");
  if (location.hash.length > 1) history.replaceState(null, "", location.pathname + location.search);
  if (device === null || secret === null || site === null) return null;
  const root = given.get("root") ?? "kommunevert";
  return ID.test(device) && ID.test(site) ? { device, secret, site, root } : null;
}
