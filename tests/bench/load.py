"""Casts in large numbers, and their ends. Cheap, as it shares the machine with what it loads.

Bodies are made before the clock runs; publishing waits for nothing. A cast is done when two events of it have
come: its end, and the change of power state that the agent saw in the hypervisor.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiormq
from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel

EVENTS = 2
FLUSHED = 64
"""Messages after which it is waited until they have left."""

Cast = tuple[bytes, str]
"""A body and its message_id."""


def cast(method: str, args: dict[str, Any]) -> Cast:
    return json.dumps({"method": method, "version": "1.0", "args": args}).encode(), str(uuid4())


def instance(uuid: str, **fields: Any) -> dict[str, Any]:
    """Arguments of a spawn of the smallest guest."""
    return {"instance": {"uuid": uuid, "name": f"vm-{uuid}", "vcpus": 1, "memory_mb": 64, **fields}}


def spawns(uuids: Iterable[str]) -> list[Cast]:
    return [cast("spawn", instance(uuid)) for uuid in uuids]


def destroys(uuids: Iterable[str]) -> list[Cast]:
    return [cast("destroy", {"instance_uuid": uuid}) for uuid in uuids]


def switches(uuids: Sequence[str], number: int) -> Iterator[Cast]:
    """`pause` for each, `unpause` for each, and so on: the cheapest changes there are, none refused."""
    for n in range(number):
        method = "unpause" if n // len(uuids) % 2 else "pause"
        yield cast(method, {"instance_uuid": uuids[n % len(uuids)]})


class Load:
    """Publishes to one host and hears what becomes of it. `told` counts events by the last word of their type."""

    def __init__(self, url: str, host: str) -> None:
        self._url = url
        self._host = host
        self._awaited = 0
        self._all = asyncio.Event()
        self.told: Counter[str] = Counter()
        self.errors: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._connection: AbstractConnection = await aiormq.connect(self._url)
        channel = await self._connection.channel(publisher_confirms=False)
        assert isinstance(channel, Channel)
        self._channel = channel
        told = await self._channel.queue_declare(exclusive=True)
        assert told.queue is not None
        for key in ("*.end", "*.error", "power_state"):
            await self._channel.queue_bind(told.queue, "compute.events", f"compute.instance.{key}.#")
        await self._channel.basic_consume(told.queue, self._on_event, no_ack=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def run(self, casts: Sequence[Cast], timeout: float = 600) -> float:
        """Send them all, each of which changes a power state, and wait until all is told; the seconds from the
        first to the last."""
        loop = asyncio.get_running_loop()
        self._awaited = self.told.total() + EVENTS * len(casts)
        self._all.clear()
        began = loop.time()
        await self.send(casts)
        async with asyncio.timeout(timeout):
            await self._all.wait()
        return loop.time() - began

    async def send(self, casts: Iterable[Cast]) -> None:
        for number, (body, message_id) in enumerate(casts):
            properties = aiormq.spec.Basic.Properties(
                content_type="application/json", delivery_mode=2, message_id=message_id
            )
            await self._channel.basic_publish(
                body,
                exchange="compute",
                routing_key=f"compute.{self._host}",
                properties=properties,
                wait=number % FLUSHED == 0,
            )

    async def _on_event(self, message: DeliveredMessage) -> None:
        event = json.loads(message.body)
        self.told[event["type"].rpartition(".")[2]] += 1
        if "error" in event["data"]:
            self.errors.append(event)
        if self.told.total() >= self._awaited:
            self._all.set()
