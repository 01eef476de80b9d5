"""The Wi-Fi signal level, from /proc/net/wireless."""

from pathlib import Path

WIRELESS = Path("/proc/net/wireless")
HEADINGS = 2
LEVEL = 3


def signal_dbm(file: Path = WIRELESS) -> int | None:
    """The first interface's level; None on a cable, or where the level is no dBm."""
    try:
        rows = file.read_text().splitlines()[HEADINGS:]
        level = int(float(rows[0].split()[LEVEL].rstrip(".")))
    except (OSError, IndexError, ValueError):
        return None
    return level if -150 <= level < 0 else None  # noqa: PLR2004 (what a radio can have)
