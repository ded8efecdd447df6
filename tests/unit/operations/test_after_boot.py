"""Who ran when the host went down is started again; who was off, or is somebody's business, is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Caller, OperationRecord, Status
from agent.operations.after_boot import AT_ONCE, AfterBoot, note_boot, read_boot_id, should_run
from agent.operations.destroy import Destroy
from agent.operations.power import Power, Stop
from agent.operations.spawn import Spawn
from agent.spec import PowerState
from tests.unit.operations.conftest import ENDED, Inside, spec

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)


def operation(method: str, status: Status, ended: datetime | None) -> OperationRecord:
    facts: dict[str, Any] = dict.fromkeys(
        ("instance_uuid", "begun_at", "not_after", "if_generation", "state", "error", "result")
    )
    return OperationRecord(
        id=uuid4(),
        identity="i",
        method=method,
        saga=method,
        saga_version=1,
        caller=Caller(),
        status=status,
        accepted_at=BEFORE,
        ended_at=ended,
        shares={},
        steps=(),
        **facts,
    )


DONE, FAILED, STUCK, UNKNOWN = Status.SUCCEEDED, Status.FAILED, Status.STUCK, Status.UNKNOWN
RULES: list[tuple[str, list[OperationRecord], bool]] = [
    ("running", [], True),
    ("shutdown", [], False),
    ("paused", [], False),
    ("suspended", [], False),
    ("crashed", [], False),
    # Asked for after it was last seen: its event was still to come.
    ("running", [operation("stop", DONE, AFTER)], False),
    ("shutdown", [operation("start", DONE, AFTER)], True),
    ("nostate", [operation("spawn", DONE, AFTER)], True),
    ("running", [operation("attach_volume", DONE, AFTER), operation("stop", DONE, AFTER)], False),
    ("running", [operation("stop", FAILED, AFTER)], True),
    # Asked for before: it has gone on since.
    ("running", [operation("stop", DONE, BEFORE)], True),
    ("shutdown", [operation("start", DONE, BEFORE)], False),
    # Not ended, or not ended well: theirs to say.
    ("running", [operation("attach_volume", STUCK, BEFORE)], False),
    ("running", [operation("reboot", UNKNOWN, BEFORE)], False),
    ("running", [operation("suspend", Status.RUNNING, None)], False),
    ("running", [operation("pause", Status.QUEUED, None)], False),
]


@pytest.mark.parametrize(("seen", "operations", "wanted"), RULES)
def test_what_was_last_seen_or_asked_for_says_whether_it_should_run(
    seen: str, operations: list[OperationRecord], wanted: bool
) -> None:
    assert should_run(seen, NOON, operations) is wanted


def test_the_kernel_says_which_boot_this_is() -> None:
    boot_id = read_boot_id()
    assert boot_id is not None
    assert UUID(boot_id)


async def guest(inside: Inside, *, running: bool = True) -> UUID:
    """Made, and its state recorded as the agent would."""
    asked = spec()
    assert (await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))).status is DONE
    if not running:
        await inside.do("stop", Stop(instance_uuid=asked.uuid, graceful=False))
    state = inside.world.domains()[asked.uuid].state
    await inside.journal.record_power(asked.uuid, state.value, [], bump=False)
    return asked.uuid


async def power_cut(inside: Inside) -> Inside:
    """All guests are off, and the agent comes up again."""
    after = await inside.again()
    for uuid, domain in after.world.domains().items():
        if domain.active:
            after.world.destroy(uuid)
    return after


def states(inside: Inside, *uuids: UUID) -> list[PowerState]:
    return [inside.world.domains()[uuid].state for uuid in uuids]


@asynccontextmanager
async def starting(inside: Inside, boot_id: str = "second") -> AsyncIterator[asyncio.Task[None]]:
    run = asyncio.create_task(AfterBoot(inside.journal, inside.operations, inside.instances, boot_id).run())
    try:
        yield run
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN


async def test_after_a_power_cut_those_that_ran_are_started_and_no_other(inside: Inside) -> None:
    assert await note_boot(inside.journal, "first", resume=True) == 0
    ran, off = await guest(inside), await guest(inside, running=False)
    after = await power_cut(inside)
    assert await note_boot(after.journal, "second", resume=True) == 1
    async with starting(after) as run:
        await run
    assert states(after, ran, off) == [RUNNING, SHUTDOWN]
    (start,) = await after.journal.operations(instance_uuid=ran, method="start")
    assert (start.status, start.caller.request_id) == (DONE, "boot-second")
    told = [kind for kind, data in await after.events() if data["operation_id"] == str(start.id)]
    assert told == ["compute.instance.start.start", "compute.instance.start.end"]
    await after.close()


@pytest.mark.parametrize(("boot_id", "resume"), [("first", True), ("second", False), (None, True)])
async def test_in_the_same_boot_or_without_the_setting_nothing_is_started(
    inside: Inside, boot_id: str | None, resume: bool
) -> None:
    await note_boot(inside.journal, "first", resume=True)
    uuid = await guest(inside)
    after = await power_cut(inside)
    assert await note_boot(after.journal, boot_id, resume=resume) == 0
    async with starting(after) as run:
        await run
    assert states(after, uuid) == [SHUTDOWN]
    # Turned on later, it is for later boots.
    assert await note_boot(after.journal, boot_id, resume=True) == 0
    await after.close()


async def test_a_first_start_with_guests_there_starts_none(inside: Inside) -> None:
    await guest(inside)
    assert await note_boot(inside.journal, "first", resume=True) == 0


async def test_only_a_few_start_at_once(inside: Inside) -> None:
    await note_boot(inside.journal, "first", resume=True)
    uuids = [await guest(inside) for _ in range(AT_ONCE + 2)]
    after = await power_cut(inside)
    await note_boot(after.journal, "second", resume=True)
    after.world.faults.add(Fault(call="domains.start", hang=True))
    async with starting(after) as run:
        while after.world.faults.all()[0].taken < AT_ONCE:
            await asyncio.sleep(0.005)
        assert len(await after.journal.unfinished()) == AT_ONCE
        after.world.faults.clear()
        await run
    assert states(after, *uuids) == [RUNNING] * len(uuids)
    await after.close()


async def test_one_that_was_asked_something_meanwhile_is_left_to_that(inside: Inside) -> None:
    await note_boot(inside.journal, "first", resume=True)
    stopped, destroyed, left = [await guest(inside) for _ in range(3)]
    after = await power_cut(inside)
    await note_boot(after.journal, "second", resume=True)
    assert (await after.do("stop", Stop(instance_uuid=stopped))).result is not None
    await after.do("destroy", Destroy(instance_uuid=destroyed))
    async with starting(after) as run:
        await run
    assert states(after, stopped, left) == [SHUTDOWN, RUNNING]
    assert await after.journal.operations(instance_uuid=destroyed, method="start") == []
    await after.close()


async def test_a_restart_of_the_agent_amid_it_starts_the_rest_and_none_twice(inside: Inside) -> None:
    await note_boot(inside.journal, "first", resume=True)
    uuids = [await guest(inside) for _ in range(AT_ONCE + 2)]
    after = await power_cut(inside)
    await note_boot(after.journal, "second", resume=True)
    after.world.faults.add(Fault(call="domains.start", hang=True))
    async with starting(after):
        while after.world.faults.all()[0].taken < AT_ONCE:
            await asyncio.sleep(0.005)
    again = await after.again()
    again.world.faults.clear()
    # Their states were recorded meanwhile: who is to be started was noted before.
    for uuid in uuids:
        await again.journal.record_power(uuid, "shutdown", [], bump=False)
    await again.operations.recover()
    assert await note_boot(again.journal, "second", resume=True) == 0
    async with starting(again) as run:
        await run
    for uuid in uuids:
        (start,) = await again.journal.operations(instance_uuid=uuid, method="start")
        assert (await again.ended(start.id)).status is DONE
    assert states(again, *uuids) == [RUNNING] * len(uuids)
    await again.close()


async def test_an_instance_with_a_stuck_operation_is_not_started(inside: Inside) -> None:
    await note_boot(inside.journal, "first", resume=True)
    uuid = await guest(inside)
    inside.world.faults.add(Fault(call="domains.pause", when="after", error="timed_out", times=1))
    assert (await inside.do("pause", Power(instance_uuid=uuid))).status in ENDED - {DONE}
    after = await power_cut(inside)
    assert await note_boot(after.journal, "second", resume=True) == 0
    await after.close()
