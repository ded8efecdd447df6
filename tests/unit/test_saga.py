"""The saga runner, on a saga whose effects are names in a set."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from agent import deadline
from agent.errors import Conflict, Internal, OperationStuck, TimedOut, Unavailable
from agent.saga import UNDO_S, Mark, Run, Saga, Step

NAMES = ["directory", "disks", "define", "start"]


class Made(BaseModel):
    names: tuple[str, ...] = ()


class Lines:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Mark]] = []
        self.state: BaseModel | None = None

    async def write(self, step: str, mark: Mark, state: BaseModel, done: str | None = None) -> None:
        if done is not None:
            self.lines.append((done, Mark.DONE))
        self.lines.append((step, mark))
        self.state = state

    def marks(self) -> dict[str, Mark]:
        return dict(self.lines)


class Host(set[str]):
    """What was made."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()


def saga(
    *, fails: str = "", error: Exception | None = None, stuck: str = "", hangs: str = "", half: bool = False
) -> Saga[Host, Made]:
    def step(name: str) -> Step[Host, Made]:
        async def do(host: Host, made: Made) -> Made:
            if name != fails or half:
                host.add(name)
            if name == fails:
                raise error or Conflict("no")
            if name == hangs:
                host.reached.set()
                await asyncio.Event().wait()
            return Made(names=(*made.names, name))

        async def undo(host: Host, made: Made) -> None:
            if name == stuck:
                raise RuntimeError("held")
            host.discard(name)

        return Step(name, do, undo)

    return Saga("test", Made, tuple(map(step, NAMES)))


async def test_every_step_is_done_in_order_and_its_end_is_written_with_the_next_ones_begin() -> None:
    host, lines = Host(), Lines()
    run = Run(saga(), host, lines, Made())
    assert (await run.forward()).names == tuple(NAMES)
    # That the last one is done is written by whoever writes the saga's end.
    assert lines.lines == [(name, mark) for name in NAMES for mark in (Mark.BEGUN, Mark.DONE)][:-1]
    assert run.marks == dict.fromkeys(NAMES, Mark.DONE)


async def test_a_step_that_was_begun_with_the_operation_isnt_begun_again() -> None:
    host, lines = Host(), Lines()
    marks = {NAMES[0]: Mark.BEGUN}
    await Run(saga(), host, lines, Made(), marks, noted=NAMES[0]).forward()
    assert lines.lines[0] == (NAMES[0], Mark.DONE)
    assert host == set(NAMES)


async def test_a_step_whose_end_isnt_written_when_the_next_cant_begin_is_undone() -> None:
    host, lines = Host(), FullDisk({(NAMES[1], Mark.BEGUN)})
    with pytest.raises(Unavailable):
        await Run(saga(), host, lines, Made()).forward()
    assert host == set()
    assert lines.lines == [(NAMES[0], mark) for mark in (Mark.BEGUN, Mark.UNDOING, Mark.UNDONE)]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_a_failing_step_leaves_nothing_and_keeps_its_own_error(name: str, half: bool) -> None:
    host, lines = Host(), Lines()
    with pytest.raises(Conflict):
        await Run(saga(fails=name, half=half), host, lines, Made()).forward()
    assert host == set()


async def test_a_bug_in_a_step_is_undone_and_becomes_internal() -> None:
    host = Host()
    with pytest.raises(Internal):
        await Run(saga(fails="define", error=ZeroDivisionError()), host, Lines(), Made()).forward()
    assert host == set()


async def test_an_unknown_outcome_is_not_undone() -> None:
    host, lines = Host(), Lines()
    with pytest.raises(TimedOut):
        await Run(saga(fails="define", error=TimedOut("?"), half=True), host, lines, Made()).forward()
    assert host == {"directory", "disks", "define"}
    assert lines.marks()["define"] is Mark.BEGUN


@pytest.mark.parametrize("name", NAMES)
async def test_a_stop_in_any_step_can_be_undone_later_from_the_marks(name: str) -> None:
    host, lines = Host(), Lines()
    run = asyncio.create_task(Run(saga(hangs=name), host, lines, Made()).forward())
    await host.reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert name in host
    assert isinstance(lines.state, Made)
    await Run(saga(), host, lines, lines.state, lines.marks()).backward()
    assert host == set()


@pytest.mark.parametrize("name", NAMES)
async def test_a_stop_in_any_step_can_be_gone_on_with_from_the_marks(name: str) -> None:
    host, lines = Host(), Lines()
    run = asyncio.create_task(Run(saga(hangs=name), host, lines, Made()).forward())
    await host.reached.wait()
    run.cancel()
    await asyncio.wait([run])
    assert isinstance(lines.state, Made)
    again = Run(saga(), host, lines, lines.state, lines.marks())
    assert (await again.forward()).names == tuple(NAMES)
    assert host == set(NAMES)


async def test_an_undo_that_fails_stops_there_and_says_where() -> None:
    host, lines = Host(), Lines()
    with pytest.raises(OperationStuck, match="disks") as stuck:
        await Run(saga(fails="start", stuck="disks"), host, lines, Made()).forward()
    assert stuck.value.details == {"step": "disks"}
    assert host == {"directory", "disks"}
    assert lines.lines[-1] == ("disks", Mark.STUCK)


async def test_a_stuck_undo_can_be_tried_again() -> None:
    host, lines = Host(), Lines()
    with pytest.raises(OperationStuck):
        await Run(saga(fails="start", stuck="disks"), host, lines, Made()).forward()
    await Run(saga(), host, lines, Made(), lines.marks()).backward()
    assert host == set()


class FullDisk(Lines):
    """A journal that refuses each of these once."""

    def __init__(self, refusals: set[tuple[str, Mark]]) -> None:
        super().__init__()
        self.refusals = refusals

    async def write(self, step: str, mark: Mark, state: BaseModel, done: str | None = None) -> None:
        if (step, mark) in self.refusals:
            self.refusals.remove((step, mark))
            raise Unavailable("the journal's disk is full")
        await super().write(step, mark, state, done)


async def test_undoing_waits_for_a_journal_that_cannot_be_written() -> None:
    host, lines = Host(), FullDisk({("disks", Mark.UNDOING), ("disks", Mark.UNDONE)})
    with pytest.raises(Conflict):
        await Run(saga(fails="define"), host, lines, Made()).forward()
    assert host == set()
    assert {lines.marks()[name] for name in ("directory", "disks", "define")} == {Mark.UNDONE}


async def test_nothing_is_undone_before_what_was_given_up_has_settled() -> None:
    host, lines, settles = Host(), Lines(), asyncio.Event()

    async def settled() -> None:
        await settles.wait()

    run = Run(saga(fails="define"), host, lines, Made(), settled=settled)
    failing = asyncio.create_task(run.forward())
    done, _ = await asyncio.wait({failing}, timeout=0.05)
    assert not done
    assert host == {"directory", "disks"}
    assert Mark.UNDOING not in lines.marks().values()
    settles.set()
    with pytest.raises(Conflict):
        await failing
    assert host == set()


async def test_what_doesnt_settle_stays_as_it_is_and_its_outcome_unknown() -> None:
    host, lines = Host(), Lines()

    async def settled() -> None:
        raise TimedOut("it hangs")

    with pytest.raises(TimedOut, match="it hangs; what was begun stays until the operation is retried"):
        await Run(saga(fails="define"), host, lines, Made(), settled=settled).forward()
    assert host == {"directory", "disks"}
    assert Mark.UNDOING not in lines.marks().values()


async def test_an_undo_waits_for_what_is_away_to_settle() -> None:
    host, lines, tries = Host(), Lines(), iter((Unavailable("away"), Unavailable("away"), None))

    async def settled() -> None:
        if (failure := next(tries)) is not None:
            raise failure

    with pytest.raises(Conflict):
        await Run(saga(fails="define"), host, lines, Made(), settled=settled).forward()
    assert host == set()


async def test_where_nothing_was_begun_nothing_has_to_settle() -> None:
    async def settled() -> None:
        raise TimedOut("asked for nothing")

    await Run(saga(), Host(), Lines(), Made(), settled=settled).backward()


async def test_undoing_has_a_time_of_its_own_however_little_is_left() -> None:
    left: list[float] = []

    async def do(_: Host, made: Made) -> Made:
        raise Conflict("no")

    async def undo(_: Host, __: Made) -> None:
        left.append(deadline.remaining(2 * UNDO_S))

    table = Saga("test", Made, (Step("only", do, undo),))
    with deadline.within(0.0), pytest.raises(Conflict):
        await Run(table, Host(), Lines(), Made()).forward()
    assert 0 < left[0] <= UNDO_S
