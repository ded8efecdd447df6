"""What follows an operation whose call was given up at its deadline and hangs on: nothing, until it settles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.errors import NotFound
from agent.hypervisor.doubts import Patience
from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations.destroy import Destroy
from agent.operations.power import Power, Stop
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume, DetachVolume
from agent.spec import FileVolume, InstanceSpec, PowerState, VolumeConnection, VolumeDisk
from tests.unit.operations.conftest import ENDED, Inside, spec

SHORT = 0.1
"""Seconds that a call may take here."""


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    opened = await Inside.open(tmp_path, call_timeout=SHORT)
    yield opened
    opened.world.faults.clear()
    await opened.close()


def spawning(asked: InstanceSpec) -> Spawn:
    return Spawn(instance_uuid=asked.uuid, spec=asked)


def volume(inside: Inside) -> VolumeConnection:
    path = inside.directory / "volume.raw"
    path.write_bytes(bytes(512))
    return VolumeConnection(volume_id="v", target=FileVolume(path=path))


async def unknown(inside: Inside, method: str, state: Any, **fault: Any) -> OperationRecord:
    """An operation that ended at its deadline while a call of it hangs."""
    inside.world.faults.add(Fault(**fault, hang=True, times=1))
    record = await inside.do(method, state)
    assert record.status is Status.UNKNOWN, record.error
    return record


async def off(inside: Inside, asked: InstanceSpec) -> None:
    """It lets its devices go at once."""
    await inside.do("spawn", spawning(asked))
    await inside.do("stop", Stop(instance_uuid=asked.uuid, graceful=False))


async def still_waits(inside: Inside, operation: UUID) -> None:
    """It has its turn and does nothing."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2 * SHORT):
            await inside.ended(operation)
    record = await inside.journal.operation(operation)
    assert record.status not in ENDED
    assert record.steps == ()


async def status(inside: Inside, record: OperationRecord) -> Status:
    return (await inside.journal.operation(record.id)).status


@pytest.mark.parametrize("when", ["before", "half", "after"])
@pytest.mark.parametrize("call", ["disks.create", "domains.define", "domains.start"])
async def test_the_destroy_of_what_comes_late_waits_for_it_and_leaves_nothing(
    inside: Inside, call: str, when: str
) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call=call, when=when, hang=True, times=1))
    spawn = await inside.do("spawn", spawning(asked))
    if spawn.status is Status.SUCCEEDED:
        assert when == "half"  # a call that has none
        return
    destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid))
    await still_waits(inside, destroy)
    inside.world.faults.clear()
    assert (await inside.ended(destroy)).status is Status.SUCCEEDED
    assert inside.leftovers(asked.uuid) == []
    await asyncio.sleep(SHORT)  # nothing can be waited for: nothing more shall come
    assert inside.leftovers(asked.uuid) == []


async def test_reads_go_on_and_other_instances_do(inside: Inside) -> None:
    sick, well = spec(), spec()
    await unknown(inside, "spawn", spawning(sick), call="domains.start")
    waiting = await inside.submit("destroy", Destroy(instance_uuid=sick.uuid))
    assert (await inside.hypervisor.domains.get(sick.uuid)).power_state is PowerState.SHUTDOWN
    assert (await inside.do("spawn", spawning(well))).status is Status.SUCCEEDED
    await still_waits(inside, waiting)


async def test_a_spawn_of_which_nothing_can_be_seen_is_undone_before_the_next_change(inside: Inside) -> None:
    asked = spec()
    asked = asked.model_copy(update={"disks": (*asked.disks, VolumeDisk(id="v", connection=volume(inside)))})
    late = await unknown(inside, "spawn", spawning(asked), call="domains.define", error="operation_failed")
    inside.world.faults.clear()
    assert inside.leftovers(asked.uuid) != []
    assert (await inside.do("destroy", Destroy(instance_uuid=asked.uuid))).status is Status.SUCCEEDED
    record = await inside.journal.operation(late.id)
    assert record.status is Status.CANCELLED
    assert record.error is not None
    assert "what it asked for isn't there; all was undone" in record.error["message"]
    assert inside.leftovers(asked.uuid) == []
    assert list((inside.directory / "world" / "volumes").iterdir()) == []


async def test_the_same_spawn_may_be_asked_for_again(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, "spawn", spawning(asked), call="domains.define", error="no_capacity")
    inside.world.faults.clear()
    again = await inside.do("spawn", spawning(asked))
    assert again.status is Status.SUCCEEDED
    assert again.result is not None
    assert not again.result["already"]
    assert await status(inside, late) is Status.CANCELLED
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING


async def test_what_came_late_and_can_be_seen_stays(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, "spawn", spawning(asked), call="domains.start")
    inside.world.faults.clear()
    assert (await inside.do("pause", Power(instance_uuid=asked.uuid))).status is Status.SUCCEEDED
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.PAUSED
    assert await status(inside, late) is Status.UNKNOWN


@pytest.mark.parametrize("when", ["before", "half", "after"])
async def test_a_volume_attached_late_is_there_when_it_is_detached(inside: Inside, when: str) -> None:
    asked = spec()
    await off(inside, asked)
    attach = AttachVolume(instance_uuid=asked.uuid, connection=volume(inside))
    await unknown(inside, "attach_volume", attach, call="domains.attach_disk", when=when)
    detach = await inside.submit("detach_volume", DetachVolume(instance_uuid=asked.uuid, volume_id="v"))
    await still_waits(inside, detach)
    inside.world.faults.clear()
    record = await inside.ended(detach)
    assert record.status is Status.SUCCEEDED, record.error
    assert record.result is not None
    assert not record.result["already"]
    assert "v" not in {disk.id for disk in (await inside.hypervisor.domains.get(asked.uuid)).disks}


async def test_an_attach_that_came_to_nothing_is_undone_before_the_next_change(inside: Inside) -> None:
    asked = spec()
    await off(inside, asked)
    attach = AttachVolume(instance_uuid=asked.uuid, connection=volume(inside))
    late = await unknown(inside, "attach_volume", attach, call="domains.attach_disk", error="operation_failed")
    inside.world.faults.clear()
    await inside.do("start", Power(instance_uuid=asked.uuid))
    assert await status(inside, late) is Status.CANCELLED
    assert list((inside.directory / "world" / "volumes").iterdir()) == []


async def test_what_was_attached_late_and_detached_since_is_not_undone_after_a_restart(inside: Inside) -> None:
    asked = spec()
    await off(inside, asked)
    attach = AttachVolume(instance_uuid=asked.uuid, connection=volume(inside))
    late = await unknown(inside, "attach_volume", attach, call="domains.attach_disk")
    inside.world.faults.clear()
    detach = await inside.do("detach_volume", DetachVolume(instance_uuid=asked.uuid, volume_id="v"))
    assert detach.status is Status.SUCCEEDED, detach.error
    after = await inside.again()
    try:
        await after.operations.recover()
        assert (await after.do("start", Power(instance_uuid=asked.uuid))).status is Status.SUCCEEDED
        assert await status(after, late) is Status.UNKNOWN
    finally:
        await after.close()


async def test_past_the_bound_changes_are_refused_and_nothing_is_begun(tmp_path: Path) -> None:
    inside = await Inside.open(tmp_path, call_timeout=SHORT, settling=Patience(0.0, SHORT))
    try:
        asked = spec()
        await unknown(inside, "spawn", spawning(asked), call="domains.start")
        for _ in range(2):
            record = await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
            assert record.error is not None
            assert (record.error["code"], record.error["retryable"]) == ("unavailable", True)
            assert "nothing was begun" in record.error["message"]
            assert record.steps == ()
        inside.world.faults.clear()
        async with asyncio.timeout(20):
            while inside.leftovers(asked.uuid):
                await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
    finally:
        await inside.close()


async def test_a_retry_undoes_only_when_the_call_is_back(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, "spawn", spawning(asked), call="domains.start")
    retry = asyncio.create_task(inside.control("retry_operation", late.id))
    done, _ = await asyncio.wait({retry}, timeout=2 * SHORT)
    assert not done
    assert inside.leftovers(asked.uuid) != []
    inside.world.faults.clear()
    assert (await retry).status is Status.SUCCEEDED
    assert await status(inside, late) is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []


async def test_a_change_that_waits_for_an_instance_to_settle_can_be_cancelled(inside: Inside) -> None:
    asked = spec()
    await unknown(inside, "spawn", spawning(asked), call="domains.start")
    pause = await inside.submit("pause", Power(instance_uuid=asked.uuid))
    await still_waits(inside, pause)
    await inside.control("cancel_operation", pause)
    record = await inside.ended(pause)
    assert record.status is Status.CANCELLED
    assert record.error is not None
    assert "nothing was begun" in record.error["message"]


async def test_a_destroy_goes_before_what_waits_for_its_instance_to_settle(inside: Inside) -> None:
    asked = spec()
    await unknown(inside, "spawn", spawning(asked), call="domains.start")
    pause = await inside.submit("pause", Power(instance_uuid=asked.uuid))
    await still_waits(inside, pause)
    destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid))
    assert (await inside.ended(pause)).status is Status.CANCELLED
    await still_waits(inside, destroy)
    inside.world.faults.clear()
    assert (await inside.ended(destroy)).status is Status.SUCCEEDED
    assert inside.leftovers(asked.uuid) == []


async def test_a_destroy_that_comes_while_the_last_spawn_is_undone_lets_it_be_undone(tmp_path: Path) -> None:
    inside = await Inside.open(tmp_path, call_timeout=2.0)  # longer than to ask for a destroy takes
    try:
        asked = spec()
        late = await unknown(inside, "spawn", spawning(asked), call="domains.define", error="operation_failed")
        inside.world.faults.clear()
        inside.world.faults.add(Fault(call="disks.remove", hang=True, times=1))
        again = await inside.submit("spawn", spawning(asked))
        async with asyncio.timeout(20):
            while not any(fault.taken for fault in inside.world.faults.all()):
                await asyncio.sleep(0.002)
        destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid))
        inside.world.faults.clear()
        assert (await inside.ended(destroy)).status is Status.SUCCEEDED
        assert await status(inside, late) is Status.CANCELLED
        record = await inside.ended(again)
        assert record.status is Status.CANCELLED
        assert record.steps == ()
        assert inside.leftovers(asked.uuid) == []
    finally:
        await inside.close()


async def test_after_a_restart_what_the_last_run_gave_up_is_looked_at_until_it_rests(inside: Inside) -> None:
    asked = spec()
    await unknown(inside, "spawn", spawning(asked), call="domains.start")
    # That call lives on beside the new run, which can't know of it, and takes effect while it looks.
    after = await inside.again(settling=Patience(quiet_s=1.5))
    try:
        await after.operations.recover()
        destroy = await after.submit("destroy", Destroy(instance_uuid=asked.uuid))
        await still_waits(after, destroy)
        after.world.faults.clear()
        assert (await after.ended(destroy)).status is Status.SUCCEEDED
        assert after.leftovers(asked.uuid) == []
        await asyncio.sleep(SHORT)  # nothing can be waited for: nothing more shall come
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


async def test_after_a_restart_a_spawn_of_which_nothing_can_be_seen_is_undone(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, "spawn", spawning(asked), call="domains.define", error="operation_failed")
    after = await inside.again()
    after.world.faults.clear()
    try:
        await after.operations.recover()
        with pytest.raises(NotFound):
            await after.hypervisor.domains.get(asked.uuid)
        await after.do("pause", Power(instance_uuid=asked.uuid))  # whatever comes first
        assert await status(after, late) is Status.CANCELLED
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Inside]:
    """Breaks off after a moment what hangs on an instance that is to be destroyed."""
    opened = await Inside.open(tmp_path, hangs_s=SHORT, call_timeout=SHORT)
    yield opened
    opened.world.faults.clear()
    await opened.close()


async def hanging_pause(inside: Inside) -> InstanceSpec:
    asked = spec()
    assert (await inside.do("spawn", spawning(asked))).status is Status.SUCCEEDED
    await unknown(inside, "pause", Power(instance_uuid=asked.uuid), call="domains.pause")
    return asked


async def test_a_destroy_doesnt_wait_for_what_hangs_in_its_guest(hasty: Inside) -> None:
    asked = await hanging_pause(hasty)
    destroy = await hasty.do("destroy", Destroy(instance_uuid=asked.uuid))
    assert destroy.status is Status.SUCCEEDED, destroy.error
    assert hasty.leftovers(asked.uuid) == []


async def test_a_destroy_that_may_yet_be_refused_breaks_nothing_off(hasty: Inside) -> None:
    asked = await hanging_pause(hasty)
    destroy = await hasty.submit("destroy", Destroy(instance_uuid=asked.uuid), if_generation=99)
    await still_waits(hasty, destroy)
    assert hasty.world.domains()[asked.uuid].state is PowerState.RUNNING
    hasty.world.faults.clear()
    assert (await hasty.ended(destroy)).status is Status.FAILED


async def test_for_no_other_change_is_broken_off_what_hangs(hasty: Inside) -> None:
    asked = await hanging_pause(hasty)
    unpause = await hasty.submit("unpause", Power(instance_uuid=asked.uuid))
    await still_waits(hasty, unpause)
    assert hasty.world.domains()[asked.uuid].state is PowerState.RUNNING
    hasty.world.faults.clear()
    assert (await hasty.ended(unpause)).status is Status.SUCCEEDED
