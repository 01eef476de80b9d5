"""The command line of somebody who prepares everything before the hub has ever run."""

import asyncio
import sys
from pathlib import Path


async def test_a_tablet_is_added_before_the_first_start(config_file: Path) -> None:
    arguments = ("device", "add", "kiosk-1", "--kind", "kiosk", "--config", str(config_file))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        link, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert b"/kiosk#device=kiosk-1&secret=" in link
