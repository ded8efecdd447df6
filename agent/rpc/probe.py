"""The agent's own message to itself, through the broker: the way of a client's request, up to the reception.

    publisher --> exchange --> own queue --> feed --> `heard`           for queries and for commands

A connection may look alive and carry nothing: half open, or a queue whose node lost its consumers. Heartbeats tell
after half a minute, and never of a queue. So each way has at most one probe on it. A way is deaf when its probe is
overdue and nothing else came that way either: commands that wait before it are as good a sign. One that is being
worked off, or isn't consumed because there is no room, isn't judged. While the broker blocks the publisher, time
doesn't count: a probe that it didn't read before its alarm gets the whole time from the alarm's end on.

A probe holds nothing and does nothing. It expires, so that none is left for long; one of another run is
acknowledged and forgotten. It knows its own by a token that nobody else has, and who forged that could but keep an
agent from noticing that it is deaf.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog

from agent.names import Names
from agent.rpc.message import Outgoing, Properties
from agent.rpc.publisher import Outcome

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/x-compute-agent-probe"
OVERDUE = 3
"""Intervals after which a probe is overdue."""
EXPIRES = 2 * OVERDUE
"""Intervals after which the broker drops it."""


class Listening(Protocol):
    """What of a feed is looked at."""

    last: float

    @property
    def busy(self) -> bool: ...


class Post(Protocol):
    """What of the publisher is used here."""

    def can_publish(self) -> bool: ...

    def blocked(self) -> bool: ...

    async def publish(self, messages: list[Outgoing]) -> list[Outcome]: ...


Ears = Callable[[str], Listening | None]
"""The feed that consumes a queue now, if one does."""


@dataclass(slots=True)
class Way:
    """One queue and the probe that is on its way to it. Times are monotonic seconds."""

    queue: str
    feed: Listening | None = None
    number: int = 0
    sent: float | None = None
    """When the one under way was sent; None: none is."""
    confirmed: bool = False
    quiet: float | None = None
    """Since when probes are sent and none is heard."""
    heard: float | None = None
    """When one was last heard on the present feed."""

    def may_send(self, now: float, interval: float) -> bool:
        """None is under way; or one that was can't be any more, though deliveries came until just now."""
        if self.feed is None or self.feed.busy:
            return False
        expired = self.sent is not None and now - self.sent > EXPIRES * interval
        return self.sent is None or (expired and now - self.feed.last > interval)

    def turn_to(self, feed: Listening | None) -> None:
        """Another feed begins anew: what was sent before may have gone with the old one."""
        if feed is not self.feed:
            self.feed, self.sent, self.quiet, self.heard = feed, None, None, None

    def pass_over(self, now: float) -> None:
        """Until now the broker took nothing, so that nothing could come."""
        if self.quiet is not None:
            self.quiet = now

    def deaf(self, now: float, overdue: float) -> float | None:
        """Seconds since when it is deaf, if it is."""
        if self.feed is None or self.quiet is None or self.feed.busy:
            return None
        quiet = now - max(self.quiet, self.feed.last)
        return quiet if quiet > overdue else None


@dataclass(frozen=True, slots=True)
class Deafness:
    """`since` when, and whether it is the publisher's doing: then the probe wasn't even taken by the broker."""

    since: datetime
    publishers: bool


@dataclass(slots=True)
class Probe:
    """One for the agent. `on_lost` is called when the broker has no way from the exchange to one of the queues."""

    names: Names
    post: Post
    ears: Ears
    interval_s: float
    on_lost: Callable[[], None]
    heard_at: datetime | None = None
    took_s: float | None = None
    _token: str = field(default_factory=lambda: secrets.token_hex(16))
    _ways: tuple[Way, ...] = ()

    def __post_init__(self) -> None:
        self._ways = (Way(self.names.queries), Way(self.names.commands))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for way in self._ways:
                group.create_task(self._keep_sending(way), name=f"probe of {way.queue}")

    def take(self, queue: str, properties: Properties, body: bytes) -> bool:
        """Whether a delivery is a probe; then it is to be acknowledged, and that is all."""
        if properties.content_type != CONTENT_TYPE or body or properties.reply_to:
            return False
        for way in self._ways:
            if way.queue == queue and properties.message_id == self._id(way) and way.sent is not None:
                self._heard(way, way.sent)
        return True

    def deafness(self) -> Deafness | None:
        """Of the way that has been deaf for longest."""
        self._turn()
        now = time.monotonic()
        deaf = [(since, way) for way in self._ways if (since := way.deaf(now, OVERDUE * self.interval_s))]
        if not deaf:
            return None
        seconds, way = max(deaf, key=lambda found: found[0])
        return Deafness(_ago(seconds), way.sent is not None and not way.confirmed)

    def heard_since(self, moment: float) -> bool:
        """Whether each way that is listened to has been heard on since then, that of the queries at least."""
        self._turn()
        queries, *_ = self._ways
        listened = [way for way in self._ways if way.feed is not None and not way.feed.busy]
        return queries.feed is not None and all(way.heard is not None and way.heard >= moment for way in listened)

    def _turn(self) -> None:
        blocked, now = self.post.blocked(), time.monotonic()
        for way in self._ways:
            way.turn_to(self.ears(way.queue))
            if blocked:
                way.pass_over(now)

    async def _keep_sending(self, way: Way) -> None:
        while True:
            way.turn_to(self.ears(way.queue))
            if way.may_send(time.monotonic(), self.interval_s) and self.post.can_publish():
                await self._send(way)
            await asyncio.sleep(self.interval_s)

    async def _send(self, way: Way) -> None:
        way.number += 1
        way.sent = time.monotonic()
        # One that found no way doesn't make the way less quiet.
        way.quiet = way.quiet or way.sent
        way.confirmed = False
        (outcome,) = await self.post.publish([self._message(way)])
        if outcome is Outcome.CONFIRMED:
            way.confirmed = True
        else:
            way.sent = None
        if outcome in (Outcome.UNROUTABLE, Outcome.REFUSED):
            log.warning("probe.no_way", queue=way.queue, outcome=outcome.value)
            self.on_lost()

    def _message(self, way: Way) -> Outgoing:
        return Outgoing(
            exchange=self.names.exchange,
            routing_key=way.queue,
            body=b"",
            message_id=self._id(way),
            content_type=CONTENT_TYPE,
            persistent=False,
            expiration=EXPIRES * self.interval_s,
        )

    def _heard(self, way: Way, sent: float) -> None:
        now = time.monotonic()
        way.sent, way.quiet, way.heard = None, None, now
        self.heard_at, self.took_s = datetime.now(UTC), now - sent

    def _id(self, way: Way) -> str:
        return f"{self._token}:{way.queue}:{way.number}"


def _ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() - seconds, UTC)
