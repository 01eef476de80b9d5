"""What the C library keeps of memory that Python has given back.

glibc gives each thread that allocates a heap of its own and keeps what was freed in it. Python's threads take turns
anyway (the interpreter's lock), so one heap for all costs no time and saves a tenth of an idle hub.
"""

import ctypes

M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_one_heap() -> None:
    """Before the first thread starts. Does nothing with another C library than glibc."""
    if (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        set_option(M_ARENA_MAX, 1)


def give_back() -> None:
    """Hand what lies free to the system: a few milliseconds, once much has been made and thrown away."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
