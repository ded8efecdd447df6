"""Where an operation's time goes.

    with telemetry.share("libvirt"):
        ...

The shares of the operation under way are kept in a context variable, so that code far below needs no
handle. What of `total` is no other's is the agent's `own`; waiting for the journal is part of that, and
told beside it as `journal`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Literal

Share = Literal["libvirt", "qemu_img", "wait", "download", "journal"]
OTHERS = ("libvirt", "qemu_img", "wait", "download")

_shares: ContextVar[dict[str, float] | None] = ContextVar("shares", default=None)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Collect the shares (seconds by name) of everything inside."""
    shares: dict[str, float] = {}
    token = _shares.set(shares)
    try:
        yield shares
    finally:
        _shares.reset(token)


def share(name: Share) -> AbstractContextManager[None]:
    """Count the time inside as `name`'s. Shares must not be nested: the time would count twice."""
    return _Counted(name)


class _Counted:
    """By hand, as a generator costs thrice as much, and a cheap operation passes here twenty times."""

    __slots__ = ("_began", "_name")

    def __init__(self, name: Share) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        spent(self._name, time.monotonic() - self._began)


def spent(name: Share, seconds: float) -> None:
    """Count time that was measured elsewhere, such as in another thread, as `name`'s."""
    if (shares := _shares.get()) is not None:
        shares[name] = shares.get(name, 0.0) + seconds


def add_own(shares: dict[str, float]) -> None:
    """What of `total` is the agent's own."""
    shares["own"] = max(0.0, shares["total"] - sum(shares.get(name, 0.0) for name in OTHERS))
