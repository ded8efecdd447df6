from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from agent.errors import Conflict, Internal, NotFound, OperationFailed, OperationStuck
from agent.journal import Answer, Journal, KeyFile, Repeated, Status
from agent.saga import Mark, Run, Saga, Step
from agent.secret import Secret
from agent.spec import Frozen
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import Clock, State, accepted, event, request


class Asked(State):
    generation: int = 0


OK = Answer(result={"power_state": "running"})
STUCK = Answer(error={"code": "operation_stuck"})


async def test_a_begun_operation_runs_since_then(journal: Journal, clock: Clock) -> None:
    record = await accepted(journal)
    clock.advance(seconds=2)
    begun_at = clock.now
    await journal.begin(record.id, [event("compute.instance.start.start")])
    clock.advance(seconds=5)
    await journal.begin(record.id, [])
    now = await journal.operation(record.id)
    assert (now.status, now.begun_at) == (Status.RUNNING, begun_at)
    assert [e.type for e in await journal.unsent_events(9)] == ["compute.instance.start.start"]


async def test_steps_are_kept_in_order_with_the_time_they_took(journal: Journal, clock: Clock) -> None:
    record = await accepted(journal)
    await journal.begin(record.id, [])
    entry = journal.entry(record.id)
    for mark in (Mark.BEGUN, Mark.DONE):
        await entry.write("zone", mark, State(made=("zone",)))
        clock.advance(seconds=1.5)
    await entry.write("attach", Mark.BEGUN, State(made=("zone", "attach")))
    now = await journal.operation(record.id)
    assert [(s.name, s.mark, s.seconds) for s in now.steps] == [
        ("zone", Mark.DONE, 1.5),
        ("attach", Mark.BEGUN, None),
    ]
    assert journal.load_state(now, State).made == ("zone", "attach")
    clock.advance(seconds=1)
    await entry.write("attach", Mark.UNDOING, State())
    clock.advance(seconds=0.25)
    await entry.write("attach", Mark.STUCK, State())
    last = (await journal.operation(record.id)).steps[-1]
    assert (last.mark, last.seconds, last.at) == (Mark.STUCK, 0.25, clock.now)


async def test_a_change_begins_with_its_first_step_and_its_generation_all_at_once(journal: Journal) -> None:
    record = await accepted(journal, state=Asked(admin_pass=Secret("opensesame")))
    assert await journal.begin_change(record.id, uuid4(), [event()], 6, step="one") == 7
    now = await journal.operation(record.id)
    assert (now.status, [(s.name, s.mark) for s in now.steps]) == (Status.RUNNING, [("one", Mark.BEGUN)])
    assert journal.load_state(now, Asked) == Asked(generation=7, admin_pass=Secret("opensesame"))


async def test_that_a_step_is_done_is_written_with_the_begin_of_the_next_and_the_end_of_all(
    journal: Journal, clock: Clock
) -> None:
    record = await accepted(journal)
    await journal.begin(record.id, [])
    await journal.write_step(record.id, "one", Mark.BEGUN, State())
    clock.advance(seconds=1)
    await journal.write_step(record.id, "two", Mark.BEGUN, State(), "one")
    clock.advance(seconds=2)
    await journal.finish(record.id, Status.SUCCEEDED, OK, [], {})
    steps = (await journal.operation(record.id)).steps
    assert [(s.name, s.mark, s.seconds) for s in steps] == [("one", Mark.DONE, 1), ("two", Mark.DONE, 2)]


async def test_what_failed_keeps_the_marks_it_has(journal: Journal) -> None:
    record = await accepted(journal)
    await journal.write_step(record.id, "one", Mark.BEGUN, State())
    await journal.finish(record.id, Status.UNKNOWN, STUCK, [], {})
    assert [s.mark for s in (await journal.operation(record.id)).steps] == [Mark.BEGUN]


async def test_a_clock_set_back_gives_no_negative_time(journal: Journal, clock: Clock) -> None:
    record = await accepted(journal)
    await journal.write_step(record.id, "one", Mark.BEGUN, State())
    clock.advance(hours=-1)
    await journal.write_step(record.id, "one", Mark.DONE, State())
    assert (await journal.operation(record.id)).steps[0].seconds == 0


async def test_an_end_keeps_answer_events_and_shares_and_erases_the_state(journal: Journal, clock: Clock) -> None:
    record = await accepted(journal)
    await journal.begin(record.id, [])
    await journal.finish(record.id, Status.SUCCEEDED, OK, [event()], {"total": 1.5, "libvirt": 0.25})
    now = await journal.operation(record.id)
    assert (now.status, now.ended_at, now.result, now.error) == (Status.SUCCEEDED, clock.now, OK.result, None)
    assert now.shares == {"total": 1.5, "libvirt": 0.25}
    assert now.state is None
    assert await journal.unfinished() == []
    assert [e.type for e in await journal.unsent_events(9)] == ["compute.instance.start.end"]
    with pytest.raises(Conflict, match="erased"):
        journal.load_state(now, State)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
async def test_nothing_happens_to_an_operation_that_has_ended(journal: Journal, status: Status) -> None:
    record = await accepted(journal)
    await journal.finish(record.id, status, OK, [], {})
    for attempt in (
        journal.finish(record.id, Status.FAILED, STUCK, [event()], {}),
        journal.begin(record.id, [event()]),
        journal.write_step(record.id, "late", Mark.DONE, State(admin_pass=Secret("x"))),
        journal.requeue(record.id),
        journal.abandon(record.id, [event()]),
    ):
        with pytest.raises(Conflict, match=status.value):
            await attempt
    now = await journal.operation(record.id)
    assert (now.status, now.state, now.steps) == (status, None, ())
    assert await journal.unsent_events(9) == []
    assert len(await journal.unsent_replies(9)) == 1


async def test_an_operation_nobody_knows_is_not_found(journal: Journal) -> None:
    unknown = uuid4()
    for attempt in (
        journal.operation(unknown),
        journal.begin(unknown, []),
        journal.finish(unknown, Status.FAILED, STUCK, [], {}),
        journal.write_step(unknown, "one", Mark.BEGUN, State()),
        journal.requeue(unknown),
        journal.abandon(unknown, []),
        journal.operations(before=unknown),
    ):
        with pytest.raises(NotFound, match=str(unknown)):
            await attempt


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.ABANDONED])
async def test_an_operation_ends_only_in_an_end(journal: Journal, status: Status) -> None:
    record = await accepted(journal)
    with pytest.raises(ValueError, match=status.value):
        await journal.finish(record.id, status, OK, [], {})
    assert (await journal.operation(record.id)).status is Status.QUEUED


@pytest.mark.parametrize("status", [Status.STUCK, Status.UNKNOWN])
async def test_what_waits_for_a_person_keeps_its_state_until_it_is_abandoned(
    journal: Journal, status: Status
) -> None:
    record = await accepted(journal, state=State(admin_pass=Secret("opensesame")))
    await journal.begin(record.id, [])
    await journal.finish(record.id, status, STUCK, [], {})
    now = await journal.operation(record.id)
    assert journal.load_state(now, State).admin_pass == Secret("opensesame")
    assert now.ended_at is not None
    assert await journal.unfinished() == []
    await journal.abandon(record.id, [event("compute.instance.start.error")])
    now = await journal.operation(record.id)
    assert (now.status, now.state) == (Status.ABANDONED, None)
    assert await journal.accept(request()) == Repeated(record.id, STUCK)


@pytest.mark.parametrize("status", [Status.STUCK, Status.UNKNOWN])
async def test_who_repeats_a_retried_request_gets_the_new_answer(journal: Journal, status: Status) -> None:
    record = await accepted(journal)
    await journal.begin(record.id, [])
    await journal.finish(record.id, status, STUCK, [], {})
    await journal.requeue(record.id)
    assert [r.id for r in await journal.unfinished()] == [record.id]
    assert await journal.accept(request()) == Repeated(record.id, None)
    await journal.begin(record.id, [])
    await journal.finish(record.id, Status.SUCCEEDED, OK, [], {})
    assert await journal.accept(request()) == Repeated(record.id, OK)
    assert [reply.answer for reply in await journal.unsent_replies(9)] == [STUCK, OK]


async def test_who_was_answered_is_not_answered_again_after_a_retry(journal: Journal) -> None:
    record = await accepted(journal)
    await journal.finish(record.id, Status.STUCK, STUCK, [], {})
    await journal.requeue(record.id)
    await journal.finish(record.id, Status.SUCCEEDED, OK, [], {})
    assert [reply.answer for reply in await journal.unsent_replies(9)] == [STUCK]


async def test_only_what_is_stuck_or_unknown_is_retried_or_abandoned(journal: Journal) -> None:
    record = await accepted(journal)
    for status in (Status.QUEUED, Status.RUNNING):
        with pytest.raises(Conflict, match=status.value):
            await journal.requeue(record.id)
        with pytest.raises(Conflict, match=status.value):
            await journal.abandon(record.id, [])
        await journal.begin(record.id, [])


async def test_a_state_of_another_shape_is_told_without_its_values(journal: Journal) -> None:
    class Newer(Frozen):
        instance: int
        admin_pass: Secret

    record = await accepted(journal, state=State(made=("canary-value",)))
    with pytest.raises(Internal, match="Newer wants") as caught:
        journal.load_state(record, Newer)
    assert "canary" not in caught.value.message
    assert caught.value.__cause__ is None


async def test_a_state_sealed_with_another_key_is_told(journal: Journal, tmp_path: Path) -> None:
    record = await accepted(journal, state=State(admin_pass=Secret("opensesame")))
    stranger = await Journal.open(tmp_path / "other.db", KeyFile(b"A" * 43 + b"="), host="host-1")
    with pytest.raises(Internal, match="key"):
        stranger.load_state(record, State)
    await stranger.close()


async def test_a_killed_saga_goes_on_from_the_journal(journal: Journal, open_journal: Open) -> None:
    calls: list[str] = []

    async def make(_: None, state: State) -> State:
        calls.append("make")
        return State(made=(*state.made, "disk"), admin_pass=state.admin_pass)

    async def drop(_: None, state: State) -> None:
        calls.append(f"drop {','.join(state.made)}")

    async def fail(_: None, state: State) -> State:
        raise OperationFailed("no boot")

    saga = Saga("start", State, (Step("make", make, drop), Step("boot", fail)))
    record = await accepted(journal, state=State(admin_pass=Secret("opensesame")))
    await journal.begin(record.id, [])
    await journal.write_step(record.id, "make", Mark.DONE, State(made=("disk",), admin_pass=Secret("s")))
    await journal.close()

    later = await open_journal()
    (found,) = await later.unfinished()
    marks = {step.name: step.mark for step in found.steps}
    run = Run(saga, None, later.entry(found.id), later.load_state(found, State), marks)
    with pytest.raises(OperationFailed):
        await run.forward()
    assert calls == ["drop disk"]
    assert [(s.name, s.mark) for s in (await later.operation(found.id)).steps] == [
        ("make", Mark.UNDONE),
        ("boot", Mark.BEGUN),
    ]


async def test_a_stuck_saga_says_so_in_its_steps(journal: Journal) -> None:
    async def boom(_: None, state: State) -> State:
        raise OperationFailed("no")

    async def worse(_: None, state: State) -> None:
        raise RuntimeError("still in use")

    record = await accepted(journal)
    saga = Saga("start", State, (Step("disk", boom, worse),))
    with pytest.raises(OperationStuck):
        await Run(saga, None, journal.entry(record.id), State()).forward()
    assert [s.mark for s in (await journal.operation(record.id)).steps] == [Mark.STUCK]
