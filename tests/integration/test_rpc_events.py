"""A client's events: in order, each once, and none missing that its host remembers. On a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.errors import AgentError, NotFound, Unavailable
from agent.journal.records import EventRecord
from agent.rpc import views
from agent.rpc.client import ComputeClient, Missed, Position
from agent.rpc.desk import Call
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.params import Ping, ReplayEvents
from agent.rpc.schema.results import Replayed, Result
from tests.integration.rpc_ground import Edge, client_of, edge_on, eventually, new_names, soon
from tests.rig.broker import Broker

POWER = "compute.instance.power_state"


class Remembering:
    """The desk of an edge that answers `replay_events` as a journal would."""

    def __init__(self, edge: Edge) -> None:
        self._desk = edge.desk
        self._edge = edge
        self.kept: list[EventRecord] = []
        self.refusal: AgentError | None = None
        edge.reception.desk = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    def tell(
        self, number: int = 1, *, published: bool = True, type_: str = POWER, subject: UUID | None = None
    ) -> None:
        """Events that happen; unpublished ones were lost on their way."""
        for _ in range(number):
            record = self._edge.outbox.add_event(type_, subject or uuid4())
            self.kept.append(record)
            if not published:
                del self._edge.outbox.events[record.sequence]

    async def lose_journal(self) -> None:
        await self._edge.outbox.emptied()
        self.kept.clear()
        self._edge.outbox.stream = uuid4()
        self._edge.outbox._sequence = 0

    async def answer(self, call: Call) -> Result:
        if not isinstance(call.params, ReplayEvents):
            return await self._edge.desk.answer(call)
        await self._edge.desk.answer(call)  # as slow as any read
        if self.refusal is not None:
            raise self.refusal
        asked = call.params
        if self.kept and asked.from_sequence < self.kept[0].sequence:
            raise NotFound("not kept any more", details={"oldest": self.kept[0].sequence})
        found = [record for record in self.kept if record.sequence >= asked.from_sequence][: asked.limit]
        following = found[-1].sequence + 1 if found else asked.from_sequence
        events = tuple(views.cloud_event(record).model_dump(mode="json", exclude_none=True) for record in found)
        return Replayed(stream=self._edge.outbox.stream, events=events, next_sequence=following)


@asynccontextmanager
async def host(broker: Broker) -> AsyncIterator[tuple[Remembering, ComputeClient]]:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        yield Remembering(edge), client


async def next_of(events: AsyncIterator[CloudEvent], number: int) -> list[int]:
    return [int((await soon(anext(events))).sequence or 0) for _ in range(number)]


async def test_what_the_broker_lost_is_asked_of_the_host_and_comes_in_its_place(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        async with client.events() as events:
            memory.tell(2)
            memory.tell(450, published=False)  # more than a page, twice
            memory.tell(3)
            assert await next_of(events, 455) == list(range(1, 456))


async def test_a_host_that_does_not_answer_keeps_no_others_events_back(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names) as sick, edge_on(broker.url, replace(names, host="h2")) as well:
        memory, other = Remembering(sick), Remembering(well)
        async with client_of(sick, broker.url) as client, client.events() as events:
            memory.tell()
            assert await next_of(events, 1) == [1]
            sick.desk.slow_reads.clear()
            memory.tell(published=False)
            memory.tell()
            await sick.desk.until(lambda: sick.desk.reading > 0)
            other.tell(5)
            assert await next_of(events, 5) == [1, 2, 3, 4, 5]
            sick.desk.slow_reads.set()
            assert await next_of(events, 2) == [2, 3]


async def test_a_deleted_queue_is_made_anew_and_the_hosts_are_asked_for_what_came_meanwhile(
    broker: Broker,
) -> None:
    missed: list[Missed] = []
    async with host(broker) as (memory, client):
        async with client.events(on_missed=missed.append) as events:
            memory.tell(2)
            assert await next_of(events, 2) == [1, 2]
            memory.tell(2, published=False)
            await asyncio.to_thread(broker.rabbitmqctl, "delete_queue", events._subscription._own)
            assert await next_of(events, 2) == [3, 4]
            memory.tell()
            assert await next_of(events, 1) == [5]
    # Hosts that had told nothing yet can't be asked from anywhere.
    assert [each.host for each in missed] == [None]


async def test_a_deleted_reply_queue_is_made_anew(broker: Broker) -> None:
    async with host(broker) as (_, client):
        assert (await client.ping("h1", Ping())).host == "h1"
        await asyncio.to_thread(broker.rabbitmqctl, "delete_queue", client._replies._name)
        assert (await client.ping("h1", Ping())).host == "h1"


async def test_a_client_that_starts_anew_goes_on_where_it_was(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        async with client.events() as events:
            memory.tell(3)
            await next_of(events, 3)
            # The third may not have been handled: it comes again.
            positions = dict(events.positions)
            assert positions == {"h1": Position(2, memory._edge.outbox.stream)}
        memory.tell(2)
        async with client.events(after=positions) as events:
            memory.tell(2)
            assert await next_of(events, 5) == [3, 4, 5, 6, 7]


async def test_a_position_without_a_stream_is_of_whichever_the_host_has(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        memory.tell(5)
        async with client.events(after={"h1": Position(3)}) as events:
            memory.tell()
            assert await next_of(events, 3) == [4, 5, 6]


async def test_only_what_is_wanted_comes_from_a_hosts_memory(broker: Broker) -> None:
    uuid = uuid4()
    async with host(broker) as (memory, client):
        memory.tell(2)
        memory.tell(subject=uuid)
        memory.tell(type_="compute.instance.stop.end")
        async with client.events(instance=uuid, after={"h1": Position(0)}) as events:
            memory.tell(3)  # no gap: they are others'
            memory.tell(subject=uuid)
            assert await next_of(events, 2) == [3, 8]


async def test_a_lost_journal_is_told_and_the_new_one_is_read_from_its_begin(broker: Broker) -> None:
    missed: list[Missed] = []
    async with host(broker) as (memory, client):
        async with client.events(on_missed=missed.append) as events:
            memory.tell(4)
            assert await next_of(events, 4) == [1, 2, 3, 4]
            positions = dict(events.positions)
            await memory.lose_journal()
            memory.tell(2, published=False)
            memory.tell()
            assert await next_of(events, 3) == [1, 2, 3]
        assert missed == [Missed("h1", "it has lost its journal")]
        async with client.events(after=positions, on_missed=missed.append) as events:
            assert await next_of(events, 3) == [1, 2, 3]
    assert missed == [Missed("h1", "it has lost its journal")] * 2


async def test_what_the_host_does_not_remember_is_told(broker: Broker) -> None:
    missed: list[Missed] = []
    async with host(broker) as (memory, client):
        memory.tell(6)
        del memory.kept[:3]
        async with client.events(after={"h1": Position(1)}, on_missed=missed.append) as events:
            assert await next_of(events, 3) == [4, 5, 6]
    assert missed == [Missed("h1", "it doesn't remember that far back")]


@pytest.mark.parametrize("refusal", [Unavailable("the journal can't be read"), NotFound("something else")])
async def test_a_host_that_cannot_be_asked_is_told_and_its_events_go_on(
    broker: Broker, refusal: AgentError
) -> None:
    missed: list[Missed] = []
    async with host(broker) as (memory, client):
        async with client.events(on_missed=missed.append) as events:
            memory.tell()
            memory.refusal = refusal
            memory.tell(2, published=False)
            memory.tell(2)
            assert await next_of(events, 3) == [1, 4, 5]
            assert missed == [Missed("h1", f"it can't be asked: {refusal}")]


async def test_events_are_read_by_a_bare_loop_too(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        memory.tell(3)
        got = []
        async for event in client.events(after={"h1": Position(0)}):
            got.append(int(event.sequence or 0))
            if len(got) == 2:
                break
    assert got == [1, 2]


async def test_a_loop_over_events_can_be_cancelled(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in client.events(after={"h1": Position(0)}):
                begun.set()

        memory.tell()
        reading = asyncio.create_task(read())
        await soon(begun.wait())
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(reading)


async def test_no_host_is_asked_once_the_reader_has_left(broker: Broker) -> None:
    async with host(broker) as (memory, client):
        async with client.events() as events:
            memory.tell()
            assert await next_of(events, 1) == [1]
            memory._desk.slow_reads.clear()
            for _ in range(2):
                memory.tell(published=False)
                memory.tell()
            subscription = events._subscription
            await eventually(lambda: len(subscription._held.get("h1", ())) == 2)
        assert [task for task in subscription._filling if not task.done()] == []
