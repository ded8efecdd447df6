"""Exchanges and queues, as the reference on messages lists them.

Declared on a connection of its own, one thing to a channel: a declaration that the broker refuses closes
its channel, and nothing else. What is there with other arguments than ours, or isn't ours to declare, is used
as it is and told once for each start: an operator may have had a reason, and such a queue takes messages too.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

from aio_pika.abc import AbstractChannel, AbstractConnection

from agent.names import Names
from agent.rpc.connection import REFUSALS, connect, describe, wire
from agent.settings import Amqp, Rpc

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

    def _events(self) -> QueueSpec:
        arguments = {"x-max-length": EVENTS_KEPT, "x-overflow": "drop-head"}
        return QueueSpec(self.names.events, self.names.events, "compute.instance.#", arguments=arguments)


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0


class _Declare(Protocol):
    async def __call__(self, channel: AbstractChannel, *, passive: bool) -> None: ...


class Topology:
    """Declares a layout; consumer and publisher call it at the begin of each of their sessions."""

    def __init__(self, amqp: Amqp, layout: Layout) -> None:
        self._amqp = amqp
        self._layout = layout
        self._told: set[str] = set()

    async def declare(self) -> None:
        """Raises one of `connection.BROKEN`, of these a REFUSAL for what is neither there nor ours to make."""
        connection = await connect(self._amqp, f"compute-agent {self._layout.names.host} topology")
        async with connection:
            for exchange in self._layout.exchanges():
                await self._declare_exchange(connection, exchange)
            for queue in self._layout.queues(_version(connection)):
                await self._declare_queue(connection, queue)

    async def _declare_exchange(self, connection: AbstractConnection, spec: ExchangeSpec) -> None:
        async def declare(channel: AbstractChannel, *, passive: bool) -> None:
            await channel.declare_exchange(
                spec.name, spec.type, durable=spec.durable, auto_delete=spec.auto_delete, passive=passive
            )

        await self._declare(connection, f"exchange {spec.name}", declare)

    async def _declare_queue(self, connection: AbstractConnection, spec: QueueSpec) -> None:
        async def declare(channel: AbstractChannel, *, passive: bool) -> None:
            await channel.declare_queue(spec.name, durable=spec.durable, arguments=spec.arguments, passive=passive)

        await self._declare(connection, f"queue {spec.name}", declare)
        try:
            async with connection.channel() as channel:
                queue = await channel.get_queue(spec.name, ensure=False)
                await queue.bind(spec.bound_to, routing_key=spec.key)
        except REFUSALS as error:
            self._tell(f"binding of queue {spec.name}", error)

    async def _declare(self, connection: AbstractConnection, what: str, declare: _Declare) -> None:
        try:
            async with connection.channel() as channel:
                await declare(channel, passive=False)
        except REFUSALS as error:
            self._tell(what, error)
            async with connection.channel() as channel:
                await declare(channel, passive=True)

    def _tell(self, what: str, error: Exception) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("topology.differs: %s isn't ours to declare, used as it is: %s", what, describe(error))


def _version(connection: AbstractConnection) -> str:
    properties = getattr(wire(connection), "server_properties", {})
    version = properties.get("version", "")
    return version.decode() if isinstance(version, bytes) else str(version)
