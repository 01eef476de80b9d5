/**
 * The service worker of one app. The build fills in which files make a release: the page and its hashed assets
 * are stored together, so that an offline start never mixes two releases.
 */

declare const __PAGE__: string;
declare const __ASSETS__: string[];
declare const __RELEASE__: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const PREFIX = `kommunevert-app${__PAGE__}-`;
const CACHE = PREFIX + __RELEASE__;
const PAGE_MS = 3_000;

worker.addEventListener("install", (event) => {
  event.waitUntil(store());
});

async function store(): Promise<void> {
  const release = await caches.open(CACHE);
  await release.addAll([__PAGE__, ...__ASSETS__].map((address) => new Request(address, { cache: "reload" })));
  await worker.skipWaiting();
}

worker.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

async function takeOver(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await worker.clients.claim();
}

worker.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || address.origin !== location.origin) return;
  if (event.request.mode === "navigate" && address.pathname === __PAGE__) event.respondWith(page(event.request));
  else if (__ASSETS__.includes(address.pathname)) event.respondWith(asset(event.request));
});

/** From the server while it answers, else as stored. */
async function page(request: Request): Promise<Response> {
  try {
    const fresh = await fetch(request, { signal: AbortSignal.timeout(PAGE_MS) });
    if (fresh.ok) return fresh;
  } catch {
    // away or too slow: the stored page is as good
  }
  return (await (await caches.open(CACHE)).match(__PAGE__)) ?? Response.error();
}

async function asset(request: Request): Promise<Response> {
  return (await (await caches.open(CACHE)).match(request)) ?? fetch(request);
}
