"""What is done with one delivery, from bytes to acknowledgement. Knows no AMQP; `consumer` brings deliveries.

    take -> probe?  ack, that is all
         -> decode, route -> change: accept (in order) -> ack
                 |        -> read:   ack -> answer -> publish
                 v
              refused -> call: error published -> ack
                      -> cast: parked, its event told -> ack

`take` never waits and everything that follows runs in tasks owned here: the task that a channel gives its
callback dies with the channel, and an accept that is half done must not.

A delivery is acknowledged when its request is in the journal or its refusal is with the broker. Whatever
happens before that, the broker brings it again and the journal knows it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import structlog

from agent import logs
from agent.errors import AgentError, Busy
from agent.journal.records import Address, Answer
from agent.operations.outcome import bug, error_body
from agent.rpc import answers, dead_letters, wire
from agent.rpc.answers import Answers
from agent.rpc.dead_letters import Cast, Refused, parked
from agent.rpc.desk import Call, Desk, Request, Source
from agent.rpc.heartbeats import Heartbeats
from agent.rpc.in_order import InOrder
from agent.rpc.message import Properties
from agent.rpc.publisher import Outcome
from agent.rpc.router import Router
from agent.rpc.subject import instance_of, order_key
from agent.rpc.tasks import end

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class InHand:
    """Deliveries taken and not accepted, refused or acknowledged yet. `oldest`: when the first of them
    was taken, in monotonic seconds."""

    count: int = 0
    oldest: float | None = None

    def __add__(self, other: InHand) -> InHand:
        known = [moment for moment in (self.oldest, other.oldest) if moment is not None]
        return InHand(self.count + other.count, min(known, default=None))


class Gate:
    """Open while deliveries of one channel may be taken. Shut, what isn't accepted yet stays unacknowledged
    and goes back to the broker with its channel, in its old place. Knows the tasks that end with the channel."""

    def __init__(self) -> None:
        self._shut = asyncio.Event()
        self.accepting: set[asyncio.Task[None]] = set()
        self.refusing: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> bool:
        return not self._shut.is_set()

    def close(self) -> None:
        self._shut.set()

    async def shut(self) -> None:
        """Wait until it is."""
        await self._shut.wait()

    def drop_refusals(self) -> None:
        """Refusals under way: their requests come again."""
        for task in self.refusing:
            task.cancel()

    async def settle(self) -> None:
        """Wait until all that is being accepted is, so that it is acknowledged and doesn't come again."""
        while running := self.accepting | self.refusing:
            self.drop_refusals()
            await asyncio.wait(running, timeout=1)


class Delivery(Protocol):
    """One message as it came. `gate` is that of its consumer."""

    @property
    def properties(self) -> Properties: ...

    @property
    def body(self) -> bytes: ...

    @property
    def source(self) -> Source: ...

    @property
    def queue(self) -> str: ...

    @property
    def gate(self) -> Gate: ...

    def ack(self) -> None:
        """Never waits, and is harmless when its channel is gone: then it comes again."""
        ...


class Post(answers.Post, Protocol):
    """What of the publisher is used here."""

    async def reset(self) -> None: ...


class Probes(Protocol):
    """The agent's own messages to itself."""

    def take(self, queue: str, properties: Properties, body: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """`reads`: answered at once, more are `busy`. `park_s`: seconds to find a place for a refused cast;
    `homeless_s`: for an answer whose queue is missing."""

    max_message_bytes: int = 1024 * 1024
    reads: int = 64
    park_s: float = 60.0
    homeless_s: float = 60.0


@dataclass(slots=True)
class _Read:
    """A delivery as far as it was understood."""

    delivery: Delivery
    address: Address | None = None
    request: Request | None = None
    call: Call | None = None


@dataclass(slots=True)
class Reception:
    """One for the agent; it outlives connections."""

    desk: Desk
    router: Router
    post: Post
    probes: Probes
    heartbeats: Heartbeats
    bounds: Bounds = field(default_factory=Bounds)
    clock: Clock = lambda: datetime.now(UTC)
    _in_order: InOrder = field(default_factory=InOrder)
    _reading: set[asyncio.Task[None]] = field(default_factory=set)
    _in_hand: dict[asyncio.Task[None], float] = field(default_factory=dict)
    _answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self._answers = Answers(self.post, homeless_s=self.bounds.homeless_s)

    def take(self, delivery: Delivery) -> None:
        """Called in the order of delivery. Never raises, never waits."""
        gate = delivery.gate
        if not gate.open:
            return
        if self.probes.take(delivery.queue, delivery.properties, delivery.body):
            delivery.ack()
            return
        read = _Read(delivery)
        try:
            self._understand(read)
        except Exception as error:  # noqa: BLE001 - what kills its reader would come again, for ever
            self._refuse(read, _agent_error(error))
            return
        call = read.call
        assert call is not None  # noqa: S101 - _understand returned
        if call.method.kind == "change":
            accepting = self._in_order.submit(order_key(call.params), lambda: self._accept(read, call))
            self._hold(gate.accepting, accepting)
        elif len(self._reading) < self.bounds.reads and not self._answers.full:
            own(self._reading, asyncio.create_task(self._answer(read, call)))
        else:
            self._refuse(read, Busy(f"{self.bounds.reads} questions are being answered"))

    def in_hand(self) -> InHand:
        """Also those whose channel is gone."""
        return InHand(len(self._in_hand), min(self._in_hand.values(), default=None))

    async def close(self, timeout: float) -> None:
        """Give answers under way `timeout` seconds, then drop them."""
        if self._reading:
            await asyncio.wait(self._reading, timeout=timeout)
        await end(*self._reading)
        await self._answers.close(timeout)

    def _understand(self, read: _Read) -> None:
        """As far as it goes: what was understood before an error is kept for the refusal."""
        delivery, now = read.delivery, self.clock()
        opened = wire.opened(delivery.properties, delivery.body, max_bytes=self.bounds.max_message_bytes)
        read.address = opened.address(self.router.names.replies)
        request = opened.request(read.address, now)
        if request.caller.request_id is None:
            caller = request.caller.model_copy(update={"request_id": f"req-{uuid4()}"})
            request = replace(request, caller=caller)
        read.request = request
        call = self.router.route(request, delivery.source, now)
        if read.address is None and call.method.kind == "change":
            parking = dead_letters.address(Cast(**_cast(delivery, request)), self.router.names, now)
            call = replace(call, request=replace(request, parking=parking))
        read.call = call

    async def _accept(self, read: _Read, call: Call) -> None:
        delivery = read.delivery
        _bind(call.request, call)
        if delivery.source is not Source.QUERIES and not self.desk.has_room():
            delivery.gate.close()
        if not delivery.gate.open:
            return
        # Before it is accepted: the answer, with which it ends, may be there as soon as that.
        self.heartbeats.begin(read.address)
        try:
            await self.desk.accept(call)
        except Exception as error:  # noqa: BLE001 - refused, or a bug
            self.heartbeats.end(read.address)
            self._refuse(read, _agent_error(error))
            return
        delivery.ack()

    async def _answer(self, read: _Read, call: Call) -> None:
        read.delivery.ack()
        if read.address is None:
            log.info("request.unanswerable", method=call.method.name)
            return
        _bind(call.request, call)
        self.heartbeats.begin(read.address)
        try:
            result = await self.desk.answer(call)
            answer = Answer(result=result.model_dump(mode="json"))
        except Exception as error:  # noqa: BLE001 - the edge: a failing read is an answer too
            answer = Answer(error=error_body(_agent_error(error)))
        finally:
            self.heartbeats.end(read.address)
        message = wire.encode(read.address, answer, uuid4().hex, persistent=False)
        deadline = call.request.deadline
        left = None if deadline is None else max(0.0, (deadline - self.clock()).total_seconds())
        self._answers.send(message, left)

    def _refuse(self, read: _Read, refusal: AgentError) -> None:
        """In a task of its own, so that what comes behind doesn't wait until the broker takes the refusal."""
        self._hold(read.delivery.gate.refusing, asyncio.create_task(self._send_refusal(read, refusal)))

    def _hold(self, tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        own(tasks, task)
        self._in_hand[task] = time.monotonic()
        task.add_done_callback(self._in_hand.pop)

    async def _send_refusal(self, read: _Read, refusal: AgentError) -> None:
        _bind(read.request, read.call)
        log.info("request.refused", code=refusal.code, queue=read.delivery.queue)
        if read.address is not None:
            await self._answers.send(wire.refuse(read.address, refusal, uuid4().hex), None)
        elif read.delivery.source is not Source.FANOUT:
            # A broadcast would be parked once for each host.
            await self._park(read, refusal)
            await self._tell_refused(read, refusal)
        read.delivery.ack()

    async def _park(self, read: _Read, error: AgentError) -> None:
        delivery, request = read.delivery, read.request
        refused = Refused(**_cast(delivery, request), error=error)
        message = parked(refused, self.router.names, self.clock(), max_bytes=self.bounds.max_message_bytes)
        end = asyncio.get_running_loop().time() + self.bounds.park_s
        while (outcome := await self.post.deliver(message)) is not Outcome.CONFIRMED:
            if asyncio.get_running_loop().time() > end:
                # Held back for ever it would keep others from coming.
                log.error("dead_letter.dropped", outcome=outcome.value, message_id=message.message_id)
                return
            log.error("dead_letter.no_place", outcome=outcome.value, queue=message.exchange)
            await asyncio.sleep(min(1.0, self.bounds.park_s))
            # The next session declares what is missing.
            await self.post.reset()

    async def _tell_refused(self, read: _Read, error: AgentError) -> None:
        if read.request is None:
            return
        try:
            await self.desk.tell_refused(read.call, read.request, error)
        except Exception as failure:  # noqa: BLE001 - the message is parked; its event isn't worth holding it back
            log.warning("refusal.untold", error=_agent_error(failure).message)


def _cast(delivery: Delivery, request: Request | None) -> dict[str, Any]:
    return {
        "properties": delivery.properties,
        "body": delivery.body,
        "queue": delivery.queue,
        "method": request.method if request else None,
    }


def own(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    """Keep a task as long as it runs; the loop itself holds tasks only weakly."""
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _agent_error(error: Exception) -> AgentError:
    """What a caller is told. Called while the exception is handled: a bug's traceback is logged here."""
    return error if isinstance(error, AgentError) else bug()


def _bind(request: Request | None, call: Call | None) -> None:
    """Log lines of this task carry who and what; never the arguments."""
    if request is None:
        return
    method, instance = (call.method.name, instance_of(call.params)) if call is not None else (None, None)
    logs.bind(**dict(request.caller), method=method, instance=instance)
