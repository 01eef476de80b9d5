"""The data folder is its owner's alone: the store, the history, keys and secrets lie in it."""

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger("hub")

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_data_folder(folder: Path) -> None:
    """Made, or narrowed to 0700 when it is ours and others may look in. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    found = folder.stat()
    if not found.st_mode & OTHERS:
        return
    mode = f"{stat.S_IMODE(found.st_mode):o}"
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:  # another's, or one for everybody, as /tmp
        log.warning("data_folder_is_open_to_others", folder=str(folder), mode=mode)
        return
    folder.chmod(stat.S_IRWXU)
    log.warning("data_folder_narrowed", folder=str(folder), mode=mode)


def write_for_us_alone() -> None:
    """From now on this process, and those it starts, make files that nobody else can read."""
    os.umask(OTHERS)
