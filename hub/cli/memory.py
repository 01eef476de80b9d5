"""Memory settings of the hub's process: glibc's arenas and Python's garbage collector.

glibc gives each allocating thread an arena, which retains freed memory. Python's threads take turns anyway (the GIL),
so a single arena costs no time and saves a tenth of an idle hub's memory.
"""

import ctypes
import gc

M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def begin() -> None:
    """Call before the first thread starts: a single arena (glibc), and no garbage collection until `settle`."""
    gc.disable()
    if (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        set_option(M_ARENA_MAX, 1)


def settle() -> None:
    """Call once the hub is ready: return free memory to the system, and exclude present objects from collection.

    They live as long as the process.
    """
    gc.enable()
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
    gc.freeze()
