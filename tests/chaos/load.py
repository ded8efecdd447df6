"""Several clients that ask for changes until they are answered, some of them twice, from two sides, out of order.

Half of the requests that aren't answered in time are sent again under their own message_id, as any careful
client would do; so an outage becomes duplicates, and only the agent's promises keep them from being done twice.
The others are trusting: what the broker has confirmed isn't sent again, however long its answer takes, and only
the agent's promises keep it from being lost.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from tests.chaos.coverage import Place
from tests.chaos.line import Line
from tests.chaos.places import chain
from tests.chaos.story import Teller

AGAIN_S = 2.0
TRUSTING = 0.5
"""Share of the requests that are sent until the broker has them, and no more."""
NOT_AFTER_S: tuple[float, ...] = (-60.0, 2.0, 6.0, 3600.0)
"""From now. Some are past already, some pass while it is under way, some never."""
SOON_S = 4.0

WEIGHTS = {
    "spawn": 8,
    "destroy": 2,
    "attach_volume": 3,
    "detach_volume": 3,
    "attach_interface": 2,
    "detach_interface": 2,
    "pause": 1,
    "unpause": 2,
    "stop": 1,
    "start": 2,
    "reboot": 1,
    "suspend": 1,
    "resume": 2,
}


class Hands(Protocol):
    """What the load has to know of its host. `lets_go`: whether a running guest gives its devices back."""

    lets_go: bool

    def args(self, method: str, uuid: str, rng: random.Random) -> dict[str, Any]: ...


@dataclass
class Asked:
    """One request. `answers` are the bodies that came, `sent` how often it was, `taken` whether the broker has
    confirmed it; `trusting`: then it isn't sent again. `answered_at` the last time; times are the real ones."""

    message_id: str
    method: str
    args: dict[str, Any]
    instance: str
    answers: list[bytes] = field(default_factory=list)
    sent: int = 0
    taken: bool = False
    trusting: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    in_order: bool = False
    first_sent_at: float = 0.0
    answered_at: float = 0.0

    @property
    def not_after(self) -> float | None:
        """In real time."""
        given = self.args.get("not_after")
        return None if given is None else datetime.fromisoformat(given).timestamp()

    @property
    def body(self) -> bytes:
        return json.dumps({"method": self.method, "version": "1.0", "args": self.args}).encode()


class Mail:
    """What came in, by message_id: a resend has to be the same byte for byte."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.differing: list[str] = []
        self.resends = 0

    def take(self, message: AbstractIncomingMessage) -> bool:
        """Whether it is new."""
        name = str(message.message_id)
        had = self.bodies.setdefault(name, message.body)
        if had is message.body:
            return True
        self.resends += 1
        if had != message.body:
            self.differing.append(f"message {name} came as {had!r} and as {message.body!r}")
        return False


class Client:
    """`asked` is everybody's: by correlation an answer finds its request."""

    def __init__(self, url: str, host: str, name: str, asked: dict[str, Asked], mail: Mail) -> None:
        self.line = Line(url, self._setup)
        self._host = host
        self._asked = asked
        self._mail = mail
        self._queue = f"answers-{host}-{name}"

    async def send(self, asked: Asked) -> None:
        asked.sent += 1
        asked.first_sent_at = asked.first_sent_at or time.time()
        message = aio_pika.Message(
            asked.body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=asked.message_id,
            reply_to=self._queue,
            correlation_id=asked.message_id,
        )
        asked.taken |= await self.line.publish("compute", f"compute.{self._host}", message)

    async def insist(self, asked: Asked) -> None:
        """Until it is answered."""
        while not asked.answered.is_set():
            if not (asked.trusting and asked.taken):
                await self.send(asked)
            waiting = asyncio.ensure_future(asked.answered.wait())
            await asyncio.wait({waiting}, timeout=AGAIN_S)
            waiting.cancel()

    async def _setup(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(self._queue, durable=True)
        await queue.consume(self._on_answer)

    async def _on_answer(self, message: AbstractIncomingMessage) -> None:
        self._mail.take(message)
        asked = self._asked[str(message.correlation_id)]
        asked.answers.append(message.body)
        asked.answered_at = time.time()
        asked.answered.set()
        await message.ack()


class Listener:
    """Keeps every durable event of one host, in the order it came."""

    def __init__(self, url: str, host: str) -> None:
        self.line = Line(url, self._setup)
        self._source = f"/compute/{host}"
        self._queue = f"told-{host}"
        self.mail = Mail()
        self.events: list[dict[str, Any]] = []

    async def _setup(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(self._queue, durable=True)
        exchange = await channel.declare_exchange("compute.events", "topic", durable=True)
        await queue.bind(exchange, "#")
        await queue.consume(self._on_event)

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        event = json.loads(message.body)
        if event["source"] == self._source and event.get("sequence") and self.mail.take(message):
            self.events.append(event)
        await message.ack()


@dataclass(frozen=True)
class Aim:
    """A place to die at, and the instance whose requests will come by."""

    place: Place
    instance: str


class Load:
    """`make` the requests of a round, then `run` them, from all clients."""

    def __init__(self, clients: list[Client], teller: Teller, hands: Hands) -> None:
        self._clients = clients
        self._teller = teller
        self._hands = hands

    def make(self, count: int, aims: Sequence[Aim], rng: random.Random) -> list[Asked]:
        """First those that the aims need, each on an instance of its own."""
        aimed = [request for aim in aims for request in self._aimed(aim, rng.random())]
        count = max(3, count - len(aimed))
        uuids = [new_uuid(rng) for _ in range(max(3, count // 8))]
        methods = ["spawn"] * len(uuids) + rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count - len(uuids))
        others = [
            self._one(method, uuid, rng) for method, uuid in zip(methods, _spread(uuids, count, rng), strict=True)
        ]
        for request in rng.sample(others, k=len(others) // 6):
            at = datetime.now(UTC) + timedelta(seconds=rng.choice(NOT_AFTER_S))
            request.args["not_after"] = at.isoformat()
        for request in (made := [*aimed, *others]):
            request.trusting = rng.random() < TRUSTING
        return made

    async def run(self, asked: list[Asked], seconds: float, rng: random.Random) -> None:
        """Send all within about `seconds`; returns when each is answered."""
        async with asyncio.TaskGroup() as group:
            for request in asked:
                group.create_task(self._client(request, rng).insist(request))
                if rng.random() < 0.3:
                    self._teller.count("duplicates sent")
                    group.create_task(self._twice(request, rng.choice(self._clients), rng.random()))
                await asyncio.sleep(rng.expovariate(len(asked) / seconds))

    def _client(self, asked: Asked, rng: random.Random) -> Client:
        # In the order of their making, as far as one client keeps it.
        return self._clients[0] if asked.in_order else rng.choice(self._clients)

    async def _twice(self, asked: Asked, client: Client, after: float) -> None:
        await asyncio.sleep(after)
        await client.send(asked)

    def _aimed(self, aim: Aim, seed: float) -> list[Asked]:
        """Some of the last ones expire while the agent lies dead in them."""
        methods = chain(aim.place.method, self._hands.lets_go)
        # The same choices for each, so that what is detached is what was attached.
        made = [self._one(method, aim.instance, random.Random(seed)) for method in methods]
        for number, request in enumerate(made):
            request.message_id += f"-{number}"
            request.in_order = True
        if random.Random(seed).random() < 1 / 3:
            made[-1].args["not_after"] = (datetime.now(UTC) + timedelta(seconds=SOON_S)).isoformat()
        return made

    def _one(self, method: str, uuid: str, rng: random.Random) -> Asked:
        message_id = f"{method}-{rng.getrandbits(64):016x}"
        args = self._hands.args(method, uuid, rng)
        return Asked(message_id, method, args, uuid)


def new_uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _spread(uuids: list[str], count: int, rng: random.Random) -> list[str]:
    return [*uuids, *rng.choices(uuids, k=count - len(uuids))]
