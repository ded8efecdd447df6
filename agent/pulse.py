"""Whether a part of the agent that runs for itself still turns.

    resting --begin--> busy --beat--> busy --rest--> resting

Resting, it waits for something that may never come, and nobody minds. Busy, it is at a piece of work that ends
or goes a step further (`beat`) within `limit_s`; if it doesn't, it is stuck, and the watchdog has the agent
started again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Pulse:
    name: str
    limit_s: float
    since: float | None = None
    """Monotonic seconds since when it is busy without a further step."""

    def beat(self) -> None:
        """Busy from now on, or a step further."""
        self.since = time.monotonic()

    def rest(self) -> None:
        self.since = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.beat()
        try:
            yield
        finally:
            self.rest()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """In the midst of a piece of work: a wait that somebody else looks after."""
        self.rest()
        try:
            yield
        finally:
            self.beat()

    def pass_over(self, seconds: float) -> None:
        """So long it could do nothing: that doesn't count."""
        if self.since is not None:
            self.since = min(self.since + seconds, time.monotonic())

    def stuck(self, now: float) -> bool:
        return self.since is not None and now - self.since > self.limit_s


class Pulses:
    """All of one agent."""

    def __init__(self) -> None:
        self._all: list[Pulse] = []

    def of(self, name: str, limit_s: float) -> Pulse:
        """A new one, resting."""
        self._all.append(Pulse(name, limit_s))
        return self._all[-1]

    def __iter__(self) -> Iterator[Pulse]:
        return iter(self._all)

    def pass_over(self, seconds: float) -> None:
        """The whole process stood still."""
        for pulse in self._all:
            pulse.pass_over(seconds)

    def stuck(self) -> tuple[str, ...]:
        now = time.monotonic()
        return tuple(pulse.name for pulse in self._all if pulse.stuck(now))
