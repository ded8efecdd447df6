"""Two rules for every step of every saga: `do` may run twice; `undo` copes with nothing, part or all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.journal.records import Accepted, Caller, NewOperation
from agent.operations import TABLE
from agent.operations.base import Env
from agent.saga import Mark, Run, Saga, Step
from tests.sagas.cases import CASES
from tests.sagas.ground import picture
from tests.sagas.trial import Stage, undone
from tests.unit.operations.conftest import Inside

UNDOABLE = [method for method in TABLE if undone(method)]
STEPS = [(method, step.name) for method in UNDOABLE for step in TABLE[method].saga.steps]


def test_every_operation_has_a_case() -> None:
    assert set(CASES) == set(TABLE)


def twice(step: Step[Any, Any]) -> Step[Any, Any]:
    """Done, the mark not written, and so done again from the state of before."""

    async def do(env: Env, state: Any) -> Any:
        await step.do(env, state)
        return await step.do(env, state)

    return replace(step, do=do)


async def a_run(inside: Inside, method: str, saga: Saga[Any, Any]) -> Run[Any, Any]:
    """A run of `saga` with a journal entry of its own, as the runner makes it."""
    state = CASES[method].asked(inside.directory)
    new = NewOperation(
        identity=f"steps/{method}",
        fingerprint="same",
        method=method,
        saga=saga.name,
        saga_version=saga.version,
        state=state,
        instance_uuid=state.instance_uuid,
        caller=Caller(request_id="req-1"),
        address=None,
    )
    accepted = await inside.journal.accept(new)
    assert isinstance(accepted, Accepted)
    operation = accepted.operation.id
    await inside.journal.begin(operation, [])
    return Run(
        saga, Env(inside.hypervisor, lambda *_: None, operation, "req-1"), inside.journal.entry(operation), state
    )


@pytest.mark.parametrize("method", TABLE)
async def test_each_step_may_be_done_twice(method: str, stage: Stage) -> None:
    expected = await stage.model(method)
    saga = TABLE[method].saga
    async with stage.ready(method) as (inside, _):
        run = await a_run(inside, method, replace(saga, steps=tuple(map(twice, saga.steps))))
        await run.forward()
        assert picture(inside) == expected.after


@pytest.mark.parametrize("all_of_it", [False, True], ids=["nothing", "all"])
@pytest.mark.parametrize(("method", "last"), STEPS)
async def test_undo_copes_with_nothing_or_all_of_the_last_step_and_may_run_twice(
    method: str, last: str, all_of_it: bool, stage: Stage
) -> None:
    saga = TABLE[method].saga
    names = [step.name for step in saga.steps]
    done = names[: names.index(last) + all_of_it]
    async with stage.ready(method) as (inside, _):
        before = picture(inside)
        run = await a_run(inside, method, saga)
        for step in saga.steps[: len(done)]:
            run.state = await step.do(run.env, run.state)
        begun = {name: Mark.DONE for name in done} | {last: Mark.BEGUN}
        for _again in range(2):
            run.marks = dict(begun)
            await run.backward()
            assert picture(inside) == before
