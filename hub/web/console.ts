/**
 * What the console's server-rendered pages need in the browser: htmx with server-sent events, and the
 * components of Designsystemet.
 *
 * Live parts in htmx 4: `<div hx-sse:connect="/events" hx-target="this">`. An event without a name is swapped in,
 * one with a name becomes a DOM event that `hx-trigger` can wait for.
 */

import htmx from "htmx.org";
import "htmx.org/dist/ext/hx-sse.js";
import "@digdir/designsystemet-web";

/** `hx-on:` and `js:` values are code in attributes, which our content security policy forbids: say so clearly. */
function refuseCode(): never {
  throw new Error("code in an attribute (hx-on:, js:) is not run here: write an event listener in console.ts");
}

htmx.config.mode = "same-origin";
htmx.registerExtension("no-code-in-attributes", {
  init: (internals: { initSecurity(policy: null, sync: () => never, async: () => never): void }) => {
    internals.initSecurity(null, refuseCode, refuseCode);
  },
});
