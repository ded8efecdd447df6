"""Takes answers and events out of the outbox and hands them to the broker; forgets what is confirmed.

    outbox --unsent--> publisher --confirmed--> outbox forgets
                          |-- events: lost, too slow, refused: from the first of these on, again;
                          |           one that is notified too counts when both are confirmed
                          |-- replies: unroutable: again each second, dropped after a minute

Events keep their order: when one isn't confirmed, it and all after it are published again, and who reads
them knows the repeats by (stream, sequence). Replies wait for nobody: each is on its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import structlog

from agent.errors import AgentError
from agent.journal.records import EventRecord, OutgoingReply
from agent.names import Names
from agent.pulse import Pulse, Pulses
from agent.rpc import views, wire
from agent.rpc.heartbeats import Heartbeats
from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome, Publisher
from agent.rpc.schema.events import CONTENT_TYPE, CloudEvent
from agent.rpc.tasks import either

log = structlog.get_logger(__name__)

BATCH = 64
"""Messages under way at once."""

_STUCK_S = 120.0
"""Seconds that the journal may take."""

Notify = Callable[[CloudEvent], Outgoing]


class Outbox(Protocol):
    """What the journal gives: unsent things oldest first. `outgoing` is set when some were added."""

    @property
    def outgoing(self) -> asyncio.Event: ...

    async def unsent_events(self, limit: int) -> list[EventRecord]: ...

    async def events_sent(self, sequences: Sequence[int]) -> None: ...

    async def unsent_replies(self, limit: int) -> list[OutgoingReply]: ...

    async def replies_sent(self, ids: Sequence[int]) -> None: ...


def event_message(event: CloudEvent, names: Names) -> Outgoing:
    """An event on its way: key `<type>.<instance uuid>`, or `<type>.<host>` for one of the host's own."""
    durable = event.sequence is not None
    return Outgoing(
        exchange=names.events,
        routing_key=f"{event.type}.{event.subject or names.host}",
        body=event.model_dump_json(exclude_none=True).encode(),
        message_id=event.id,
        content_type=CONTENT_TYPE,
        persistent=durable,
        mandatory=False,
    )


@dataclass(slots=True)
class _Homeless:
    """A reply that no queue takes: since when, and when it is tried again. Monotonic seconds."""

    since: float
    again: float
    reset: bool = False


@dataclass(slots=True)
class _Side:
    """What two loops have in common: woken when something was added, idle when nothing is left. Its pulse rests
    while the broker has the word."""

    pulse: Pulse
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Again:
    """How often what wasn't sent is tried, and how long a reply that no queue takes. In seconds."""

    every_s: float = 1.0
    homeless_s: float = 60.0


class OutboxSender:
    """One for the agent. `notify`: what an event is besides, if it is notified."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        names: Names,
        pulses: Pulses,
        heartbeats: Heartbeats,
        *,
        notify: Notify | None = None,
        again: Again | None = None,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._names = names
        self._heartbeats = heartbeats
        self._notify = notify
        self._homeless_s = (again or Again()).homeless_s
        self._again_s = (again or Again()).every_s
        self._homeless: dict[int, _Homeless] = {}
        self._events = _Side(pulses.of("events", _STUCK_S))
        self._replies = _Side(pulses.of("replies", _STUCK_S))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="outbox watch")
            group.create_task(self._loop(self._events, self._send_events), name="outbox events")
            group.create_task(self._loop(self._replies, self._send_replies), name="outbox replies")

    async def flush(self, timeout: float) -> bool:
        """Whether everything that was in the outbox has been sent within `timeout` seconds."""
        sides = (self._events, self._replies)
        for side in sides:
            side.idle.clear()
            side.wake.set()
        try:
            async with asyncio.timeout(timeout):
                for side in sides:
                    await side.idle.wait()
        except TimeoutError:
            return False
        return True

    async def _watch(self) -> None:
        while True:
            await self._outbox.outgoing.wait()
            # Cleared before the two sides look: what is added from now on sets it again.
            self._outbox.outgoing.clear()
            self._events.wake.set()
            self._replies.wake.set()

    async def _loop(self, side: _Side, send: _Send) -> None:
        """`send` says how many seconds to wait for more, None for as long as it takes."""
        while True:
            side.wake.clear()
            try:
                await self._publisher.connected()
                with side.pulse.busy():
                    pause = await send()
            except AgentError as error:
                log.warning("outbox.unavailable", error=error.message)
                pause = self._again_s
            if pause is None and not side.wake.is_set():
                side.idle.set()
            if pause != 0:
                await either(side.wake, pause)

    async def _send_events(self) -> float | None:
        records = await self._outbox.unsent_events(BATCH)
        if not records:
            return None
        messages = [message for record in records for message in self._messages(record)]
        with self._events.pulse.resting():
            each = await self._publisher.publish(messages)
        copies = len(messages) // len(records)
        outcomes = [_worst(each[at : at + copies]) for at in range(0, len(each), copies)]
        confirmed = _prefix(outcomes)
        if confirmed:
            await self._outbox.events_sent([record.sequence for record in records[:confirmed]])
        if confirmed == len(records):
            return 0
        log.warning(
            "events.not_confirmed", sequence=records[confirmed].sequence, outcome=outcomes[confirmed].value
        )
        if outcomes[confirmed] in (Outcome.REFUSED, Outcome.UNROUTABLE):
            # An exchange or a queue is gone, or was never there: the next session declares it.
            await self._publisher.reset()
        return self._jittered()

    def _messages(self, record: EventRecord) -> list[Outgoing]:
        event = views.cloud_event(record)
        besides = [] if self._notify is None else [self._notify(event)]
        return [event_message(event, self._names), *besides]

    async def _send_replies(self) -> float | None:
        now = time.monotonic()
        waiting = {key for key, reply in self._homeless.items() if reply.again > now}
        # More than the homeless ones, or a batch of those would keep all others from going out.
        most = BATCH + len(waiting)
        found = await self._outbox.unsent_replies(most)
        if len(found) < most:
            # These are all: of others nothing has to be known any more.
            self._homeless = {r.id: self._homeless[r.id] for r in found if r.id in self._homeless}
        replies = [reply for reply in found if reply.id not in waiting]
        if not replies:
            return self._until_again() if self._homeless else None
        for reply in replies:
            self._heartbeats.end(reply.address)
        messages = [wire.encode(r.address, r.answer, r.message_id) for r in replies]
        with self._replies.pulse.resting():
            outcomes = await self._publisher.publish(messages)
        sent = [r.id for r, outcome in zip(replies, outcomes, strict=True) if self._is_done(r, outcome)]
        if sent:
            await self._outbox.replies_sent(sent)
        if Outcome.REFUSED in outcomes:
            await self._reset_for(replies, outcomes)
        return self._jittered() if Outcome.UNKNOWN in outcomes else 0

    async def _reset_for(self, replies: Sequence[OutgoingReply], outcomes: Sequence[Outcome]) -> None:
        """One of our own exchanges is gone: the next session declares it. Once for each reply: where it is a
        missing right instead, connecting anew doesn't help."""
        ours = (self._names.replies, self._names.dead_letters)
        for reply, outcome in zip(replies, outcomes, strict=True):
            state = self._homeless.get(reply.id)
            if outcome is Outcome.REFUSED and reply.address.exchange in ours and state and not state.reset:
                state.reset = True
                await self._publisher.reset()
                return

    def _is_done(self, reply: OutgoingReply, outcome: Outcome) -> bool:
        """Whether it needs no further try."""
        if outcome is Outcome.UNKNOWN:
            return False
        if outcome is Outcome.CONFIRMED:
            self._homeless.pop(reply.id, None)
            return True
        now = time.monotonic()
        state = self._homeless.setdefault(reply.id, _Homeless(now, now))
        state.again = now + self._again_s
        if now - state.since < self._homeless_s:
            return False
        del self._homeless[reply.id]
        # Not the answer: it may tell what isn't for the log.
        log.warning("reply.dropped", reply_to=reply.address.reply_to, outcome=outcome.value)
        return True

    def _until_again(self) -> float:
        soonest = min(reply.again for reply in self._homeless.values())
        return max(0.01, soonest - time.monotonic())

    def _jittered(self) -> float:
        return self._again_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


class _Send(Protocol):
    async def __call__(self) -> float | None: ...


class Ephemeral:
    """Events that are only worth something now: progress, reports. Best effort; telling never blocks."""

    def __init__(self, publisher: Publisher, names: Names, *, most: int = 1000) -> None:
        self._publisher = publisher
        self._names = names
        self._waiting: deque[CloudEvent] = deque(maxlen=most)
        self._wake = asyncio.Event()

    def tell(self, type_: str, subject: UUID | None, data: dict[str, Any]) -> None:
        """Hand it in. When too many wait, the oldest goes."""
        event = views.ephemeral_event(self._names.host, type_, subject, datetime.now(UTC), data)
        # Told twice within a clock's tick, they are two all the same.
        self._waiting.append(event.model_copy(update={"id": uuid4().hex}))
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._publisher.fire(event_message(self._waiting.popleft(), self._names))


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Of the copies of one event."""
    return next((outcome for outcome in outcomes if outcome is not Outcome.CONFIRMED), Outcome.CONFIRMED)


def _prefix(outcomes: Sequence[Outcome]) -> int:
    """How many at the begin are confirmed."""
    return next((i for i, o in enumerate(outcomes) if o is not Outcome.CONFIRMED), len(outcomes))
