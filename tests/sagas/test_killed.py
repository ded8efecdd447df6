"""Every operation in a process of its own that is killed with SIGKILL at each call it makes, and started again.

Nothing is stopped in good order here: what the next process finds is what was on the disk at that instant.
"""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from pathlib import Path
from typing import Any

import pytest

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations import TABLE
from tests.sagas.ground import Calls, Strike, opened, picture
from tests.sagas.trial import WHEN, Model, Stage, check_told, fail, submit, undo_calls, undone

EVERY = pytest.mark.parametrize("method", TABLE)
WITH_UNDO = pytest.mark.parametrize("method", [method for method in TABLE if undone(method)])


def dies(at: int, when: Any) -> Strike:
    return Strike(at, Fault(call="", when=when, die=True))


async def _work(directory: Path, method: str, strikes: tuple[Strike, ...]) -> None:
    inside = await opened(directory, Calls(strikes))
    await inside.ended(await submit(inside, method))
    await inside.close()


def killed_in(stage: Stage, method: str, *strikes: Strike) -> bool:
    """Let a child process do the operation. False when it came to its end: a call that has no half."""
    directory = asyncio.run(stage.put_back(method))
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_work(directory, method, strikes))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


async def _after(stage: Stage, method: str) -> tuple[OperationRecord, dict[str, Any]]:
    """What the next process makes of it, and the world then."""
    async with stage.restarted(method) as inside:
        (last,) = await inside.journal.operations(limit=1)
        record = await inside.ended(last.id)
        await check_told(inside, record)
        return record, picture(inside)


def all_calls(expected: Model) -> list[tuple[int, str]]:
    return [(at, when) for at in range(len(expected.calls)) for when in WHEN]


@EVERY
def test_killed_at_any_call_it_is_finished_by_the_next_process(method: str, stage: Stage) -> None:
    expected = asyncio.run(stage.model(method))
    kills = 0
    for at, when in all_calls(expected):
        kills += killed_in(stage, method, dies(at, when))
        record, world = asyncio.run(_after(stage, method))
        assert record.status is Status.SUCCEEDED, (expected.calls[at], when, record.error)
        assert world == expected.after, (expected.calls[at], when)
    assert kills >= 2 * len(expected.calls)


@WITH_UNDO
def test_killed_at_any_call_of_its_undoing_it_is_undone_by_the_next_process(method: str, stage: Stage) -> None:
    expected = asyncio.run(stage.model(method))
    first, made = asyncio.run(undo_calls(method, stage))
    failing, kills = Strike(first, fail("no_capacity", "after")), 0
    for at in range(first + 1, made):
        for when in WHEN:
            kills += killed_in(stage, method, failing, dies(at, when))
            record, world = asyncio.run(_after(stage, method))
            assert record.status in (Status.FAILED, Status.CANCELLED), (at, when, record.error)
            assert world == expected.before, (at, when)
    assert kills >= 2 * (made - first - 1)
