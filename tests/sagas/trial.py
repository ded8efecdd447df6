"""One operation, undisturbed or struck, and what it has to have told in the end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations import TABLE
from tests.sagas.cases import CASES, UUID_
from tests.sagas.ground import Calls, Strike, opened, picture
from tests.unit.operations.conftest import ENDED, Inside

WHEN = ("before", "half", "after")


@dataclass(frozen=True)
class Model:
    """An undisturbed run: the world before and after it, and the calls it made."""

    method: str
    before: dict[str, Any]
    after: dict[str, Any]
    calls: tuple[str, ...]


class Stage:
    """Where trials take place. What stands before an operation is made once and then put back each time, in
    the same place, for there are paths in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._models: dict[str, Model] = {}

    def directory(self, method: str) -> Path:
        return self._root / method

    async def model(self, method: str) -> Model:
        if method not in self._models:
            self._models[method] = await self._undisturbed(method)
        return self._models[method]

    @asynccontextmanager
    async def ready(self, method: str, *strikes: Strike) -> AsyncIterator[tuple[Inside, Calls]]:
        """Before the operation; calls are counted from here."""
        directory = await self.put_back(method)
        calls = Calls(strikes)
        inside = await opened(directory, calls)
        try:
            yield inside, calls
        finally:
            await inside.close()

    async def put_back(self, method: str) -> Path:
        """The directory as it is before the operation."""
        directory = self.directory(method)
        if not self._kept(method).exists():
            await self._prepare(method)
        shutil.rmtree(directory)
        shutil.copytree(self._kept(method), directory)
        return directory

    @asynccontextmanager
    async def restarted(self, method: str) -> AsyncIterator[Inside]:
        """The next run of the agent; nothing strikes any more, and what was unfinished goes on."""
        inside = await opened(self.directory(method))
        try:
            inside.world.faults.clear()
            await inside.operations.recover()
            yield inside
        finally:
            await inside.close()

    def _kept(self, method: str) -> Path:
        return self._root / f"{method}.before"

    async def _prepare(self, method: str) -> None:
        inside = await opened(self.directory(method))
        try:
            await CASES[method].prepare(inside)
        finally:
            await inside.close()
        shutil.copytree(self.directory(method), self._kept(method))

    async def _undisturbed(self, method: str) -> Model:
        async with self.ready(method) as (inside, calls):
            before = picture(inside)
            record = await do(inside, method)
            assert record.error is None, record.error
            after = picture(inside)
            domain = after["domains"].get(str(UUID_))
            assert (domain["state"] if domain else None) == CASES[method].power
            assert before != after, "a case that changes nothing shows nothing"
            return Model(method, before, after, tuple(calls.made))


async def submit(inside: Inside, method: str) -> UUID:
    return await inside.submit(method, CASES[method].asked(inside.directory))


async def do(inside: Inside, method: str) -> OperationRecord:
    return await inside.ended(await submit(inside, method))


async def hangs_or_ended(inside: Inside, operation: UUID) -> bool:
    """Wait until a call hangs (True) or the operation ended without one that did."""
    async with asyncio.timeout(60):
        while not any(fault.hang and fault.taken for fault in inside.world.faults.all()):
            if (await inside.journal.operation(operation)).status in ENDED:
                return False
            await asyncio.sleep(0.002)
    return True


def struck(inside: Inside) -> bool:
    return any(fault.taken for fault in inside.world.faults.all())


def undone(method: str) -> bool:
    return TABLE[method].can_be_undone


def fail(error: str, when: Any) -> Fault:
    return Fault(call="*", when=when, error=error)


async def undo_calls(method: str, stage: Stage) -> tuple[int, int]:
    """The number of the last step's call, and how many calls were made when that one failed and all was undone."""
    steps = [step.name for step in TABLE[method].saga.steps]
    expected = await stage.model(method)
    for at in reversed(range(len(expected.calls))):
        async with stage.ready(method, Strike(at, fail("no_capacity", "after"))) as (inside, calls):
            record = await do(inside, method)
            if record.status is Status.FAILED and [step.name for step in record.steps] == steps:
                return at, len(calls.made)
    raise AssertionError(f"{method}: no call of its last step")


async def check_told(inside: Inside, record: OperationRecord, endings: int = 1) -> None:
    """It began at most once, ended `endings` times and answered as often; the stream has no gap."""
    events = await inside.journal.events_from(1, 1000)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    told = [e.type.rsplit(".", 1)[-1] for e in events if e.data.get("operation_id") == str(record.id)]
    assert told.count("start") <= 1, told
    assert len([ending for ending in told if ending in ("end", "error")]) == endings, told
    assert told[-1] == ("error" if record.error else "end")
    assert (record.error is None) != (record.result is None)
    if endings > 1:
        return  # who asked has had the first answer
    kept = [reply.answer for reply in await inside.journal.unsent_replies(1000)]
    mine = [answer for answer in kept if (answer.result, answer.error) == (record.result, record.error)]
    assert mine, "the answer isn't on its way"
