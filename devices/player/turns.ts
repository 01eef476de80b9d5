/** What is on at a given moment: a function of the time alone, so that a reload changes nothing. */

import type { Notice } from "../web/contract.ts";

const TURN_MS = 12_000;

export interface Turn {
  notice: number;
  boardPage: number;
  language: number;
}

/** The language changes when every notice and every page of the board has been on. */
export function turnAt(elapsedMs: number, notices: number, boardPages: number, languages: number): Turn {
  const turn = Math.floor(elapsedMs / TURN_MS);
  const round = Math.max(notices, boardPages, 1);
  return {
    notice: notices === 0 ? 0 : (turn % round) % notices,
    boardPage: boardPages === 0 ? 0 : (turn % round) % boardPages,
    language: Math.floor(turn / round) % Math.max(languages, 1),
  };
}

const URGENCY = { danger: 0, warning: 1, info: 2 };

/** The notices on now, the gravest first; they begin and end without the hub. */
export function currentNotices(notices: Notice[], now: Date): Notice[] {
  return notices
    .filter((notice) => !notice.since || new Date(notice.since) <= now)
    .filter((notice) => !notice.until || new Date(notice.until) > now)
    .sort((one, other) => URGENCY[one.severity ?? "info"] - URGENCY[other.severity ?? "info"]);
}
