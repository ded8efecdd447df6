"""Where a client stands in each host's stream of events: what is new, what is a repeat, what is missing. Pure.

    event --(host, stream, sequence)--> NEW      the next one, or the first of its host
                                        SEEN     published again, or delivered again
                                        GAP      some before it haven't come
                                        ANOTHER  of a stream that wasn't there before: the journal was lost

Gaps are found only by who is sent every durable event: for all others the numbers between are somebody else's.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from agent.rpc.schema.events import CloudEvent

_SOURCE = "/compute/"
DURABLE = ("compute.instance.#", "compute.host.started.#", "compute.host.stopping.#")
"""Bindings that take every durable event, and no other."""
_SAMPLES = tuple(binding.replace("#", "x.y") for binding in DURABLE)


@dataclass(frozen=True, slots=True)
class Position:
    """The last event of one host that was handled. Without `stream` it is of whichever the host has."""

    sequence: int
    stream: UUID | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Events that won't come any more: read the states of this host again; of all hosts when it is None."""

    host: str | None
    why: str


class Verdict(enum.Enum):
    NEW = "new"
    SEEN = "seen"
    GAP = "gap"
    ANOTHER = "another stream"


class Streams:
    """`complete`: every durable event is to come, so that a gap is one."""

    def __init__(self, *, complete: bool) -> None:
        self._complete = complete
        self._current: dict[str, UUID] = {}
        self._last: dict[tuple[str, UUID], int] = {}

    @property
    def hosts(self) -> list[str]:
        """Those with a position."""
        return list(self._current)

    def at(self, host: str) -> Position:
        stream = self._current[host]
        return Position(self._last[host, stream], stream)

    def set(self, host: str, stream: UUID, sequence: int) -> None:
        """All up to `sequence` is seen, or given up."""
        self._current[host] = stream
        self._last[host, stream] = sequence

    def take(self, event: CloudEvent) -> Verdict:
        """What it is; a NEW one is seen from now on."""
        if event.sequence is None or event.stream is None:
            return Verdict.NEW
        host, sequence = host_of(event), int(event.sequence)
        last = self._last.get((host, event.stream))
        if last is None:
            if host in self._current:
                return Verdict.ANOTHER
            self._current[host] = event.stream
        elif sequence <= last:
            return Verdict.SEEN
        elif self._complete and sequence > last + 1 and event.stream == self._current[host]:
            return Verdict.GAP
        self._last[host, event.stream] = sequence
        return Verdict.NEW

    def begin_another(self, event: CloudEvent) -> None:
        """Its stream is the host's from now on. Who is sent all has to get it from the first event on."""
        if event.stream is not None:
            self.set(host_of(event), event.stream, 0)

    def give_up_before(self, event: CloudEvent) -> None:
        """What is missing before `event` won't come any more."""
        position = self.at(host_of(event)) if host_of(event) in self._current else None
        if position and position.stream and position.stream == event.stream and event.sequence is not None:
            self.set(host_of(event), position.stream, max(position.sequence, int(event.sequence) - 1))


def host_of(event: CloudEvent) -> str:
    return event.source.removeprefix(_SOURCE)


def routing_key(event: CloudEvent) -> str:
    """As it was published."""
    return f"{event.type}.{event.subject or host_of(event)}"


def covers_durable(keys: Sequence[str]) -> bool:
    """Whether these bindings take every durable event."""
    return all(matches(keys, sample) for sample in _SAMPLES)


def matches(keys: Sequence[str], key: str) -> bool:
    """Whether a topic exchange would route `key` by one of the bindings `keys`."""
    return any(_matches(pattern.split("."), key.split(".")) for pattern in keys)


def _matches(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_matches(pattern[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _matches(pattern[1:], words[1:])
