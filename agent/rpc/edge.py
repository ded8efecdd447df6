"""The agent's way through the broker as a whole: whether it works, and what can be done when it doesn't.

What the watchdog has of consumer, publisher and probe. It decides; here it is only told and done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import aio_pika

from agent.names import Names
from agent.rpc.connection import BROKEN, connect, describe
from agent.rpc.consumer import Consumer
from agent.rpc.probe import CONTENT_TYPE, Probe
from agent.rpc.publisher import Publisher
from agent.rpc.tasks import guarded
from agent.settings_broker import Amqp

log = logging.getLogger(__name__)

_FRESH_S = 10.0


@dataclass(frozen=True, slots=True)
class EdgeState:
    """`up`: both connections are. `excused`: nothing is wrong with the agent, whatever else is: the broker takes
    nothing (an alarm), says no (another agent has the name), or isn't wanted (before the start and after the
    stop). `deaf`: connected, and nothing comes back."""

    up: bool
    excused: bool
    deaf: bool


@dataclass(frozen=True, slots=True)
class Edge:
    amqp: Amqp
    names: Names
    consumer: Consumer
    publisher: Publisher
    probe: Probe

    def state(self) -> EdgeState:
        consumer, publisher = self.consumer.health(), self.publisher.health()
        return EdgeState(
            up=consumer.link.up and publisher.link.up,
            excused=not consumer.wanted or consumer.trouble is not None or publisher.blocked_since is not None,
            deaf=self.probe.deafness() is not None,
        )

    def heard_since(self, moment: float) -> bool:
        """Whether it has worked since a monotonic moment."""
        return self.probe.heard_since(moment)

    async def rebuild(self) -> None:
        """Connect anew, on the side that is deaf."""
        deaf = self.probe.deafness()
        if deaf is None:
            return
        log.warning("broker.deaf: connected, but nothing comes back: connecting anew")
        await (self.publisher.reset() if deaf.publishers else self.consumer.reset())

    async def works_afresh(self) -> bool:
        """Whether a connection of no other use gets through: a probe, which nobody heeds, into each of the
        queues."""
        try:
            await guarded(self._look(), _FRESH_S)
        except BROKEN as error:
            log.debug("broker.fresh_connection_failed error=%s", describe(error))
            return False
        return True

    async def _look(self) -> None:
        connection = await connect(self.amqp, f"compute-agent {self.names.host} looks")
        async with connection, connection.channel(on_return_raises=True) as channel:
            exchange = await channel.get_exchange(self.names.exchange, ensure=False)
            for queue in (self.names.queries, self.names.commands):
                await exchange.publish(_unheeded(), queue, mandatory=True)


def _unheeded() -> aio_pika.Message:
    return aio_pika.Message(b"", content_type=CONTENT_TYPE, expiration=_FRESH_S)
