/** Keeps the app itself on the device, and brings in a new release when nobody is using the old one. */

const LOOK_FOR_RELEASE_MS = 15 * 60 * 1_000;
const TRY_TO_CHANGE_MS = 5_000;
const TIME_TO_STORE_MS = 60_000;

/** `isFree`: whether the page may reload now. */
export async function keepOffline(scope: string, isFree: () => boolean): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const hadRelease = navigator.serviceWorker.controller !== null;
  let changing = false;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (!hadRelease || changing) return;
    changing = true;
    setInterval(() => isFree() && location.reload(), TRY_TO_CHANGE_MS);
  });
  try {
    const registration = await navigator.serviceWorker.register(`${scope}/sw.js`, { scope });
    setInterval(() => void registration.update().catch(() => {}), LOOK_FOR_RELEASE_MS);
    await navigator.storage?.persist?.();
  } catch {
    // The server is away or the page is not served over https: the app runs, `startsOffline` tells the hub.
  }
}

/** Whether this device would start with its network gone; the first minute is for getting there. */
export function startsOffline(): boolean {
  if (performance.now() < TIME_TO_STORE_MS) return true;
  return "serviceWorker" in navigator && navigator.serviceWorker.controller !== null;
}
