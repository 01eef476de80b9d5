/** Icons from Nav's Aksel, as inline SVG that takes the colour of the text. They never carry meaning alone. */

import ArrowLeft from "@navikt/aksel-icons/svg/ArrowLeft.svg" with { type: "text" };
import ArrowUndo from "@navikt/aksel-icons/svg/ArrowUndo.svg" with { type: "text" };
import Books from "@navikt/aksel-icons/svg/Books.svg" with { type: "text" };
import Checkmark from "@navikt/aksel-icons/svg/CheckmarkHeavy.svg" with { type: "text" };
import ChevronRight from "@navikt/aksel-icons/svg/ChevronRight.svg" with { type: "text" };
import Clock from "@navikt/aksel-icons/svg/Clock.svg" with { type: "text" };
import Coffee from "@navikt/aksel-icons/svg/Coffee.svg" with { type: "text" };
import HandHeart from "@navikt/aksel-icons/svg/HandHeart.svg" with { type: "text" };
import Handshake from "@navikt/aksel-icons/svg/Handshake.svg" with { type: "text" };
import HeadHeart from "@navikt/aksel-icons/svg/HeadHeart.svg" with { type: "text" };
import HikingTrailSign from "@navikt/aksel-icons/svg/HikingTrailSign.svg" with { type: "text" };
import Information from "@navikt/aksel-icons/svg/Information.svg" with { type: "text" };
import Leave from "@navikt/aksel-icons/svg/Leave.svg" with { type: "text" };
import Link from "@navikt/aksel-icons/svg/Link.svg" with { type: "text" };
import MagnifyingGlass from "@navikt/aksel-icons/svg/MagnifyingGlass.svg" with { type: "text" };
import Meeting from "@navikt/aksel-icons/svg/MeetingLarge.svg" with { type: "text" };
import Paperplane from "@navikt/aksel-icons/svg/Paperplane.svg" with { type: "text" };
import PersonChat from "@navikt/aksel-icons/svg/PersonChat.svg" with { type: "text" };
import PersonGroup from "@navikt/aksel-icons/svg/PersonGroup.svg" with { type: "text" };
import Staircase from "@navikt/aksel-icons/svg/Staircase.svg" with { type: "text" };
import Stethoscope from "@navikt/aksel-icons/svg/Stethoscope.svg" with { type: "text" };
import Stroller from "@navikt/aksel-icons/svg/Stroller.svg" with { type: "text" };
import Toilet from "@navikt/aksel-icons/svg/Toilet.svg" with { type: "text" };
import Warning from "@navikt/aksel-icons/svg/ExclamationmarkTriangle.svg" with { type: "text" };

import Erase from "./erase.svg" with { type: "text" };
import { element } from "./element.ts";
import type { Signpost } from "./contract.ts";

const drawings = {
  back: ArrowLeft,
  check: Checkmark,
  clock: Clock,
  erase: Erase,
  forward: ChevronRight,
  handshake: Handshake,
  kept: HandHeart,
  leave: Leave,
  pairing: Link,
  person: PersonChat,
  resting: Coffee,
  search: MagnifyingGlass,
  sending: Paperplane,
  start_over: ArrowUndo,
  warning: Warning,
  way: HikingTrailSign,
  // what a signpost may show
  child: Stroller,
  desk: PersonChat,
  doctor: Stethoscope,
  info: Information,
  library: Books,
  meeting: Meeting,
  mind: HeadHeart,
  nav: PersonGroup,
  stairs: Staircase,
  toilet: Toilet,
} satisfies Record<string, string> & Record<NonNullable<Signpost["icon"]>, string>;

export type IconName = keyof typeof drawings;

export function icon(name: IconName): HTMLElement {
  const made = element("span", { class: "icon", "aria-hidden": "true", "data-icon": name });
  made.innerHTML = drawings[name]; // from the build, never from a message
  return made;
}
