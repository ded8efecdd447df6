"""Whatever is accepted, repeated, ended, retried and sent in whatever order, with restarts between."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import Conflict
from agent.journal import UNFINISHED, Accepted, Answer, Different, Journal, KeyFile, Repeated, Status
from tests.unit.journal.samples import address, event, request

KEY = KeyFile(b"A" * 43 + b"=")
WAITING = (Status.STUCK, Status.UNKNOWN)
ENDS = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, *WAITING, *WAITING)

identities = st.sampled_from(["a", "b"])
asks = st.tuples(st.just("ask"), identities, st.sampled_from(["f1", "f1", "f1", "f2"]), st.integers(0, 3))
ends = st.tuples(st.just("end"), identities, st.sampled_from(ENDS), st.integers(0, 2))
others = st.tuples(st.sampled_from(["retry", "retry", "abandon"]), identities)
sends = st.tuples(st.just("send"), st.integers(0, 3))
moves = st.lists(asks | ends | others | sends | st.just(("restart",)), min_size=40, max_size=80)


class Known:
    """One operation as it should be."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.status = Status.QUEUED
        self.answer: Answer | None = None
        self.waiters: set[str] = set()


class World:
    """The journal, and beside it what it should hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, Known] = {}
        self.events = 0
        self.sent_events = 0
        self.replies: Counter[tuple[str, str]] = Counter()
        self.answers = 0

    async def open(self) -> None:
        self.journal = await Journal.open(self.path, KEY, host="h")

    async def restart(self) -> None:
        await self.journal.close()
        await self.open()

    async def ask(self, identity: str, fingerprint: str, caller: int) -> None:
        name = f"{identity}{caller}"
        told = await self.journal.accept(
            request(identity, fingerprint=fingerprint, address=address(name) if caller else None)
        )
        known = self.known.get(identity)
        if known is None:
            assert isinstance(told, Accepted)
            known = self.known[identity] = Known(fingerprint)
        elif known.fingerprint != fingerprint:
            assert isinstance(told, Different)
            return
        else:
            assert isinstance(told, Repeated)
            assert told.answer == known.answer
        if known.answer is None and caller:
            known.waiters.add(name)

    async def end(self, identity: str, status: Status, number: int) -> None:
        if (known := self.known.get(identity)) is None:
            return
        self.answers += 1
        answer = Answer(result={"answer": self.answers})
        finishing = self.journal.finish(await self._id(identity), status, answer, [event()] * number, {})
        if known.status not in UNFINISHED:
            await self._refused(finishing)
            return
        await finishing
        self.events += number
        self.replies.update((name, answer.model_dump_json()) for name in known.waiters)
        known.status, known.answer, known.waiters = status, answer, set()

    async def retry(self, identity: str) -> None:
        if (known := self.known.get(identity)) is None:
            return
        retrying = self.journal.requeue(await self._id(identity))
        if known.status not in WAITING:
            await self._refused(retrying)
            return
        await retrying
        known.status, known.answer = Status.QUEUED, None

    async def abandon(self, identity: str) -> None:
        if (known := self.known.get(identity)) is None:
            return
        abandoning = self.journal.abandon(await self._id(identity), [event()])
        if known.status not in WAITING:
            await self._refused(abandoning)
            return
        await abandoning
        known.status = Status.ABANDONED
        self.events += 1

    async def send(self, limit: int) -> None:
        events = await self.journal.unsent_events(limit)
        await self.journal.events_sent([e.sequence for e in events])
        self.sent_events += len(events)
        replies = await self.journal.unsent_replies(limit)
        await self.journal.replies_sent([reply.id for reply in replies])
        self.replies.subtract((str(r.address.correlation_id), r.answer.model_dump_json()) for r in replies)
        assert all(count >= 0 for count in self.replies.values())

    async def check(self) -> None:
        journal = self.journal
        stream = await journal.events_from(1, 10_000)
        assert [e.sequence for e in stream] == list(range(1, self.events + 1))
        unsent = await journal.unsent_events(10_000)
        assert [e.sequence for e in unsent] == list(range(self.sent_events + 1, self.events + 1))
        replies = await journal.unsent_replies(10_000)
        assert +self.replies == Counter(
            (str(r.address.correlation_id), r.answer.model_dump_json()) for r in replies
        )
        records = {record.identity: record for record in await journal.operations()}
        assert {name: record.status for name, record in records.items()} == {
            name: known.status for name, known in self.known.items()
        }
        for record in records.values():
            assert (record.state is not None) == (record.status in (*UNFINISHED, *WAITING))
        assert await journal.pending() == sum(known.status in UNFINISHED for known in self.known.values())
        assert {r.identity for r in await journal.unfinished()} == {
            name for name, known in self.known.items() if known.status in UNFINISHED
        }

    async def _id(self, identity: str) -> UUID:
        records = await self.journal.operations()
        return next(record.id for record in records if record.identity == identity)

    async def _refused(self, attempt: Awaitable[None]) -> None:
        try:
            await attempt
        except Conflict:
            return
        raise AssertionError("it should have been refused")


@given(moves)
@settings(max_examples=12, deadline=None)
def test_each_waiter_gets_one_answer_and_the_stream_has_no_gap(moves: list[tuple[object, ...]]) -> None:
    async def play(directory: str) -> None:
        world = World(Path(directory) / "journal.db")
        await world.open()
        try:
            for name, *arguments in moves:
                await getattr(world, str(name))(*arguments)
            await world.check()
            await world.restart()
            await world.check()
        finally:
            await world.journal.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(directory))
