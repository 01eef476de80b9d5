"""Many doors that only take lists, for P3: each list's signature is checked, as a door does before anything else.

Arguments: the hub's verify key, then `port|account|secret|branch` for each door. Says `ready`, and then a line for
each list: the door's number and when it came, by the clock that all processes of a machine share.
"""

import asyncio
import sys
import time

from nacl.signing import VerifyKey

from benchmarks.raw_mqtt import RawClient
from devices.contract.door import Signed


async def main() -> None:
    key = VerifyKey(bytes.fromhex(sys.argv[1]))

    def came(number: int, payload: bytes) -> None:
        assert Signed.model_validate_json(payload).is_by(key)
        print(number, time.perf_counter(), flush=True)

    for number, one in enumerate(sys.argv[2:]):
        port, account, secret, mine = one.split("|")
        _, client = await asyncio.get_running_loop().create_connection(
            lambda number=number, account=account, secret=secret, mine=mine: RawClient(  # type: ignore[misc]
                account, secret, f"{mine}/down/list", lambda payload: came(number, payload)
            ),
            "127.0.0.1",
            int(port),
        )
        await client.subscribed
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
