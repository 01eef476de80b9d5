"""The data folder is its owner's alone: the store, the history, keys and secrets lie in it."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger("hub")

RESERVE = "reserve"
RESERVED_BYTES = 4_194_304
"""For SQLite's log and index, and the broker's files."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_data_folder(folder: Path) -> None:
    """Made, or narrowed to 0700 when it is ours and others may look in. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    found = folder.stat()
    if not found.st_mode & OTHERS:
        return
    mode = f"{stat.S_IMODE(found.st_mode):o}"
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:  # another's, or one for everybody, as /tmp
        log.warning("data_folder_world_readable", folder=str(folder), mode=mode)
        return
    folder.chmod(stat.S_IRWXU)
    log.warning("data_folder_narrowed", folder=str(folder), mode=mode)


def reserve_room(folder: Path) -> None:
    """A few megabytes that a hub can give free when it is started on a full disk. Without room there is none."""
    path = folder / RESERVE
    with suppress(OSError):
        if path.exists() or shutil.disk_usage(folder).free < 2 * RESERVED_BYTES:
            return
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(file, 0, RESERVED_BYTES)
        except OSError:
            path.unlink()
        finally:
            os.close(file)


def make_room(folder: Path) -> None:
    """Give the reserve free when the disk is full, so that the hub can start and say so."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < RESERVED_BYTES // 4:
            (folder / RESERVE).unlink()
            log.warning("reserve_freed", folder=str(folder))


def write_for_us_alone() -> None:
    """From now on this process, and those it starts, make files that nobody else can read."""
    os.umask(OTHERS)
