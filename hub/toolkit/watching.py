"""What `make dev` starts the hub anew for: the filter that `watchfiles --filter` is given."""

from pathlib import PurePath

READ_AT_START = frozenset({".py", ".po", ".yaml", ".ldif"})
"""Templates, styles and scripts are read anew for each page."""


def counts(_change: object, path: str) -> bool:
    """Whether the hub must start anew to know this file as it is now."""
    return PurePath(path).suffix in READ_AT_START and ".venv" not in PurePath(path).parts
