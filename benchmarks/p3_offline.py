"""P3 without the hub: what was shown → the door's decision, fingerprint included, on a list of 10 000 credentials.

Decision only: no reader, no disk, no relay. The limit beside it is the fingerprint alone, which nobody can leave out.
"""

import time
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.bench_hub import percentile
from devices.access.credentials import card, fingerprint
from devices.access.deciding import Fingerprints, decide
from devices.access.lists import Credential, DoorAccess, Rule
from devices.access.times import Times, Weekly

CREDENTIALS = 10_000
RULES = 20
KEY = bytes(range(32))


async def run(seconds: float) -> dict[str, float]:
    now = datetime.now(UTC)
    week = Times(weekly=(Weekly(days=frozenset(range(1, 8)), start=0, end=24 * 60),))
    access = DoorAccess(
        door="door-1",
        version=1,
        made_at=now - timedelta(minutes=1),
        valid_until=now + timedelta(hours=36),
        rules=tuple(Rule(id=number + 1, times=week) for number in range(RULES)),
    )
    roll = {
        fingerprint(KEY, card(26, 12, number)): Credential(f"c{number}", frozenset({number % RULES + 1}))
        for number in range(CREDENTIALS)
    }
    random = Random(3)
    whole, limit, end = [], [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        text = card(26, 12, random.randrange(CREDENTIALS + CREDENTIALS // 10))  # every eleventh is unknown
        began = time.perf_counter()
        shown = fingerprint(KEY, text)
        hashed = time.perf_counter()
        decide(access, roll, Fingerprints(card=shown), datetime.now(UTC))
        whole.append(time.perf_counter() - began)
        limit.append(hashed - began)
    return {
        "shown to decision offline, p50 ms": percentile(whole, 0.5) * 1000,
        "shown to decision offline, p99 ms": percentile(whole, 0.99) * 1000,
        "limit: fingerprint alone, p99 ms": percentile(limit, 0.99) * 1000,
    }
