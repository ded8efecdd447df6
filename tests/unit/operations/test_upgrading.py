"""An agent is stopped amid an operation, and one with another table of that operation's saga is started.

The operation is a walk of three steps that leaves a file for each; tables of later versions are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.admission import Accept
from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations.base import Env, Operation, State
from agent.operations.destroy import DESTROY
from agent.saga import Mark, Saga, Step, Upgrade
from agent.secret import Secret
from tests.unit.operations.conftest import ENDED, Inside, spec

Table = Mapping[str, Operation[Any]]

UUID_ = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")


class Walk(State):
    directory: Path
    word: Secret


class WalkInTown(State):
    """A later version's: the directory has another name."""

    town: Path
    word: Secret


def place(state: Any, name: str) -> Path:
    directory: Path = state.directory if isinstance(state, Walk) else state.town
    return directory / f"walked-{name}"


def step(name: str, *, undo: bool = True) -> Step[Env, Any]:
    async def do(env: Env, state: Any) -> Any:
        await env.hypervisor.nics.unplug(state.instance_uuid, spec().interfaces[0])  # where faults may strike
        place(state, name).write_text(state.word.reveal())
        return state

    async def take_back(_: Env, state: Any) -> None:
        place(state, name).unlink(missing_ok=True)

    return Step(name, do, take_back if undo else None)


def table(*steps: Step[Env, Any], **saga: Any) -> Table:
    asked: dict[str, Any] = {"name": "walk", "state": Walk, "steps": steps}
    walk: Operation[Any] = Operation(Saga(**{**asked, **saga}), lambda *_: Accept())
    return {"walk": walk, "destroy": DESTROY}


FIRST = table(step("one"), step("two"), step("three"))


def walked(directory: Path) -> dict[str, str]:
    return {path.name.removeprefix("walked-"): path.read_text() for path in sorted(directory.glob("walked-*"))}


async def left_in_the_second_step(directory: Path, first: Table = FIRST) -> tuple[OperationRecord, Inside]:
    """By an agent with the first table, which was then stopped."""
    inside = await Inside.open(directory, table=first)
    inside.world.faults.add(Fault(call="nics.unplug", slow=0.01, times=1))
    inside.world.faults.add(Fault(call="nics.unplug", hang=True, times=1))
    operation = await inside.submit("walk", Walk(instance_uuid=UUID_, directory=directory, word=Secret("hush")))
    while len((record := await inside.journal.operation(operation)).steps) < 2:
        assert record.status not in ENDED
    return record, inside


async def ended_by(before: Inside, record: OperationRecord, later: Table) -> OperationRecord:
    """What an agent with another table makes of it."""
    await before.close()
    before.world.faults.clear()
    inside = await Inside.open(before.directory, table=later)
    await inside.operations.recover()
    ended = await inside.ended(record.id)
    await inside.close()
    return ended


async def test_the_same_table_goes_on(tmp_path: Path) -> None:
    record, inside = await left_in_the_second_step(tmp_path)
    ended = await ended_by(inside, record, FIRST)
    assert ended.status is Status.SUCCEEDED
    assert walked(tmp_path) == {"one": "hush", "two": "hush", "three": "hush"}


async def test_an_upgrade_maps_marks_and_state_with_its_secrets_and_goes_on(tmp_path: Path) -> None:
    def rename(state: dict[str, Any]) -> dict[str, Any]:
        return {**{k: v for k, v in state.items() if k != "directory"}, "town": state["directory"]}

    def split(marks: dict[str, Mark]) -> dict[str, Mark]:
        """Step one became two; step two is gone and done again by the last one."""
        return {"one-a": marks["one"], "one-b": marks["one"]}

    later = table(
        step("one-a"),
        step("one-b"),
        step("three"),
        state=WalkInTown,
        version=3,
        upgrades={1: Upgrade(state=rename), 2: Upgrade(marks=split)},
    )
    record, inside = await left_in_the_second_step(tmp_path)
    ended = await ended_by(inside, record, later)
    assert ended.status is Status.SUCCEEDED
    assert ended.saga_version == 3
    assert [(s.name, s.mark) for s in ended.steps] == [(n, Mark.DONE) for n in ("one-a", "one-b", "three")]
    assert walked(tmp_path) == {"one": "hush", "three": "hush"}


@pytest.mark.parametrize("version", [2, 7])
async def test_without_an_upgrade_it_is_undone_and_answered(tmp_path: Path, version: int) -> None:
    record, inside = await left_in_the_second_step(tmp_path)
    later = table(step("one"), step("two"), step("three"), version=version)
    ended = await ended_by(inside, record, later)
    assert ended.status is Status.CANCELLED
    assert ended.error is not None
    assert "walk version 1" in ended.error["message"]
    assert walked(tmp_path) == {}


async def test_an_older_agent_undoes_what_a_later_one_left(tmp_path: Path) -> None:
    later = table(step("one"), step("two"), step("three"), version=2, upgrades={1: Upgrade()})
    record, inside = await left_in_the_second_step(tmp_path, later)
    ended = await ended_by(inside, record, FIRST)
    assert ended.status is Status.CANCELLED
    assert walked(tmp_path) == {}


def lost(_: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("town")


UNREADABLE = {
    "its state is another": table(step("one"), step("two"), state=WalkInTown, version=2),
    "a step isn't known any more": table(step("one"), version=2),
    "its upgrade has a bug": table(step("one"), step("two"), version=2, upgrades={1: Upgrade(state=lost)}),
    "its method isn't known any more": {"destroy": DESTROY},
}


@pytest.mark.parametrize("why", UNREADABLE)
async def test_what_cannot_be_read_is_stuck_and_undone_by_an_agent_that_can(tmp_path: Path, why: str) -> None:
    record, inside = await left_in_the_second_step(tmp_path)
    ended = await ended_by(inside, record, UNREADABLE[why])
    assert ended.status is Status.STUCK
    assert ended.error is not None
    assert ended.error["code"] == "operation_stuck"
    assert "hush" not in str(ended.error)
    assert walked(tmp_path) == {"one": "hush"}

    again = await Inside.open(tmp_path, table=UNREADABLE[why])
    retried = await again.control("retry_operation", record.id)
    assert retried.error is not None
    assert retried.error["code"] == "operation_stuck"
    await again.close()

    able = await Inside.open(tmp_path, table=FIRST)
    assert (await able.control("retry_operation", record.id)).status is Status.SUCCEEDED
    assert (await able.journal.operation(record.id)).status is Status.CANCELLED
    assert walked(tmp_path) == {}
    await able.close()


@pytest.mark.parametrize(
    ("later", "status", "word"),
    [
        (table(step("one"), version=2), Status.CANCELLED, "nothing was begun"),
        (table(step("one"), state=WalkInTown, version=2), Status.FAILED, "nothing was begun"),
        (table(step("one"), version=2, upgrades={1: Upgrade(marks=lambda _: {})}), Status.SUCCEEDED, ""),
    ],
)
async def test_what_was_only_accepted_is_done_or_refused(
    tmp_path: Path, later: Table, status: Status, word: str
) -> None:
    _, inside = await left_in_the_second_step(tmp_path)
    waiting = await inside.submit("walk", Walk(instance_uuid=UUID_, directory=tmp_path, word=Secret("hush")))
    ended = await ended_by(inside, await inside.journal.operation(waiting), later)
    assert ended.status is status
    assert word in str(ended.error)
