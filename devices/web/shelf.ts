/**
 * What a device must still know after a cut line, a reload or a killed browser: the last good message of a kind.
 *
 * It stands in Cache Storage. localStorage is written to disk seconds later: a browser killed in between
 * starts with the old content (measured, and the reason for this file).
 */

const CACHE = "kommunevert-shelf";

/** Done when the message is stored. Does nothing where the browser has no Cache Storage (a page without https). */
export async function shelve(address: string, message: object): Promise<void> {
  if (!("caches" in globalThis)) return;
  const shelf = await caches.open(CACHE);
  await shelf.put(address, new Response(JSON.stringify(message), { headers: { "content-type": "application/json" } }));
}

/** The text that was shelved last, null if none. */
export async function shelved(address: string): Promise<string | null> {
  if (!("caches" in globalThis)) return null;
  const found = await (await caches.open(CACHE)).match(address);
  return found === undefined ? null : found.text();
}
