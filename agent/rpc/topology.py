"""Exchanges and queues, as the reference on messages lists them.

A declaration that the broker refuses closes its channel, and nothing else: the next one is made on a new channel.
What is there with other arguments than ours, or isn't ours to declare, is used as it is and told once for each
start: an operator may have had a reason, and such a queue takes messages too. From then on it is only looked for,
so that the broker's log isn't filled with refusals.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractConnection

from agent.names import Names
from agent.rpc import notifications
from agent.rpc.connection import ABSENT, BROKEN, NOT_OURS, describe, wire
from agent.rpc.tasks import guarded
from agent.settings import Notifications, Rpc

log = logging.getLogger(__name__)

EVENTS_KEPT = 100_000
DEAD_LETTERS_KEPT = 10_000
FANOUT_EXPIRES_MS = 30 * 60 * 1000  # as oslo.messaging has it


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    name: str
    type: str
    durable: bool = True
    auto_delete: bool = False


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue and its one binding: exchange and key."""

    name: str
    bound_to: str
    key: str
    durable: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """All that an agent needs on the broker. Pure."""

    names: Names
    rpc: Rpc
    notifications: Notifications = field(default_factory=Notifications)

    def exchanges(self) -> tuple[ExchangeSpec, ...]:
        names = self.names
        return (
            ExchangeSpec(names.exchange, "topic", durable=self.rpc.exchange_durable),
            # Not durable and gone with its last queue: what oslo.messaging's clients declare.
            ExchangeSpec(names.fanout, "fanout", durable=False, auto_delete=True),
            ExchangeSpec(names.replies, "direct"),
            ExchangeSpec(names.events, "topic"),
            # An exchange of their own, so that an agent needs no right on the default exchange.
            ExchangeSpec(names.dead_letters, "fanout"),
        )

    def queues(self, version: str) -> tuple[QueueSpec, ...]:
        """`version` is the broker's."""
        names, work = self.names, self._work(version)
        durable = self.rpc.durable or self.rpc.queue_type == "quorum"
        fanout = {"x-expires": FANOUT_EXPIRES_MS}
        return (
            QueueSpec(names.commands, names.exchange, names.commands, durable, work),
            QueueSpec(names.queries, names.exchange, names.queries),
            QueueSpec(names.shared, names.exchange, names.shared, durable, work),
            QueueSpec(names.fanout_queue, names.fanout, names.shared, arguments=fanout),
            QueueSpec(names.dead_letters, names.dead_letters, "", arguments=self._dead_letters()),
            *([self._events()] if self.rpc.events_queue else []),
            *self._notifications(),
        )

    def _work(self, version: str) -> dict[str, Any]:
        """Of the queues that hold commands. From version 4 on a quorum queue drops what was handed back 20
        times, and -1 turns that off; to an older broker -1 means to drop it the first time."""
        arguments: dict[str, Any] = {"x-queue-type": self.rpc.queue_type}
        if self.rpc.queue_type == "quorum" and _major(version) >= 4:
            arguments["x-delivery-limit"] = -1
        return arguments

    def _dead_letters(self) -> dict[str, Any]:
        return {"x-max-length": DEAD_LETTERS_KEPT, "x-message-ttl": self.rpc.dead_letter_ttl_s * 1000}

    def notified(self) -> tuple[str, ...]:
        """The queues of notifications; none when they are off."""
        told = self.notifications
        if not told.enabled:
            return ()
        return tuple(notifications.queue(told.topic, priority) for priority in notifications.PRIORITIES)

    def _notifications(self) -> list[QueueSpec]:
        """Declared by who publishes, so that nothing is lost before the first listener comes; exactly as the
        listeners declare them."""
        quorum = self.notifications.queue_type == "quorum"
        durable = self.rpc.exchange_durable or quorum
        arguments = {"x-queue-type": "quorum"} if quorum else {}
        return [QueueSpec(name, self.names.exchange, name, durable, arguments) for name in self.notified()]

    def _events(self) -> QueueSpec:
        arguments = {"x-max-length": EVENTS_KEPT, "x-overflow": "drop-head"}
        return QueueSpec(self.names.events, self.names.events, "compute.instance.#", arguments=arguments)


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0


_Step = Callable[[AbstractChannel], Awaitable[object]]


class Topology:
    """Declares a layout: consumer and publisher at the begin of each of their sessions, the consumer now and then
    too. `answer_s`: seconds that the broker may take for one question. Not for all of them: when a whole fleet
    comes back, who began anew after a time would only have the broker answer the same again."""

    def __init__(self, layout: Layout, *, answer_s: float = 20.0) -> None:
        self._layout = layout
        self._answer_s = answer_s
        self._not_ours: set[str] = set()

    async def declare(self, connection: AbstractConnection) -> None:
        """All of it is there when this returns. Repeating is harmless. Raises one of `connection.BROKEN`, of these
        a REFUSAL for what is neither there nor ours to make."""
        async with _Channel(connection, self._answer_s) as channel:
            for exchange in self._layout.exchanges():
                await self._exchange(channel, exchange)
            for queue in self._layout.queues(server_version(connection)):
                await self._queue(channel, queue)

    async def _exchange(self, channel: _Channel, spec: ExchangeSpec) -> None:
        def declare(passive: bool) -> _Step:
            return lambda on: on.declare_exchange(
                spec.name, spec.type, durable=spec.durable, auto_delete=spec.auto_delete, passive=passive
            )

        await self._ensure(channel, f"exchange {spec.name}", declare(False), declare(True))

    async def _queue(self, channel: _Channel, spec: QueueSpec) -> None:
        def declare(passive: bool) -> _Step:
            return lambda on: on.declare_queue(
                spec.name, durable=spec.durable, arguments=spec.arguments, passive=passive
            )

        async def bind(on: AbstractChannel) -> None:
            queue = await on.get_queue(spec.name, ensure=False)
            await queue.bind(spec.bound_to, routing_key=spec.key)

        await self._ensure(channel, f"queue {spec.name}", declare(False), declare(True))
        await self._ensure(channel, f"binding of queue {spec.name}", bind, None)

    async def _ensure(self, channel: _Channel, what: str, make: _Step, look: _Step | None) -> None:
        """Make it, or look for it when it isn't ours to make."""
        if what not in self._not_ours and await self._make(channel, what, make):
            return
        if look is None:
            return
        try:
            await channel.do(look)
        except ABSENT:
            # Whose it was has taken it away: the next time it may be ours.
            self._not_ours.discard(what)
            raise

    async def _make(self, channel: _Channel, what: str, make: _Step) -> bool:
        """False: it isn't ours to make."""
        try:
            await channel.do(make)
        except NOT_OURS as error:
            if what not in self._not_ours:  # the other session may have found out meanwhile
                log.warning("topology.differs: %s isn't ours to declare, used as it is: %s", what, describe(error))
            self._not_ours.add(what)
            return False
        return True


class _Channel:
    """A channel, and another one when the broker has closed it."""

    def __init__(self, connection: AbstractConnection, answer_s: float) -> None:
        self._connection = connection
        self._answer_s = answer_s
        self._channel: AbstractChannel | None = None

    async def do(self, step: _Step) -> None:
        """Raises what the broker says of `step`."""
        if self._channel is None or self._channel.is_closed:
            self._channel = await guarded(_opened(self._connection), self._answer_s)
        await guarded(step(self._channel), self._answer_s)

    async def __aenter__(self) -> _Channel:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After an error the connection goes, and the channel with it.
        if self._channel is not None and kind is None:
            with suppress(*BROKEN):
                await guarded(self._channel.close(), self._answer_s)


async def _opened(connection: AbstractConnection) -> AbstractChannel:
    return await connection.channel()


def server_version(connection: AbstractConnection) -> str:
    """What the broker says it is, such as "3.13.7"; empty when it doesn't."""
    properties = getattr(wire(connection), "server_properties", {})
    version = properties.get("version", "")
    return version.decode() if isinstance(version, bytes) else str(version)
