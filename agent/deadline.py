"""The time a piece of work has left, carried from the request down to each blocking call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Bound everything inside to `seconds` from now; an outer, earlier deadline stays in force."""
    if seconds is None:
        yield
        return
    end = time.monotonic() + seconds
    outer = _ends.get()
    token = _ends.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _ends.reset(token)


def remaining(default: float) -> float:
    """Seconds left, at most `default`; never negative."""
    end = _ends.get()
    return default if end is None else max(0.0, min(default, end - time.monotonic()))


@contextmanager
def afresh(seconds: float) -> Iterator[None]:
    """Bound everything inside to `seconds` from now, whatever was in force: for clean-up after time was up."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)
