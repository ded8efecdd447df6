"""The mailboxes: order within an instance, independence between instances, cancelling."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agent.errors import Busy
from agent.instances import Instances, Job, Memory, Past

A, B = uuid4(), uuid4()


class Work:
    """Jobs that log what happens to them and wait until they are let go."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.began: dict[str, asyncio.Event] = {}

    def job(self, name: str, *, waits: bool = False, preempts: bool = False) -> Job:
        gate = self.gates[name] = asyncio.Event()
        began = self.began[name] = asyncio.Event()
        if not waits:
            gate.set()

        async def run(job: Job) -> None:
            if job.cancelled is not None:
                self.log.append(f"{name} withdrawn: {job.cancelled}")
                return
            self.log.append(f"{name} begins")
            began.set()
            try:
                await gate.wait()
            except asyncio.CancelledError:
                self.log.append(f"{name} cancelled: {job.cancelled}")
                if job.cancelled is None:
                    raise
                return
            self.log.append(f"{name} ends")

        return Job(operation_id=uuid4(), method=name, run=run, preempts=preempts)


@pytest.fixture
def work() -> Work:
    return Work()


async def test_jobs_on_one_instance_run_one_after_the_other_in_order(work: Work) -> None:
    instances = Instances(max_waiting=16)
    for name in "abc":
        instances.submit(A, work.job(name))
    await instances.wait_until_idle()
    assert work.log == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


async def test_jobs_on_another_instance_do_not_wait(work: Work) -> None:
    instances = Instances(max_waiting=16)
    instances.submit(A, work.job("slow", waits=True))
    other = work.job("other")
    instances.submit(B, other)
    await other.ended.wait()
    assert "slow ends" not in work.log
    work.gates["slow"].set()
    await instances.wait_until_idle()


async def test_a_full_mailbox_is_busy(work: Work) -> None:
    instances = Instances(max_waiting=1)
    instances.submit(A, work.job("runs", waits=True))
    await work.began["runs"].wait()
    instances.submit(A, work.job("waits"))
    with pytest.raises(Busy):
        instances.submit(A, work.job("too many"))
    work.gates["runs"].set()
    await instances.wait_until_idle()


async def test_a_preempting_job_cancels_all_before_it_and_goes_next(work: Work) -> None:
    instances = Instances(max_waiting=4)
    instances.submit(A, work.job("runs", waits=True))
    await work.began["runs"].wait()
    instances.submit(A, work.job("waits"))
    instances.submit(A, work.job("destroy", preempts=True))
    instances.submit(A, work.job("later"))
    await instances.wait_until_idle()
    assert work.log[1:] == [
        "runs cancelled: destroy was asked for",
        "waits withdrawn: destroy was asked for",
        "destroy begins",
        "destroy ends",
        "later begins",
        "later ends",
    ]


async def test_a_preempting_job_does_not_cancel_another_one(work: Work) -> None:
    instances = Instances(max_waiting=4)
    instances.submit(A, work.job("first", waits=True, preempts=True))
    await work.began["first"].wait()
    instances.submit(A, work.job("second", preempts=True))
    work.gates["first"].set()
    await instances.wait_until_idle()
    assert work.log == ["first begins", "first ends", "second begins", "second ends"]


async def test_a_cancelled_job_that_waits_never_begins(work: Work) -> None:
    instances = Instances(max_waiting=4)
    instances.submit(A, work.job("runs", waits=True))
    await work.began["runs"].wait()
    waiting = work.job("waits")
    instances.submit(A, waiting)
    assert await instances.cancel(waiting.operation_id, "no more")
    work.gates["runs"].set()
    await instances.wait_until_idle()
    assert work.log == ["runs begins", "waits withdrawn: no more", "runs ends"]


async def test_what_an_earlier_run_began_needs_its_turn_even_to_be_cancelled(work: Work) -> None:
    instances = Instances(max_waiting=4)
    instances.submit(A, work.job("runs", waits=True))
    await work.began["runs"].wait()
    resumed = work.job("resumed")
    resumed.resumed = True
    instances.submit(A, resumed)
    cancelling = asyncio.create_task(instances.cancel(resumed.operation_id, "no more"))
    await asyncio.sleep(0)
    assert resumed.cancelled == "no more"
    work.gates["runs"].set()
    assert await cancelling
    assert work.log == ["runs begins", "runs ends", "resumed withdrawn: no more"]


async def test_cancelling_returns_when_the_job_has_cleaned_up(work: Work) -> None:
    instances = Instances(max_waiting=4)
    job = work.job("runs", waits=True)
    instances.submit(A, job)
    await work.began["runs"].wait()
    assert await instances.cancel(job.operation_id, "no more")
    assert work.log[-1] == "runs cancelled: no more"
    assert instances.under_way(A) == ()


async def test_two_who_cancel_a_waiting_job_both_hear_of_its_end(work: Work) -> None:
    instances, end = Instances(max_waiting=16), asyncio.Event()

    async def run(job: Job) -> None:
        await end.wait()  # as long as its end takes to be written

    running, waiting = work.job("runs", waits=True), Job(operation_id=uuid4(), method="waits", run=run)
    instances.submit(A, running)
    instances.submit(A, waiting)
    await work.began["runs"].wait()
    first = asyncio.create_task(instances.cancel(waiting.operation_id, "no more"))
    work.gates["runs"].set()
    await instances.wait_until_idle()
    second = asyncio.create_task(instances.cancel(waiting.operation_id, "no more"))
    await asyncio.sleep(0)
    end.set()
    assert all(await asyncio.gather(first, second))


async def test_a_waiting_job_whose_end_fails_is_no_riddle_for_others(work: Work) -> None:
    instances = Instances(max_waiting=16)

    async def run(job: Job) -> None:
        raise RuntimeError("the end can't be told")

    running, waiting = work.job("runs", waits=True), Job(operation_id=uuid4(), method="waits", run=run)
    instances.submit(A, running)
    instances.submit(A, waiting)
    with pytest.raises(RuntimeError):
        await instances.cancel(waiting.operation_id, "no more")
    assert not await instances.cancel(waiting.operation_id, "no more")
    work.gates["runs"].set()
    await instances.wait_until_idle()


async def test_cancelling_what_is_not_here_says_so() -> None:
    assert not await Instances(max_waiting=1).cancel(UUID(int=1), "x")


async def test_stopping_leaves_the_reason_empty_so_that_the_job_is_resumed_later(work: Work) -> None:
    instances = Instances(max_waiting=4)
    instances.submit(A, work.job("runs", waits=True))
    await work.began["runs"].wait()
    instances.submit(A, work.job("waits"))
    await instances.stop()
    assert work.log == ["runs begins", "runs cancelled: None"]


async def test_what_is_under_way_is_listed_running_first(work: Work) -> None:
    instances = Instances(max_waiting=4)
    first, second = work.job("first", waits=True), work.job("second")
    instances.submit(A, first)
    instances.submit(A, second)
    await work.began["first"].wait()
    assert instances.under_way(A) == (first, second)
    work.gates["first"].set()
    await instances.wait_until_idle()


async def test_a_job_that_is_cancelled_before_its_first_step_is_still_heard_of(work: Work) -> None:
    instances = Instances(max_waiting=1)
    job = work.job("runs")
    instances.submit(A, job)
    while job not in instances.under_way(A) or job.begun or instances._mailboxes[A].running is not job:
        await asyncio.sleep(0)
    assert await instances.cancel(job.operation_id, "no more")
    assert work.log == ["runs withdrawn: no more"]


async def test_a_job_that_is_ending_is_not_cancelled_any_more() -> None:
    instances, gate = Instances(max_waiting=1), asyncio.Event()
    log = []

    async def run(job: Job) -> None:
        job.ending = True
        await gate.wait()
        log.append("ended")

    job = Job(operation_id=uuid4(), method="x", run=run)
    instances.submit(A, job)
    while not job.ending:
        await asyncio.sleep(0)
    cancelling = asyncio.create_task(instances.cancel(job.operation_id, "no more"))
    await asyncio.sleep(0)
    gate.set()
    assert await cancelling
    assert log == ["ended"]
    assert job.cancelled is None


async def test_who_was_at_work_is_known_after_the_end_too(work: Work) -> None:
    instances, before = Instances(max_waiting=1), datetime.now(UTC)
    job = work.job("runs", waits=True)
    instances.submit(A, job)
    await work.began["runs"].wait()
    meanwhile = datetime.now(UTC)
    assert instances.at_work(A, before) is None
    assert instances.at_work(A, meanwhile) is job
    assert instances.at_work(B, meanwhile) is None
    work.gates["runs"].set()
    await instances.wait_until_idle()
    past = instances.at_work(A, meanwhile)
    assert past is not None
    assert past.method == "runs"
    assert instances.at_work(A, before) is None
    assert instances.at_work(A, datetime.now(UTC)) is None


async def test_a_resumed_job_was_at_work_before_its_turn(work: Work) -> None:
    instances, before = Instances(max_waiting=1), datetime.now(UTC)
    job = work.job("runs")
    job.resumed = True
    instances.submit(A, job)
    assert instances.at_work(A, before) is job
    await instances.wait_until_idle()


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(number: float) -> datetime:
    return BEGIN + timedelta(seconds=number)


def past(uuid: UUID, begun: float, ended: float) -> Past:
    return Past(uuid, f"{begun}-{ended}", None, seconds(begun), seconds(ended))


@pytest.mark.parametrize(
    ("uuid", "moment", "found"),
    [(A, 1, "0-2"), (A, 2, "0-2"), (A, 3, None), (A, 5, "4-6"), (A, 7, None), (B, 1, None), (B, 5, "3-9")],
)
def test_of_many_ended_jobs_the_one_is_found_that_was_at_work_then(
    uuid: UUID, moment: float, found: str | None
) -> None:
    memory = Memory(10)
    for ended in (past(A, 0, 2), past(A, 4, 6), past(B, 3, 9)):
        memory.keep(ended)
    seen = memory.at(uuid, seconds(moment))
    assert (seen.method if seen else None) == found


def test_the_oldest_is_forgotten_whoevers_it_is() -> None:
    memory = Memory(2)
    for ended in (past(A, 0, 1), past(B, 2, 3), past(A, 4, 5)):
        memory.keep(ended)
    assert memory.at(A, seconds(0.5)) is None
    assert memory.at(B, seconds(2.5)) is not None
    memory.keep(past(A, 6, 7))
    assert memory.at(B, seconds(2.5)) is None
    assert memory.at(A, seconds(4.5)) is not None
    assert len(memory._of) == 1, "nothing is kept of an instance of which nothing is remembered"
