/**
 * Draws what an entity was: `<div class="chart" data-history="/api/v1/entities/…/history" data-unit="°C" data-name="…">`.
 * The numbers are asked for again when the page hears that something has changed, at most every few seconds.
 */

import uPlot from "uplot";

const AGAIN_MILLISECONDS = 10_000;
const HEIGHT = 180;
const SHOWN_SECONDS = 86_400;

interface Sample {
  at: string;
  value: string | number | null;
}

const drawn = new Map<HTMLElement, uPlot>();

async function draw(place: HTMLElement): Promise<void> {
  const answer = await fetch(place.dataset.history ?? "", { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const { samples } = (await answer.json()) as { samples: Sample[] };
  const times = samples.map((sample) => Date.parse(sample.at) / 1000);
  const values = samples.map((sample) => (typeof sample.value === "number" ? sample.value : null));
  const last = values.at(-1);
  if (last !== undefined) {
    times.push(Date.now() / 1000); // it is still so
    values.push(last);
  }
  const known = drawn.get(place);
  if (known) known.setData([times, values]);
  else drawn.set(place, new uPlot(options(place), [times, values], place));
}

function options(place: HTMLElement): uPlot.Options {
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--ds-color-accent-base-default") || "#0062ba";
  const unit = place.dataset.unit ?? "";
  const paths = uPlot.paths.stepped?.({ align: 1 }); // a state holds until the next one
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: true, y: false } },
    scales: { x: { range: (_chart, first) => [Math.max(first, Date.now() / 1000 - SHOWN_SECONDS), Date.now() / 1000] } },
    axes: [{ values: (_chart, ticks) => ticks.map(clock) }, { size: 64, values: (_chart, ticks) => ticks.map((tick) => `${tick.toLocaleString(document.documentElement.lang)} ${unit}`) }],
    series: [{}, { label: place.dataset.name ?? "", stroke: colour, width: 2, ...(paths && { paths }) }],
  };
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function drawAll(): void {
  for (const place of document.querySelectorAll<HTMLElement>(".chart[data-history]")) void draw(place);
}

window.addEventListener("resize", () => {
  for (const [place, chart] of drawn) chart.setSize({ width: place.clientWidth, height: HEIGHT });
});
setInterval(drawAll, AGAIN_MILLISECONDS);
drawAll();
