"""`make bench`: run the benchmarks named (all by default), write JSON and a Markdown table to benchmarks/results.

python -m benchmarks [p1] [p2] [p3] [p3_reader] [p3_offline] [p4] [p8] [p9] [p10] [p11] [p12] [--rounds 3] [--seconds 5]
"""

import argparse
import asyncio
import json
import platform
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import p1, p2, p3, p3_offline, p3_reader, p4, p8, p9, p10, p11, p12

Bench = Callable[[float], Coroutine[Any, Any, dict[str, float]]]
BENCHES: dict[str, Bench] = {
    "p1": p1.run,
    "p2": p2.run,
    "p3": p3.run,
    "p3_reader": p3_reader.run,
    "p3_offline": p3_offline.run,
    "p4": p4.run,
    "p8": p8.run,
    "p9": p9.run,
    "p10": p10.run,
    "p11": p11.run,
    "p12": p12.run,
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", default=[], help=" ".join(BENCHES))
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=4)
    asked = arguments.parse_args()
    rows: list[tuple[str, str, float, list[float]]] = []
    for name in asked.names or BENCHES:
        rounds = [asyncio.run(BENCHES[name](asked.seconds)) for _ in range(asked.rounds)]
        rows += [(name, key, median(one[key] for one in rounds), [one[key] for one in rounds]) for key in rounds[0]]
    table = ["| bench | figure | median | all rounds |", "|---|---|---|---|"]
    table += [
        f"| {name} | {key} | {middle:,.2f} | {', '.join(f'{v:,.2f}' for v in values)} |"
        for name, key, middle, values in rows
    ]
    print("\n".join(table))
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    (RESULTS / f"{stamp}.md").write_text("\n".join(table) + "\n")
    (RESULTS / f"{stamp}.json").write_text(
        json.dumps({"machine": platform.platform(), "rounds": asked.rounds, "rows": rows}, indent=1)
    )


main()
