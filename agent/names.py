"""Every name on the broker, derived in one place; see the reference on messages.

`SharedNames` are those of a whole deployment, which a client knows too; `Names` adds those of one host.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

# `compute.<host>` must never be the name of another thing.
_TAKEN = frozenset({"events", "dead", "replies"})
_TAKEN_SUFFIXES = (".query", ".agent")
_LONGEST = 200  # characters: AMQP's names and routing keys end at 255 bytes, and `compute.host.stopping.` is one


@dataclass(frozen=True, kw_only=True)
class SharedNames:
    """`exchange` is the topic exchange of the commands, `topic` the first part of all other names."""

    exchange: str = "compute"
    topic: str = "compute"

    @property
    def shared(self) -> str:
        """Queue of requests that any host may take."""
        return self.topic

    @property
    def fanout(self) -> str:
        """Exchange of requests that all hosts take."""
        return f"{self.topic}_fanout"

    @property
    def replies(self) -> str:
        """Exchange of answers, for callers that bind their reply queue to it."""
        return f"{self.topic}.replies"

    @property
    def events(self) -> str:
        """Exchange of events, and the durable queue bound to it."""
        return f"{self.topic}.events"

    @property
    def dead_letters(self) -> str:
        """Exchange and queue of refused casts."""
        return f"{self.topic}.dead"

    def of(self, host: str) -> Names:
        """The names of one host."""
        return Names(exchange=self.exchange, topic=self.topic, host=host)


@dataclass(frozen=True, kw_only=True)
class Names(SharedNames):
    """Raises ValueError for a host whose queue would have the name of something else."""

    host: str

    def __post_init__(self) -> None:
        if not self.host or self.host in _TAKEN or self.host.endswith(_TAKEN_SUFFIXES):
            taken = ", ".join([*sorted(_TAKEN), *(f"*{suffix}" for suffix in _TAKEN_SUFFIXES)])
            raise ValueError(f"host {self.host!r}: not empty and none of {taken}, which name other queues")
        if len(self.queries) > _LONGEST:
            raise ValueError(f"host {self.host[:32]!r}...: too long, {self.topic}.<host>.query ends at {_LONGEST}")

    @property
    def commands(self) -> str:
        return f"{self.topic}.{self.host}"

    @property
    def queries(self) -> str:
        return f"{self.commands}.query"

    @property
    def lock(self) -> str:
        """Exclusive queue that tells a second agent of the same name that it is one too many."""
        return f"{self.commands}.agent"

    @property
    def fanout_queue(self) -> str:
        """Stays the same over restarts, so that a killed agent leaves none behind."""
        return f"{self.fanout}_{uuid5(NAMESPACE_DNS, self.commands).hex}"
