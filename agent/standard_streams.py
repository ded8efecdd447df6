"""A process that was begun without standard input, output or error gets /dev/null in their place.

Else the next file that is opened gets the free number, and what is meant for standard error is written into a
journal or to the broker. To be called before anything is opened.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def open_standard_streams() -> None:
    """Those that are open stay as they are."""
    for number in (0, 1, 2):
        if not _is_open(number):
            _open(number)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _is_open(number: int) -> bool:
    with suppress(OSError):
        os.fstat(number)
        return True
    return False


def _open(number: int) -> None:
    """Programs that are started inherit it, as any standard stream."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(opened, number)
        os.close(opened)
