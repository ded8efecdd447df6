"""A client that knows nothing of ours but the documented messages, as one in any language would be written."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage


class PlainClient:
    """`call` and `cast` on one host; `events` collects all that is told from entry on."""

    def __init__(self, url: str, host: str) -> None:
        self._url = url
        self.host = host
        self.events: list[dict[str, Any]] = []
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._more = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url)
        self._channel = await self._connection.channel()
        self._exchange = await self._channel.get_exchange("compute")
        self._replies = await self._channel.declare_queue(f"reply-{uuid4()}", durable=True, auto_delete=True)
        await self._replies.consume(self._on_reply, no_ack=True)
        told = await self._channel.declare_queue(exclusive=True)
        await told.bind("compute.events", "#")
        await told.consume(self._on_event, no_ack=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def ask(
        self,
        method: str,
        args: dict[str, Any] | None = None,
        *,
        timeout: float = 120,
        message_id: str | None = None,
    ) -> dict[str, Any]:
        """The whole reply, result or error."""
        correlation = str(uuid4())
        future = self._answers[correlation] = asyncio.get_running_loop().create_future()
        await self.send(
            json.dumps({"method": method, "version": "1.0", "args": args or {}}).encode(),
            message_id=message_id or str(uuid4()),
            reply_to=self._replies.name,
            correlation_id=correlation,
        )
        return await asyncio.wait_for(future, timeout)

    async def call(self, method: str, args: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        reply = await self.ask(method, args, **options)
        assert "result" in reply, reply
        result: dict[str, Any] = reply["result"]
        return result

    async def fail(self, method: str, args: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        reply = await self.ask(method, args, **options)
        assert "error" in reply, reply
        error: dict[str, Any] = reply["error"]
        return error

    async def cast(self, method: str, args: dict[str, Any]) -> str:
        message_id = str(uuid4())
        body = json.dumps({"method": method, "version": "1.0", "args": args}).encode()
        await self.send(body, message_id=message_id)
        return message_id

    async def send(self, body: bytes, **properties: Any) -> None:
        properties.setdefault("content_type", "application/json")
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)
        await self._exchange.publish(message, f"compute.{self.host}")

    async def event(
        self, type_: str, timeout: float = 60, subject: str | None = None, **data: Any
    ) -> dict[str, Any]:
        """The first event of this type, on this instance if one is named, with these values in its data; waits for
        it. What others were told before may still come in."""
        async with asyncio.timeout(timeout):
            while True:
                self._more.clear()
                for event in self.events:
                    of_it = event["type"] == type_ and subject in (None, event.get("subject"))
                    if of_it and data.items() <= event["data"].items():
                        return event
                await self._more.wait()

    async def power_state(self, uuid: str, timeout: float = 60) -> str | None:
        """As it is for certain; None when there is no such guest. Right after its start, and on a busy box, the
        agent may have to answer that it doesn't know."""
        async with asyncio.timeout(timeout):
            while True:
                listed = (await self.call("list_instances"))["instances"]
                state = next((str(item["power_state"]) for item in listed if item["uuid"] == uuid), None)
                if state != "unknown":
                    return state
                await asyncio.sleep(0.05)

    async def dead_letter(self, timeout: float = 60) -> AbstractIncomingMessage:
        """Take one parked message."""
        queue = await self._channel.get_queue("compute.dead")
        async with asyncio.timeout(timeout):
            while (message := await queue.get(no_ack=True, fail=False)) is None:
                await asyncio.sleep(0.05)
        return message

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        self._answers[str(message.correlation_id)].set_result(json.loads(message.body))

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        self.events.append(json.loads(message.body))
        self._more.set()
