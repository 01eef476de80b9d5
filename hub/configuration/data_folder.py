"""The data folder with the store, history, keys and secrets, accessible only to its owner."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger("hub")

RESERVE = "reserve"
RESERVED_BYTES = 4_194_304
"""Enough for SQLite's log and index, and the broker's files."""
GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_data_folder(folder: Path) -> None:
    """Create the folder, or restrict it to 0700 if it is ours. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    status = folder.stat()
    if not status.st_mode & GROUP_AND_OTHERS:
        return
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:  # not ours, or shared, as /tmp
        log.warning("data_folder_world_readable", folder=str(folder), mode=mode)
        return
    folder.chmod(stat.S_IRWXU)
    log.warning("data_folder_narrowed", folder=str(folder), mode=mode)


def create_reserve(folder: Path) -> None:
    """Reserve a few megabytes that can be freed when the hub starts on a full disk, if there is enough space."""
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


def free_reserve(folder: Path) -> None:
    """Free the reserve if the disk is full, so that the hub can start and report it."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < RESERVED_BYTES // 4:
            (folder / RESERVE).unlink()
            log.warning("reserve_freed", folder=str(folder))


def restrict_new_files() -> None:
    """Set the umask, so that files of this process and its children are accessible only to the owner."""
    os.umask(GROUP_AND_OTHERS)
