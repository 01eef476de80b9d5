"""The filter for `watchfiles --filter`: changes for which `make dev` restarts the hub."""

from pathlib import PurePath

READ_AT_START = frozenset({".py", ".po", ".yaml", ".ldif"})
"""Templates, styles and scripts are read again for each page."""


def counts(_change: object, path: str) -> bool:
    """Whether a change of this file needs a restart."""
    return PurePath(path).suffix in READ_AT_START and ".venv" not in PurePath(path).parts
