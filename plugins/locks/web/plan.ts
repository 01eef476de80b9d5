/**
 * Moves the doors of a floor plan: `<svg data-places="/plans/1/place">` with `<a class="marker" data-door data-x data-y>`
 * in it, by pointer or by the arrow keys. Each place is sent when the door comes to rest, in the picture's own units.
 */

const STEP = 1 / 200;
const FAR = 10;
const REST_MILLISECONDS = 400;

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const resting = new Map<string, ReturnType<typeof setTimeout>>();

function placeAt(marker: SVGAElement, x: number, y: number): void {
  const { width, height } = (marker.ownerSVGElement as SVGSVGElement).viewBox.baseVal;
  const within = (value: number, most: number) => Math.min(Math.max(value, 0), most).toFixed(2);
  marker.dataset.x = within(x, width);
  marker.dataset.y = within(y, height);
  marker.setAttribute("transform", `translate(${marker.dataset.x} ${marker.dataset.y})`);
}

function saveSoon(address: string, marker: SVGAElement): void {
  const { door = "", x = "", y = "" } = marker.dataset;
  clearTimeout(resting.get(door));
  resting.set(door, setTimeout(() => void save(address, door, x, y), REST_MILLISECONDS));
}

async function save(address: string, door: string, x: string, y: string): Promise<void> {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams({ door, x, y }), redirect: "manual" });
  if (answer.type !== "opaqueredirect" && !answer.ok) location.reload(); // not saved: show the stored place
}

function follow(plan: SVGSVGElement, address: string): void {
  const pointAt = (event: PointerEvent) =>
    new DOMPoint(event.clientX, event.clientY).matrixTransform(plan.getScreenCTM()?.inverse());
  for (const marker of plan.querySelectorAll<SVGAElement>("a.marker")) {
    marker.addEventListener("click", (event) => event.preventDefault());
    marker.addEventListener("dragstart", (event) => event.preventDefault());
    marker.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      marker.focus();
      marker.setPointerCapture(event.pointerId);
    });
    marker.addEventListener("pointermove", (event) => {
      if (!marker.hasPointerCapture(event.pointerId)) return;
      const { x, y } = pointAt(event);
      placeAt(marker, x, y);
    });
    marker.addEventListener("pointerup", () => saveSoon(address, marker));
    marker.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      const step = Math.max(plan.viewBox.baseVal.width, plan.viewBox.baseVal.height) * STEP * (event.shiftKey ? FAR : 1);
      placeAt(marker, Number(marker.dataset.x) + arrow[0] * step, Number(marker.dataset.y) + arrow[1] * step);
      saveSoon(address, marker);
    });
  }
}

for (const plan of document.querySelectorAll<SVGSVGElement>("svg[data-places]")) follow(plan, plan.dataset.places ?? "");
