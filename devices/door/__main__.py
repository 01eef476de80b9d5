"""`kommunevert-door ENROLMENT.json`: drive one door until it is told to stop.

With `--pair https://HUB` and no such file yet, it prints a code to type on the hub's console, and writes the file.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import ValidationError

from devices.contract.enrolment import Enrolment
from devices.contract.pairing import PairingOffer
from devices.door.controller import Controller
from devices.door.gpio import GpioDoor, Pins
from devices.door.hardware import Hardware, HardwareError
from devices.door.identity import EnrolmentError, Identity
from devices.door.journal import Journal
from devices.door.pairing import PairingError, keep, pair
from devices.door.simulated import SimulatedDoor, SimulatedReader
from devices.parent import watch_parent

log = structlog.get_logger("door")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a clean stop, 2 when the enrolment, the pins or the state directory are not usable."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.simulate and options.pins is None:
        parser.error("say which pins there are (--pins FILE), or --simulate a door")
    _log_json_lines()
    try:
        if options.pair and not options.enrolment.exists():
            keep(asyncio.run(pair(options.pair.rstrip("/"), options.ca, _show)), options.enrolment)
        identity = Identity.of(Enrolment.read(options.enrolment))
        pins = None if options.simulate else Pins.read(options.pins)
    except ValidationError as error:
        # the input itself stays out of the log: there are keys in it
        problem = json.dumps(error.errors(include_input=False, include_url=False, include_context=False))
        log.error("not_started", problem=problem)  # noqa: TRY400
        return 2
    except (OSError, EnrolmentError, PairingError) as error:
        log.error("not_started", problem=str(error))  # noqa: TRY400
        return 2
    state = options.state or _default_state(options.enrolment, identity.door)
    try:
        asyncio.run(_serve(identity, pins, state, options))
    except (HardwareError, OSError, sqlite3.Error) as error:
        log.error("not_started", problem=str(error), state=str(state))  # noqa: TRY400
        return 2
    return 0


async def _serve(identity: Identity, pins: Pins | None, state: Path, options: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hardware: Hardware = GpioDoor(pins) if pins else SimulatedDoor(options.seed or identity.door)
    reader = SimulatedReader()
    if options.exit_with_parent:
        watch_parent(stop.set, lambda line: _told(hardware, reader, line))
    readers = (reader,) if isinstance(hardware, SimulatedDoor) else ()
    await Controller(identity, hardware, Journal(state), readers).run(stop)


def _told(hardware: Hardware, reader: SimulatedReader, line: str) -> None:
    if isinstance(hardware, SimulatedDoor) and not reader.told(line):
        hardware.told(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kommunevert-door", description=__doc__)
    parser.add_argument("enrolment", type=Path, help="the JSON file that this door was enrolled with")
    parser.add_argument("--pair", metavar="URL", help="the hub's address: get the file by a code when it is not there")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the authority of the hub's certificate, for --pair")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where the journal is kept")
    parser.add_argument("--pins", type=Path, metavar="FILE", help="JSON: power, relay, contact, exit_button, …")
    parser.add_argument("--simulate", action="store_true", help="a door in memory instead of pins")
    parser.add_argument("--seed", help="of the simulated door; its own id unless given")
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="stop when standard input ends; a simulated door obeys its lines (docs/doors.md)",
    )
    return parser


def _show(offer: PairingOffer) -> None:
    """On standard output, for whoever stands beside it; the log goes elsewhere."""
    sys.stdout.write(f"Pairing code: {offer.code[:3]} {offer.code[3:]}   (type it at {offer.address})\n")
    sys.stdout.flush()


def _default_state(enrolment: Path, door: str) -> Path:
    """Where systemd says (StateDirectory=), else beside the enrolment."""
    given = os.environ.get("STATE_DIRECTORY")
    return Path(given) if given else enrolment.resolve().parent / f"{door}.state"


def _log_json_lines() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
