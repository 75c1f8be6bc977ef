"""What becomes of memory that is freed: kept for what comes next, or given back to the system."""

import ctypes
import gc
import platform
from functools import cache

GLIBC = platform.libc_ver()[0] == "glibc"


def keep_memory(keep: bool) -> None:
    """Let glibc keep what is freed for what comes next; the kernel's takes a third of a step, half of a spectrogram."""
    if GLIBC:
        libc = ctypes.CDLL(None)
        # malloc.h: M_MMAP_MAX, M_TRIM_THRESHOLD, and their defaults
        libc.mallopt(-4, 0 if keep else 65536)
        libc.mallopt(-1, 2**31 - 1 if keep else 128 * 1024)


def release_memory() -> None:
    """Give back what a run has left: Lightning's objects refer to each other, and glibc keeps what was freed."""
    gc.collect()
    _spare_libraries()
    if GLIBC:
        ctypes.CDLL(None).malloc_trim(0)


@cache
def _spare_libraries() -> None:
    """Let later collections pass over all that is there by the end of the first run, which would take most of them."""
    gc.freeze()
