/** Who is in and who is out, never why. As many names as the wall has room for, the rest on the next page. */

import type { BoardRow } from "../web/contract.ts";
import { element } from "../web/element.ts";
import { gettext, nameOf } from "../web/i18n.ts";

export interface Room {
  columns: number;
  rows: number;
}

const MIN_COLUMN_WIDTH = 27;
const ROW_HEIGHT = 4.4;

/** How much fits into `list`; `unit` is the stylesheet's --u in pixels, in which rows are measured. */
export function roomIn(list: HTMLElement | null, unit: number, people: number): Room {
  if (list === null) return { columns: 1, rows: 8 };
  const rows = Math.max(1, Math.floor(list.clientHeight / (ROW_HEIGHT * unit)));
  const widest = Math.max(1, Math.floor(list.clientWidth / (MIN_COLUMN_WIDTH * unit)));
  return { columns: Math.min(widest, Math.ceil(people / rows)) || 1, rows };
}

export function pagesOf(people: number, room: Room): number {
  return Math.ceil(people / (room.columns * room.rows));
}

export function boardSection(board: BoardRow[], page: number, room: Room): HTMLElement | null {
  if (board.length === 0) return null;
  const size = room.columns * room.rows;
  const shown = board.slice(page * size, (page + 1) * size);
  const pages = pagesOf(board.length, room);
  const list = element("ul", {}, ...shown.map(row));
  list.style.gridTemplateRows = `repeat(${room.rows}, auto)`;
  return element(
    "section",
    { class: "board", "data-section": "board" },
    element(
      "h2",
      {},
      gettext("Who is in"),
      pages > 1 ? element("span", { class: "page", dir: "ltr" }, `${page + 1} / ${pages}`) : null,
    ),
    list,
  );
}

function row(person: BoardRow): HTMLElement {
  return element(
    "li",
    { "data-in": String(person.is_in) },
    element(
      "span",
      { class: "who" },
      element("strong", {}, nameOf(person.name)),
      element("span", {}, nameOf(person.unit)),
    ),
    element("span", { class: "presence" }, person.is_in ? gettext("In") : gettext("Out")),
  );
}
