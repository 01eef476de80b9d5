"""`kommunevert-door ENROLMENT.json`: drive one door until it is stopped.

With `--pair https://HUB` and no such file yet, it prints a code to type on the hub's console, and writes the file.
"""

import argparse
import asyncio
import logging
import math
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog
from pydantic import ValidationError

from devices.contract.enrolment import Enrolment
from devices.contract.pairing import PairingOffer
from devices.door.controller import Controller
from devices.door.deciding.clock import is_synchronised
from devices.door.gpio import GpioDoor, Pins
from devices.door.hardware.interface import Hardware, HardwareError
from devices.door.hardware.simulated import SimulatedDoor, SimulatedReader
from devices.door.identity import EnrolmentError, Identity
from devices.door.memory.journal import Journal
from devices.door.pairing import PairingError, pair, save_enrolment
from devices.door.passers import Passers
from devices.door.readers.config import OsdpPlan
from devices.door.readers.installing import SECONDS, NotInstalledError, install
from devices.door.readers.mounting import key_of, mounted
from devices.parent import watch_parent

log = structlog.get_logger("door")

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 after a clean stop, 1 when a reader was not installed, 2 for unusable arguments or files."""
    os.umask(OTHERS)
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.simulate and options.pins is None:
        parser.error("say which pins there are (--pins FILE), or --simulate a door")
    if options.passers and not options.simulate:
        parser.error("people come by themselves to a simulated door only: --passers goes with --simulate")
    options.clock = options.clock or ("battery" if options.simulate else "system")
    _log_json_lines()
    try:
        if options.pair and not options.enrolment.exists():
            save_enrolment(asyncio.run(pair(options.pair.rstrip("/"), options.ca, _show)), options.enrolment)
        identity = Identity.of(Enrolment.read(options.enrolment))
        pins = Pins.read(options.pins) if options.pins else None
        seed = options.seed or identity.door
        passers = Passers.read(options.passers, options.every, seed) if options.passers else None
    except ValidationError as error:
        file = options.pins if error.title == Pins.__name__ else options.enrolment
        log.error("start_failed", problem=_mistakes(error), file=str(file))  # noqa: TRY400 (the problem says all)
        return 2
    except (OSError, ValueError, EnrolmentError, PairingError) as error:
        log.error("start_failed", problem=str(error))  # noqa: TRY400 (the problem says all)
        return 2
    state = options.state or _default_state(options.enrolment, identity.door)
    try:
        _secure_folder(state)
        if options.install_reader:
            return asyncio.run(_install(options.install_reader, pins, state))
        asyncio.run(_serve(identity, pins, state, options, passers))
    except (HardwareError, OSError, sqlite3.Error) as error:
        log.error("start_failed", problem=str(error), state=str(state))  # noqa: TRY400 (the problem says all)
        return 2
    return 0


async def _serve(
    identity: Identity, pins: Pins | None, state: Path, options: argparse.Namespace, passers: Passers | None
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    readers = list(mounted(pins.readers, state)) if pins else []
    if options.simulate:
        hardware: Hardware = SimulatedDoor(options.seed or identity.door, pins.power if pins else "fail_secure")
        by_words = SimulatedReader(name="standard input" if readers else "ute")
        readers.append(by_words)
    else:
        assert pins is not None  # noqa: S101 (the arguments were checked)
        hardware, by_words = GpioDoor(pins), None
    handle_line = partial(_handle_line, hardware, by_words)
    if options.exit_with_parent:
        watch_parent(stop.set, handle_line)
    coming = loop.create_task(passers.come(handle_line), name="passers") if passers else None
    try:
        await Controller(
            identity,
            hardware,
            Journal(state),
            readers,
            is_synchronised=is_synchronised if options.clock == "system" else lambda: True,
        ).run(stop)
    finally:
        if coming is not None:
            coming.cancel()


def _handle_line(hardware: Hardware, reader: SimulatedReader | None, line: str) -> None:
    if isinstance(hardware, SimulatedDoor) and reader is not None and not reader.handle_line(line):
        hardware.handle_line(line)


async def _install(name: str, pins: Pins | None, state: Path) -> int:
    """For a person, on standard output."""
    plans = {plan.name: plan for plan in (pins.readers if pins else ()) if isinstance(plan, OsdpPlan)}
    if (plan := plans.get(name)) is None:
        known = ", ".join(plans) or "none"
        raise HardwareError(f"there is no OSDP reader {name} in the file of --pins; those there: {known}")
    _say(f"Loading its key into reader {name} at {plan.port}, for at most {SECONDS / 60:.0f} minutes.")
    try:
        await install(plan.port, plan.baud, plan.address, key_of(plan, state))
    except NotInstalledError as error:
        _say(f"Not installed: {error}.")
        return 1
    _say("Installed: it speaks with its own key. Start the controller again.")
    return 0


def _mistakes(error: ValidationError) -> str:
    """Where and what. The input itself stays out of the log: there are keys in it."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, mistake['loc'])) or 'the whole'}: {mistake['msg']}" for mistake in found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kommunevert-door", description=__doc__)
    parser.add_argument("enrolment", type=Path, help="the JSON file that this door was enrolled with")
    parser.add_argument("--pair", metavar="URL", help="the hub's address: get the file by a code when it is not there")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the authority of the hub's certificate, for --pair")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where the journal is kept")
    parser.add_argument(
        "--pins", type=Path, metavar="FILE", help="JSON: power, relay, contact, exit_button, readers, …"
    )
    parser.add_argument(
        "--simulate", action="store_true", help="a door in memory instead of pins; the readers of --pins are real"
    )
    parser.add_argument(
        "--install-reader", metavar="NAME", help="load its key into a new OSDP reader, and end (docs/doors.md)"
    )
    parser.add_argument(
        "--clock",
        choices=("system", "battery"),
        help="trust the time once the system says that it follows a time server (so unless given), or always: a clock "
        "with a battery of its own (so for --simulate)",
    )
    parser.add_argument("--seed", help="of the simulated door; its own id unless given")
    parser.add_argument(
        "--passers",
        type=Path,
        metavar="FILE",
        help="people who come to a simulated door, one on each line (docs/doors.md)",
    )
    parser.add_argument(
        "--every", type=_seconds, default=60.0, metavar="SECONDS", help="between two of them, on average"
    )
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="stop when standard input ends; a simulated door obeys its lines (docs/doors.md)",
    )
    return parser


def _seconds(text: str) -> float:
    """Raises ValueError."""
    found = float(text)
    if not 0 < found < math.inf:
        raise ValueError(text)
    return found


def _show(offer: PairingOffer) -> None:
    _say(f"Pairing code: {offer.code[:3]} {offer.code[3:]}   (type it at {offer.address})")


def _say(line: str) -> None:
    """Write to standard output, for a person; the log goes to standard error."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _default_state(enrolment: Path, door: str) -> Path:
    """Where systemd says (StateDirectory=), else beside the enrolment."""
    given = os.environ.get("STATE_DIRECTORY")
    return Path(given) if given else enrolment.resolve().parent / f"{door}.state"


def _secure_folder(state: Path) -> None:
    """Create the folder, or restrict our own to 0700: the journal says who passed. Raises OSError."""
    state.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    found = state.stat()
    if found.st_mode & OTHERS and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
        state.chmod(stat.S_IRWXU)
        log.warning("state_folder_secured", state=str(state), mode=f"{stat.S_IMODE(found.st_mode):o}")


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
