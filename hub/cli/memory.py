"""The memory of a process that runs a hub: what the C library keeps, and what Python looks through for garbage.

glibc gives each thread that allocates a heap of its own and keeps what was freed in it. Python's threads take turns
anyway (the interpreter's lock), so one heap for all costs no time and saves a tenth of an idle hub.
"""

import ctypes
import gc

M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def begin() -> None:
    """Before the first thread starts: one heap, with glibc, and no search for garbage until `settle`."""
    gc.disable()
    if (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        set_option(M_ARENA_MAX, 1)


def settle() -> None:
    """Once the hub is ready: hand what lies free to the system, and look through what stays no more.

    What lives as long as the process need not be searched for garbage again and again.
    """
    gc.enable()
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
    gc.freeze()
