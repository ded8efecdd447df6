"""The client: what the command line and a scheduler call agents with.

    async with ComputeClient("amqp://...") as compute:
        changed = await compute.spawn("host1", Spawn(instance=...), timeout=600)
        async for event in compute.events(): ...

Needs only the bare install: nothing of libvirt, lxml or the journal.

A call survives a lost connection: the reply queue is durable and outlives it, and the request is sent again
with the same message_id, which the agent knows. What is never known for sure after a timeout is the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from aio_pika.abc import AbstractConnection
from pydantic import SecretStr, ValidationError
from pydantic_core import to_json
from yarl import URL

from agent.errors import InvalidRequest
from agent.names import SharedNames
from agent.rpc import parked
from agent.rpc.client_errors import (
    BrokerUnreachable,
    LoginRefused,
    NoAnswer,
    UnknownError,
    UnknownRetryable,
    Unroutable,
    remote_error,
    told,
)
from agent.rpc.message import Outgoing
from agent.rpc.parked import ParkedMessage
from agent.rpc.publisher import Outcome, Publisher
from agent.rpc.remote import Methods
from agent.rpc.replies import UNREADABLE, Expected, Read, Replies, in_plain
from agent.rpc.schema import VERSION, Method
from agent.rpc.schema.base import Message, Params
from agent.rpc.schema.envelope import DEADLINE, PLACEHOLDER, REPLY_EXCHANGE, Reply
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.params import SPAWN_NOT_AFTER, ReplayEvents, Spawn
from agent.rpc.schema.results import Replayed, Result
from agent.rpc.streams import DURABLE, Missed, Position
from agent.rpc.subscription import Events, Subscription, Wanted, warn
from agent.rpc.tasks import end, guarded, started
from agent.rpc.validation import validate
from agent.settings_broker import Amqp

_AGAIN_S = 0.5
_REPLAY_S = 30.0


class ComputeClient(Methods):
    """Open it with `async with`; that raises BrokerUnreachable and LoginRefused.

    `broker` is a URL, or settings for one with certificates. `app_id` is part of what makes message_ids one's
    own. `replies_exchange`: have answers published to the exchange for them, so that agents need no right on
    the default exchange. `read`: how an answer is read, for a client of another format.
    """

    def __init__(
        self,
        broker: str | Amqp,
        *,
        exchange: str = "compute",
        topic: str = "compute",
        app_id: str | None = None,
        replies_exchange: bool = True,
        read: Read = in_plain,
    ) -> None:
        self._amqp = Amqp(url=SecretStr(broker), reconnect_s=0.5) if isinstance(broker, str) else broker
        self._names = SharedNames(exchange=exchange, topic=topic)
        self._app_id = app_id
        self._user_id = URL(self._amqp.url.get_secret_value()).user
        self._replies = Replies(self._amqp, self._names, by_exchange=replies_exchange, read=read)
        self._publisher = Publisher(self._amqp, "compute-client requests")
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._running = [
            asyncio.create_task(self._replies.run()),
            asyncio.create_task(self._publisher.run(fail_fast=True)),
        ]
        try:
            with told():
                await started(self._running[0], self._replies.listening())
                await started(self._running[1], self._publisher.connected())
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._replies.leave()
        finally:
            await self._end()

    async def call(
        self,
        method: Method,
        host: str | None,
        args: Message | Mapping[str, Any],
        *,
        timeout: float,
        message_id: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Result:
        """The result, of the class that `method` names. Without `host` any host may answer (reads only).

        Raises the AgentError that the agent answered, NoAnswer when none came within `timeout` seconds,
        Unroutable, InvalidRequest before anything is sent. `message_id` makes it the repeat of a request;
        `context` may hold request_id, global_request_id, user_id and project_id.
        """
        params = _checked(method, args)
        message = self._message(method, host, params, message_id, context)
        with self._replies.expect() as expected:
            message = _as_call(message, method, params, timeout, expected)
            try:
                async with asyncio.timeout(timeout):
                    reply = await self._ask(message, expected.answered)
            except TimeoutError:
                raise NoAnswer(f"{method.name}: no answer within {timeout:g} s; the outcome is unknown") from None
        if reply.error is not None:
            raise remote_error(reply.error)
        try:
            return method.result.model_validate(reply.result)
        except ValidationError:
            raise remote_error(UNREADABLE) from None

    async def cast(
        self,
        method: Method,
        host: str | None,
        args: Message | Mapping[str, Any],
        *,
        message_id: str | None = None,
        context: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> str:
        """Send, and return the request's message_id once the broker has it; events tell what becomes of it.
        Raises Unroutable, BrokerUnreachable (it may have been sent all the same: repeat it with that id)."""
        message = self._message(method, host, _checked(method, args), message_id, context)
        try:
            async with asyncio.timeout(timeout):
                await self._send(message)
        except TimeoutError:
            raise BrokerUnreachable(
                f"not confirmed within {timeout:g} s; message_id {message.message_id}"
            ) from None
        return message.message_id

    def events(
        self,
        *keys: str,
        instance: UUID | None = None,
        queue: str | None = None,
        after: Mapping[str, Position] | None = None,
        on_missed: Callable[[Missed], None] = warn,
    ) -> Events:
        """Events from now on, each once and those of a host in order: all durable ones, or those whose routing
        key matches one of `keys`, or all of one `instance`, progress included. `queue` reads an existing queue
        instead, such as the durable one of all agents.

        `after` resumes: each of these hosts is first asked for its durable events after that position. What was
        missed over a lost connection the hosts are asked for, too; `on_missed` is told what can't be had any more.
        """
        chosen = list(keys) or ([f"#.{instance}"] if instance else list(DURABLE))
        wanted = Wanted(chosen, queue, after or {})
        return Events(Subscription(self._amqp, self._names, wanted, self._replay, on_missed))

    @asynccontextmanager
    async def progress(self, operation_id: UUID) -> AsyncIterator[AsyncIterator[CloudEvent]]:
        """How far one operation is, while it runs."""
        async with self.events("compute.operation.progress.#") as events:
            yield (event async for event in events if event.data.get("operation_id") == str(operation_id))

    async def parked(self, limit: int = 100) -> tuple[ParkedMessage, ...]:
        """The oldest refused casts."""
        with told():
            return await guarded(parked.browse(self._connected(), self._names, limit))

    async def resend(self, message: ParkedMessage, body: Mapping[str, Any]) -> None:
        """Send `body` to the queue it was refused on, under its old message_id, then remove the parked one.
        Raises InvalidRequest while a placeholder is left in it; NotFound; Unroutable."""
        encoded = to_json(body)
        if PLACEHOLDER.encode() in encoded:
            raise InvalidRequest.field("(body)", f"still holds {PLACEHOLDER!r}", "fill in the secrets")
        outgoing = Outgoing(
            self._names.exchange,
            message.queue,
            encoded,
            message.id or uuid4().hex,
            user_id=self._user_id,
            app_id=self._app_id,
        )
        with told():
            await guarded(self._settle(message, outgoing))

    async def drop(self, message: ParkedMessage) -> None:
        """Remove a parked message. Raises NotFound."""
        with told():
            await guarded(self._settle(message))

    # Inside

    async def _settle(self, message: ParkedMessage, instead: Outgoing | None = None) -> None:
        """Remove a parked message, after `instead` has been sent."""
        async with parked.held(self._connected(), self._names, message) as original:
            if instead is not None:
                await self._send(instead)
            await original.ack()

    async def _replay(self, host: str, args: ReplayEvents) -> Replayed:
        return await self.replay_events(host, args, timeout=_REPLAY_S)

    def _message(
        self,
        method: Method,
        host: str | None,
        params: Message,
        message_id: str | None,
        context: Mapping[str, str] | None,
    ) -> Outgoing:
        document = {
            "method": method.name,
            "version": VERSION,
            # Defaults aren't sent: an agent of an earlier version may not know all fields.
            "args": params.model_dump(mode="json", exclude_unset=True, context={"reveal": True}),
            "context": dict(context or {}),
        }
        return Outgoing(
            exchange=self._names.exchange,
            routing_key=_queue(self._names, method, host),
            body=to_json(document),
            message_id=message_id or uuid4().hex,
            user_id=self._user_id,
            app_id=self._app_id,
        )

    async def _ask(self, message: Outgoing, answered: asyncio.Future[Reply]) -> Reply:
        """Send, and send again after each lost connection: what a broker lost with it is known by nobody. An
        answer may come while it is sent again, which takes as long as the broker blocks the connection."""
        sent = False
        while not answered.done():
            session = await self._replies.listening()
            try:
                await self._send_unless(answered, message)
            except Unroutable:
                # After a restart of the broker its agent may still have to declare the queue.
                if not sent:
                    raise
                await _first({answered}, timeout=_AGAIN_S)
                continue
            sent = True
            await _first({answered, session} if session is not None else {answered})
        return answered.result()

    async def _send_unless(self, answered: asyncio.Future[Reply], message: Outgoing) -> None:
        sending = asyncio.ensure_future(self._send(message))
        try:
            await _first({answered, sending})
            if not answered.done():
                sending.result()
        finally:
            await end(sending)

    async def _send(self, message: Outgoing) -> None:
        outcome = await self._publisher.deliver(message)
        if outcome is Outcome.UNROUTABLE:
            raise Unroutable(
                f"there is no queue {message.routing_key!r} on this broker: no agent has run for that host"
            )
        if outcome is Outcome.REFUSED:
            raise Unroutable(
                f"there is no exchange {message.exchange!r} on this broker, or no right to publish to it"
            )

    def _connected(self) -> AbstractConnection:
        if (connection := self._replies.connection) is None:
            raise BrokerUnreachable("the connection to the broker is lost")
        return connection

    async def _end(self) -> None:
        await end(*self._running)


def _checked(method: Method, args: Message | Mapping[str, Any]) -> Message:
    """Raises InvalidRequest, as the agent would. A spawn always ends."""
    params = args if isinstance(args, Message) else validate(method, dict(args))
    if not isinstance(params, method.params):
        raise InvalidRequest.field("args", f"are those of {type(params).__name__}", f"{method.name} takes its own")
    if isinstance(params, Spawn) and params.not_after is None:
        return params.model_copy(update={"not_after": datetime.now(UTC) + SPAWN_NOT_AFTER})
    return params


def _as_call(message: Outgoing, method: Method, params: Message, timeout: float, expected: Expected) -> Outgoing:
    """The message with where its answer goes, and when nobody waits for it any more."""
    headers: dict[str, str | int] = {REPLY_EXCHANGE: expected.exchange} if expected.exchange else {}
    if not (isinstance(params, Params) and params.not_after is not None):
        headers[DEADLINE] = (datetime.now(UTC) + timedelta(seconds=timeout)).isoformat()
    # A read that nobody waits for may vanish; a change is answered with `expired`.
    expiration = timeout if method.kind == "read" else None
    return replace(
        message,
        headers=headers,
        expiration=expiration,
        reply_to=expected.reply_to,
        correlation_id=expected.correlation_id,
    )


def _queue(names: SharedNames, method: Method, host: str | None) -> str:
    """Reads go where they are answered also while commands wait."""
    if host is None:
        return names.shared
    try:
        own = names.of(host)
    except ValueError as error:
        raise InvalidRequest.field("host", str(error), "take the name that the host's agent has") from None
    return own.queries if method.on_query_queue else own.commands


async def _first(futures: set[asyncio.Future[Any]], timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


__all__: Sequence[str] = [
    "BrokerUnreachable",
    "ComputeClient",
    "Events",
    "LoginRefused",
    "Missed",
    "NoAnswer",
    "ParkedMessage",
    "Position",
    "UnknownError",
    "UnknownRetryable",
    "Unroutable",
    "remote_error",
]
