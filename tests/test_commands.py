"""The command line of somebody who prepares everything before the hub has ever run."""

import subprocess
import sys
from pathlib import Path


def test_a_tablet_is_added_before_the_first_start(config_file: Path) -> None:
    arguments = ("device", "add", "kiosk-1", "--kind", "kiosk", "--config", str(config_file))
    done = subprocess.run([sys.executable, "-m", "hub", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "/kiosk#device=kiosk-1&secret=" in done.stdout
