"""Requests, accidents and restarts in any order, against a model that knows only what each end means.

The model sees how and in which order operations ended, and says in which power states an instance can be then.
What is asked, held up, cancelled, lost or restarted meanwhile is hypothesis' to choose.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations.control import Control
from agent.operations.destroy import Destroy
from agent.operations.power import Power, Stop
from agent.operations.spawn import Spawn
from agent.spec import Frozen, InstanceSpec
from tests.unit.operations.conftest import ENDED, Inside, spec

T = TypeVar("T")

UUIDS = tuple(UUID(int=number) for number in (1, 2))
INSTANCES = st.sampled_from(UUIDS)
WHICH = st.integers(0, 99)
"""Of those that there are by then: what hypothesis draws mustn't hang on how far the agent has come."""
MEMORY = Path("/dev/shm")
NEVER = datetime.max.replace(tzinfo=UTC)
MAX_WAITING = 4  # as `Inside` has it

LEADS_TO: dict[str, str | None] = {
    "spawn": "running",
    "start": "running",
    "unpause": "running",
    "pause": "paused",
    "stop": "shutdown",
    "destroy": None,
}
ON_THE_WAY: dict[str, set[str | None]] = {"spawn": {"shutdown", None}, "destroy": {"shutdown"}}
"""Where one may be that ended in the middle, beside its begin and its goal."""
OPEN_ENDS = {"timed_out", "operation_stuck"}
"""Ends after which an operation may be undone, and end, again."""
States = set[str | None]


def after(record: OperationRecord, before: States) -> States:
    """The states that an instance can be in, once this has ended."""
    goal = LEADS_TO[record.method]
    if record.status is Status.SUCCEEDED:
        already = record.result is not None and record.result["already"]
        return before if already and record.method == "spawn" else {goal}
    if not record.steps:
        return before
    if record.method == "spawn" and record.status is not Status.UNKNOWN:
        return {None}  # all was undone
    return before | {goal} | ON_THE_WAY.get(record.method, set())


def asked(method: str, uuid: UUID) -> Frozen:
    if method == "spawn":
        return Spawn(instance_uuid=uuid, spec=SPECS[uuid])
    if method == "destroy":
        return Destroy(instance_uuid=uuid)
    return Stop(instance_uuid=uuid, graceful=False) if method == "stop" else Power(instance_uuid=uuid)


SPECS: dict[UUID, InstanceSpec] = {uuid: spec(uuid=uuid, name=f"vm-{uuid.int}") for uuid in UUIDS}


class AnyOrder(RuleBasedStateMachine):
    """Every rule lets the agent work for a moment; what isn't done by then is under way at the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="order-", dir=MEMORY if MEMORY.is_dir() else None))
        self.loop = asyncio.new_event_loop()
        self.inside = self.run(Inside.open(self.directory))
        self.taken: list[UUID] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def two_instances(self) -> None:
        for uuid in UUIDS:
            self.run(self.submit("spawn", uuid))

    @rule(method=st.sampled_from(sorted(LEADS_TO)), uuid=INSTANCES)
    def ask(self, method: str, uuid: UUID) -> None:
        self.run(self.submit(method, uuid))

    @rule(uuid=INSTANCES, count=st.integers(2, 8))
    def ask_for_more_than_may_wait(self, uuid: UUID, count: int) -> None:
        for _ in range(count):
            self.run(self.submit("pause", uuid))

    @rule(uuid=INSTANCES, when=st.sampled_from(("before", "half", "after")))
    def hold_up(self, uuid: UUID, when: Any) -> None:
        self.inside.world.faults.add(Fault(call="*", when=when, instance=uuid, hang=True, times=1))

    @rule(uuid=INSTANCES, error=st.sampled_from(("timed_out", "no_capacity", "unavailable")))
    def fail(self, uuid: UUID, error: str) -> None:
        self.inside.world.faults.add(Fault(call="*", when="after", instance=uuid, error=error, times=1))

    @rule()
    def let_go(self) -> None:
        self.inside.world.faults.clear()

    @rule(seconds=st.sampled_from((0.0, 0.002, 0.02)))
    def work(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        self.run(self.control("cancel_operation", self.taken[which % len(self.taken)]))

    @rule(which=WHICH)
    def retry_what_is_unknown(self, which: int) -> None:
        unknown = [record.id for record in self.records() if record.status is Status.UNKNOWN]
        if unknown:
            self.run(self.control("retry_operation", unknown[which % len(unknown)]))

    @rule()
    def restart(self) -> None:
        self.inside = self.run(self.inside.again())
        self.run(self.inside.operations.recover())

    @invariant()
    def no_more_wait_than_may(self) -> None:
        for uuid in UUIDS:
            waiting = [job for job in self.inside.instances.under_way(uuid) if not job.begun and not job.preempts]
            # What was running before a restart waits again.
            assert len(waiting) <= MAX_WAITING + 1

    def teardown(self) -> None:
        try:
            self.run(self.come_to_rest())
            records = self.records()
            self.check_ends(records)
            self.check_order(records)
            self.check_states(records)
        finally:
            self.run(self.inside.close())
            self.loop.close()
            shutil.rmtree(self.directory)

    async def come_to_rest(self) -> None:
        async with asyncio.timeout(60):
            while await self.inside.journal.pending() or self.inside.operations.pending:
                self.inside.world.faults.clear()
                await asyncio.sleep(0.005)
            await self.inside.instances.wait_until_idle()
        assert all(self.inside.instances.under_way(uuid) == () for uuid in UUIDS)

    def check_ends(self, records: list[OperationRecord]) -> None:
        """Each begins at most once, and has one end after which there is nothing more to say."""
        events = self.run(self.inside.journal.events_from(1, 10_000))
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        for record in records:
            told = [e for e in events if e.data["operation_id"] == str(record.id)]
            words = [event.type.rpartition(".")[2] for event in told]
            assert record.status in ENDED
            assert words.count("start") <= 1, words
            assert words[-1] == ("error" if record.error else "end"), words
            earlier = [e.data["error"]["code"] for e in told[:-1] if not e.type.endswith(".start")]
            assert set(earlier) <= OPEN_ENDS, (words, earlier)
            if record.error is not None and record.error["code"] == "busy":
                assert (words, record.steps) == (["error"], ())

    def check_order(self, records: list[OperationRecord]) -> None:
        """On one instance they begin in the order they were accepted."""
        events = self.run(self.inside.journal.events_from(1, 10_000))
        begun = [e.data["operation_id"] for e in events if e.type.endswith(".start")]
        for uuid in UUIDS:
            accepted = [str(record.id) for record in records if record.instance_uuid == uuid]
            mine = [operation for operation in begun if operation in accepted]
            assert mine == sorted(mine, key=accepted.index)

    def check_states(self, records: list[OperationRecord]) -> None:
        domains = self.inside.world.domains()
        for uuid in UUIDS:
            possible: States = {None}
            mine = [record for record in records if record.instance_uuid == uuid]
            # One that is retried does its work then, whenever it was accepted.
            for record in sorted(mine, key=lambda record: record.ended_at or NEVER):
                possible = after(record, possible)
            domain = domains.get(uuid)
            assert (domain.state.value if domain else None) in possible, (possible, _told(records, uuid))
            if domain is None and possible == {None}:
                assert self.inside.leftovers(uuid) == []

    async def submit(self, method: str, uuid: UUID) -> None:
        self.taken.append(await self.inside.submit(method, asked(method, uuid)))

    async def control(self, method: str, operation: UUID) -> None:
        await self.inside.submit(method, Control(operation_id=operation))
        await asyncio.sleep(0)

    def records(self) -> list[OperationRecord]:
        """Of the instances, in the order of acceptance."""
        newest_first = self.run(self.inside.journal.operations(limit=10_000))
        return [record for record in reversed(newest_first) if record.instance_uuid is not None]


def _told(records: list[OperationRecord], uuid: UUID) -> list[str]:
    """What became of an instance's operations, for whoever reads of a failure."""
    return [
        f"{r.method} {r.status} {[f'{s.name}={s.mark}' for s in r.steps]} {(r.error or {}).get('message')}"
        for r in records
        if r.instance_uuid == uuid
    ]


# No shrinking: how far the agent comes between two rules differs from run to run.
AnyOrder.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, phases=(Phase.explicit, Phase.generate)
)
TestAnyOrder = AnyOrder.TestCase
