"""How this process holds the memory of its tensors."""

import ctypes
import ctypes.util
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h


@cache
def keep_memory() -> None:
    """Tell glibc to keep freed memory for the next step instead of returning it page by page.

    Large tensors (logits foremost) otherwise fault in anew at each step, a fifth or more of the time on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(ctypes.util.find_library("c")).mallopt
    except (OSError, AttributeError):
        return  # not glibc: nothing to tell
    mallopt(_MMAP_THRESHOLD, 2**31 - 1)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**28)
