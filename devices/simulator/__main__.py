"""`python -m devices.simulator PLAN.json`: run a fleet until stopped. `kommunevert simulate` makes the plan.

A line of figures as JSON on standard output every few seconds.
"""

import argparse
import asyncio
import json
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from devices.parent import watch_parent
from devices.simulator.fleet import Fleet, Plan
from devices.simulator.habits import Habits

FIGURES_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a clean stop, 2 when the plan cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        plan = Plan.read(options.plan)
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"{options.plan}: {error.__class__.__name__}: is it a plan of `kommunevert simulate`?\n")
        return 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    del soft
    asyncio.run(_serve(plan, options))
    return 0


async def _serve(plan: Plan, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.exit_with_parent:
        watch_parent(stop.set)
    busy = {} if options.hour is None else {"hour": lambda: int(options.hour)}
    fleet = Fleet(plan, options.seed, Habits(pace=options.pace, goes_away=options.away, **busy))
    fleet.start()
    try:
        while not stop.is_set():
            try:
                async with asyncio.timeout(options.every):
                    await stop.wait()
            except TimeoutError:
                _print_figures(fleet)
    finally:
        fleet.stop()
        if options.receipts:
            options.receipts.write_text("\n".join(fleet.receipted) + "\n")


def _print_figures(fleet: Fleet) -> None:
    sys.stdout.write(json.dumps(fleet.figures()) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devices.simulator", description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same fleet")
    parser.add_argument("--pace", type=float, default=1.0, help="60: an hour's visitors in a minute")
    parser.add_argument("--hour", type=int, help="always this hour of the day, instead of the clock's")
    parser.add_argument("--away", action=argparse.BooleanOptionalAction, default=True, help="devices are away at times")
    parser.add_argument("--every", type=float, default=FIGURES_SECONDS, metavar="SECONDS", help="between figures")
    parser.add_argument("--receipts", type=Path, metavar="FILE", help="write the ids of receipted visits at the end")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
