/**
 * Stores the last valid message of a kind, which survives disconnects, reloads and a killed browser.
 *
 * Uses Cache Storage. localStorage is written to disk seconds later: a browser killed in between
 * starts with the old content (measured, and the reason for this file).
 */

const CACHE = "kommunevert-shelf";

/** Resolves when the message is stored. Does nothing without Cache Storage (a page without https). */
export async function cacheMessage(address: string, message: object): Promise<void> {
  if (!("caches" in globalThis)) return;
  const cache = await caches.open(CACHE);
  await cache.put(address, new Response(JSON.stringify(message), { headers: { "content-type": "application/json" } }));
}

/** The text of the last stored message, null if none. */
export async function cachedMessage(address: string): Promise<string | null> {
  if (!("caches" in globalThis)) return null;
  const found = await (await caches.open(CACHE)).match(address);
  return found === undefined ? null : found.text();
}
