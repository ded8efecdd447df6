"""Operations from acceptance to answer, on a real journal and the fake hypervisor."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import apsw
import pytest

from agent.errors import Unavailable
from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Caller, NewOperation, Status
from agent.operations import TABLE
from agent.operations.control import Control
from agent.operations.destroy import Destroy
from agent.operations.power import Power, Reboot, Stop
from agent.operations.spawn import Spawn
from agent.saga import Mark
from agent.spec import InstanceSpec, PowerState
from tests.unit.operations.conftest import Inside, spec


def spawning(asked: InstanceSpec) -> Spawn:
    return Spawn(instance_uuid=asked.uuid, spec=asked)


async def test_a_spawn_runs_tells_its_start_and_end_and_is_answered(inside: Inside) -> None:
    asked = spec()
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.SUCCEEDED
    assert record.result is not None
    assert record.result["power_state"] == "running"
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING
    assert [kind for kind, _ in await inside.events()] == [
        "compute.instance.spawn.start",
        "compute.instance.spawn.end",
    ]
    [reply] = await inside.journal.unsent_replies(10)
    assert reply.answer.result == record.result


async def test_every_event_names_the_request_and_the_operation(inside: Inside) -> None:
    record = await inside.do("spawn", spawning(spec()))
    for _, data in await inside.events():
        assert data["request_id"] == "req-1"
        assert data["operation_id"] == str(record.id)


@pytest.mark.parametrize(
    "call",
    ["disks.make_directory", "disks.create", "disks.create_config_drive", "domains.define", "domains.start"],
)
@pytest.mark.parametrize("when", ["before", "half", "after"])
async def test_a_spawn_that_fails_anywhere_leaves_nothing(inside: Inside, call: str, when: str) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call=call, when=when, error="no_capacity", times=1))
    record = await inside.do("spawn", spawning(asked))
    if record.status is Status.FAILED:
        assert record.error is not None
        assert record.error["code"] == "no_capacity"
        assert inside.leftovers(asked.uuid) == []
    else:
        # Only where a call has no such half: it passed the fault by.
        assert when == "half"


async def test_a_known_uuid_with_an_equal_spec_is_success_and_nothing_is_done(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    again = await inside.do("spawn", spawning(asked))
    assert again.result is not None
    assert again.result["already"]
    assert again.steps == ()


async def test_a_known_uuid_with_another_spec_is_a_conflict_and_the_guest_stays(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    record = await inside.do("spawn", spawning(asked.model_copy(update={"vcpus": 2})))
    assert record.error is not None
    assert record.error["code"] == "conflict"
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING


async def test_destroy_removes_everything_and_repeating_it_is_success(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    for _ in range(2):
        record = await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
        assert record.status is Status.SUCCEEDED
        assert inside.leftovers(asked.uuid) == []


async def test_destroy_cancels_a_spawn_under_way(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.define", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not (await inside.journal.operation(spawn)).steps:
        await asyncio.sleep(0.005)
    destroy = await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
    assert destroy.status is Status.SUCCEEDED
    assert (await inside.ended(spawn)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []


async def test_a_cancelled_operation_is_undone_and_both_are_answered(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not any(step.name == "start" for step in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    cancel = await inside.control("cancel_operation", spawn)
    assert cancel.status is Status.SUCCEEDED
    assert (await inside.ended(spawn)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []
    assert len(await inside.journal.unsent_replies(10)) == 2


async def test_a_cancelled_cast_tells_its_end_by_its_event(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked), address=None)
    while not any(step.name == "start" for step in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    await inside.control("cancel_operation", spawn)
    told = [(kind, data) for kind, data in await inside.events() if data["operation_id"] == str(spawn)]
    assert [kind for kind, _ in told] == ["compute.instance.spawn.start", "compute.instance.spawn.error"]
    assert told[1][1]["error"]["code"] == "cancelled"
    assert inside.leftovers(asked.uuid) == []


async def test_cancelling_what_has_ended_is_a_conflict(inside: Inside) -> None:
    spawn = await inside.do("spawn", spawning(spec()))
    record = await inside.control("cancel_operation", spawn.id)
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error["code"] == "conflict"


async def test_cancelling_what_was_never_there_is_not_found(inside: Inside) -> None:
    record = await inside.control("cancel_operation", uuid4())
    assert record.error is not None
    assert record.error["code"] == "not_found"


async def test_an_undo_that_fails_is_stuck_until_a_person_retries_it(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", error="operation_failed", times=1))
    inside.world.faults.add(Fault(call="disks.remove", error="operation_failed", times=2))
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.STUCK
    assert record.error is not None
    assert record.error["code"] == "operation_stuck"
    again = await inside.control("retry_operation", record.id)
    assert again.status is Status.FAILED  # the second fault
    done = await inside.control("retry_operation", record.id)
    assert done.status is Status.SUCCEEDED
    assert inside.leftovers(asked.uuid) == []


async def test_a_stuck_operation_can_be_given_up(inside: Inside) -> None:
    inside.world.faults.add(Fault(call="domains.start", error="operation_failed", times=1))
    inside.world.faults.add(Fault(call="disks.remove", error="operation_failed", times=1))
    record = await inside.do("spawn", spawning(spec()))
    assert (await inside.control("abandon_operation", record.id)).status is Status.SUCCEEDED
    assert (await inside.journal.operation(record.id)).status is Status.ABANDONED


async def test_an_unknown_outcome_is_said_as_such_and_nothing_is_undone(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", when="after", error="timed_out", times=1))
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.UNKNOWN
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING


async def test_past_its_deadline_nothing_is_begun(inside: Inside) -> None:
    asked = spec()
    past = datetime.now(UTC) - timedelta(seconds=1)
    record = await inside.do("spawn", spawning(asked), not_after=past)
    assert record.error is not None
    assert record.error["code"] == "expired"
    assert record.steps == ()
    assert inside.leftovers(asked.uuid) == []


async def test_a_request_for_an_older_generation_is_a_conflict(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    view = await inside.hypervisor.domains.get(asked.uuid)
    stale = await inside.do("pause", Power(instance_uuid=asked.uuid), if_generation=view.generation - 1)
    assert stale.error is not None
    assert stale.error["code"] == "conflict"
    fresh = await inside.do("pause", Power(instance_uuid=asked.uuid), if_generation=view.generation)
    assert fresh.status is Status.SUCCEEDED


async def test_each_change_is_one_generation_more_kept_in_the_domain_too(inside: Inside) -> None:
    asked = spec()
    seen = []
    for method, state in (
        ("spawn", spawning(asked)),
        ("pause", Power(instance_uuid=asked.uuid)),
        ("unpause", Power(instance_uuid=asked.uuid)),
    ):
        record = await inside.do(method, state)
        assert record.result is not None
        seen.append(record.result["generation"])
        assert (await inside.hypervisor.domains.get(asked.uuid)).generation == seen[-1]
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("call", ["disks.create", "domains.define", "domains.start"])
async def test_a_spawn_stopped_in_the_middle_goes_on_at_the_next_start(inside: Inside, call: str) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call=call, hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    step = {"disks.create": "disks", "domains.define": "define", "domains.start": "start"}[call]
    while not any(s.name == step for s in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    after = await inside.again()
    try:
        assert await after.operations.recover() == 1
        assert (await after.ended(spawn)).status is Status.SUCCEEDED
        assert (await after.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING
    finally:
        await after.close()


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def an_hour_passes(inside: Inside) -> None:
    """While no agent runs: what its journal says is an hour older then."""
    with closing(apsw.Connection(str(inside.directory / "journal.db"))) as db:
        db.execute("UPDATE operations SET not_after = not_after - 3601 * 1000000")


async def test_past_its_deadline_a_stopped_spawn_is_undone_not_resumed(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked), not_after=in_an_hour())
    while not any(s.name == "start" for s in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    await inside.close()
    an_hour_passes(inside)
    after = await Inside.open(inside.directory)
    try:
        await after.operations.recover()
        record = await after.ended(spawn)
        assert record.error is not None
        assert record.error["code"] == "expired"
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


async def test_past_max_pending_there_is_no_room_until_work_ends(tmp_path) -> None:  # type: ignore[no-untyped-def]
    inside = await Inside.open(tmp_path, max_pending=1)
    try:
        inside.world.faults.add(Fault(call="domains.start", hang=True))
        await inside.submit("spawn", spawning(spec()))
        assert not inside.operations.has_room()
        inside.world.faults.clear()
        await asyncio.wait_for(inside.operations.wait_for_room(), 10)
    finally:
        await inside.close()


async def test_one_hung_instance_does_not_hold_another(inside: Inside) -> None:
    hung = spec()
    inside.world.faults.add(Fault(call="domains.start", instance=hung.uuid, hang=True))
    await inside.submit("spawn", spawning(hung))
    assert (await inside.do("spawn", spawning(spec()))).status is Status.SUCCEEDED


@pytest.mark.parametrize("method", [name for name in TABLE if name not in ("spawn", "destroy")])
async def test_every_other_change_on_an_absent_instance_is_not_found(inside: Inside, method: str) -> None:
    from agent.operations.interfaces import AttachInterface, DetachInterface
    from agent.operations.volumes import AttachVolume, DetachVolume
    from agent.spec import FileVolume, UserInterface, VolumeConnection

    uuid = uuid4()
    target = FileVolume(path=inside.directory / "v.raw")
    states = {
        "attach_volume": AttachVolume(
            instance_uuid=uuid, connection=VolumeConnection(volume_id="v", target=target)
        ),
        "detach_volume": DetachVolume(instance_uuid=uuid, volume_id="v"),
        "attach_interface": AttachInterface(
            instance_uuid=uuid, interface=UserInterface(port_id="p", mac_address="52:54:00:00:00:02")
        ),
        "detach_interface": DetachInterface(instance_uuid=uuid, port_id="p"),
        "stop": Stop(instance_uuid=uuid),
        "reboot": Reboot(instance_uuid=uuid),
    }
    record = await inside.do(method, states.get(method, Power(instance_uuid=uuid)))
    assert record.error is not None
    assert record.error["code"] == "not_found"


async def test_the_shares_of_the_time_are_kept(inside: Inside) -> None:
    record = await inside.do("spawn", spawning(spec()))
    assert record.shares["total"] >= record.shares["own"] > 0


async def test_an_undo_waits_for_what_is_away_for_a_moment(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", error="no_capacity", times=1))
    inside.world.faults.add(Fault(call="disks.remove", error="unavailable", times=1))
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.FAILED
    assert inside.leftovers(asked.uuid) == []


async def test_no_guest_is_left_by_a_spawn_that_waited_when_its_destroy_was_accepted(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.define", hang=True, times=1))
    first = await inside.submit("spawn", spawning(asked))
    second = await inside.submit("spawn", spawning(asked))
    destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid))
    assert (await inside.ended(destroy)).status is Status.SUCCEEDED
    assert (await inside.ended(first)).status is Status.CANCELLED
    assert (await inside.ended(second)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []


async def test_after_a_kill_a_waiting_destroy_still_has_the_last_word(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not any(s.name == "start" for s in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    accepted = NewOperation(
        identity="test/late",
        fingerprint="same",
        method="destroy",
        saga="destroy",
        saga_version=1,
        state=Destroy(instance_uuid=asked.uuid),
        instance_uuid=asked.uuid,
        caller=Caller(),
        address=None,
    )
    await inside.journal.accept(accepted)  # and killed before it was submitted
    after = await inside.again()
    try:
        assert await after.operations.recover() == 2
        assert (await after.ended(spawn)).status is Status.CANCELLED
        await after.instances.wait_until_idle()
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


async def test_cancelling_what_has_no_undo_says_that_it_stays(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    inside.world.make_deaf(asked.uuid)
    stop = await inside.submit("stop", Stop(instance_uuid=asked.uuid, timeout_s=60))
    while not (await inside.journal.operation(stop)).steps:
        await asyncio.sleep(0.005)
    await inside.control("cancel_operation", stop)
    record = await inside.ended(stop)
    assert record.error is not None
    assert record.error["code"] == "cancelled"
    assert record.error["details"] == {"undone": False}


async def test_a_destroy_begun_in_time_is_finished_after_a_restart_however_late(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    inside.world.faults.add(Fault(call="disks.remove", hang=True, times=1))
    destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid), not_after=in_an_hour())
    while not any(s.name == "disks" for s in (await inside.journal.operation(destroy)).steps):
        await asyncio.sleep(0.005)
    await inside.close()
    an_hour_passes(inside)
    after = await Inside.open(inside.directory)
    try:
        await after.operations.recover()
        assert (await after.ended(destroy)).status is Status.SUCCEEDED
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


async def test_an_unknown_outcome_of_what_has_no_undo_is_settled_by_doing_it_again(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    inside.world.faults.add(Fault(call="domains.pause", error="timed_out", times=1))
    pause = await inside.do("pause", Power(instance_uuid=asked.uuid))
    assert pause.status is Status.UNKNOWN
    assert (await inside.control("retry_operation", pause.id)).status is Status.SUCCEEDED
    assert (await inside.journal.operation(pause.id)).status is Status.SUCCEEDED
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.PAUSED


async def test_what_was_accepted_is_not_refused_as_busy_after_a_restart(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    inside.world.faults.add(Fault(call="domains.pause", hang=True, times=1))
    first = await inside.submit("pause", Power(instance_uuid=asked.uuid))
    while not (await inside.journal.operation(first)).steps:
        await asyncio.sleep(0.005)
    waiting = [await inside.submit("pause", Power(instance_uuid=asked.uuid)) for _ in range(4)]
    inside.world.faults.clear()
    after = await inside.again()
    try:
        assert await after.operations.recover() == 5
        for operation in (first, *waiting):
            assert (await after.ended(operation)).status is Status.SUCCEEDED
    finally:
        await after.close()


@pytest.mark.parametrize("error", ["unavailable", "timed_out", "not_found"])
async def test_what_is_done_is_no_failure_when_it_cannot_be_stamped(inside: Inside, error: str) -> None:
    inside.world.faults.add(Fault(call="domains.stamp", error=error, times=1))
    record = await inside.do("spawn", spawning(spec()))
    assert record.status is Status.SUCCEEDED
    assert record.result is not None
    assert record.result["power_state"] == "running"


async def test_what_is_done_is_no_failure_when_it_cannot_be_looked_at(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.stamp", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not any(fault.taken for fault in inside.world.faults.all()):
        await asyncio.sleep(0.005)
    inside.world.outage(True)
    inside.world.faults.clear()
    record = await inside.ended(spawn)
    assert record.status is Status.SUCCEEDED
    assert record.result is not None
    assert record.result["power_state"] == "unknown"


async def test_a_look_that_takes_too_long_leaves_nothing_unknown(inside: Inside) -> None:
    inside.world.faults.add(Fault(call="domains.get", error="timed_out", times=1))
    record = await inside.do("spawn", spawning(spec()))
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error["code"] == "unavailable"
    assert "nothing was begun" in record.error["message"]


async def test_what_was_undone_before_a_kill_is_not_done_again(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.define", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not any(s.name == "define" for s in (await inside.journal.operation(spawn)).steps):
        await asyncio.sleep(0.005)
    await inside.operations.stop()
    record = await inside.journal.operation(spawn)
    state = inside.journal.load_state(record, TABLE["spawn"].saga.state)
    for step in ("define", "volumes", "directory"):
        await inside.journal.write_step(spawn, step, Mark.UNDONE, state)  # and killed before its end was written
    after = await inside.again()
    after.world.faults.clear()
    try:
        await after.operations.recover()
        record = await after.ended(spawn)
        assert record.error is not None
        assert record.error["code"] == "operation_failed"
        assert asked.uuid not in after.world.domains()
    finally:
        await after.close()


async def test_a_retry_that_a_kill_interrupts_still_undoes(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", when="after", error="timed_out", times=1))
    spawn = (await inside.do("spawn", spawning(asked))).id
    undo = [step.name for step in TABLE["spawn"].saga.steps if step.undo is not None]
    await inside.journal.requeue(spawn, undo=undo)  # and killed before it was submitted
    after = await inside.again()
    try:
        await after.operations.recover()
        await after.ended(spawn)
        assert after.leftovers(asked.uuid) == []
    finally:
        await after.close()


async def test_a_full_mailbox_does_not_keep_a_stuck_operation_from_its_retry(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", when="after", error="timed_out", times=1))
    spawn = (await inside.do("spawn", spawning(asked))).id
    inside.world.faults.add(Fault(call="domains.pause", hang=True, times=1))
    for _ in range(5):
        await inside.submit("pause", Power(instance_uuid=asked.uuid))
        await asyncio.sleep(0)
    retry = await inside.submit("retry_operation", Control(operation_id=spawn))
    while (await inside.journal.operation(spawn)).status is Status.UNKNOWN:
        await asyncio.sleep(0.005)
    inside.world.faults.clear()
    assert (await inside.ended(retry)).status is Status.SUCCEEDED
    assert (await inside.ended(spawn)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []


async def test_giving_up_twice_is_giving_up(inside: Inside) -> None:
    inside.world.faults.add(Fault(call="domains.start", when="after", error="timed_out", times=1))
    spawn = await inside.do("spawn", spawning(spec()))
    assert (await inside.control("abandon_operation", spawn.id)).status is Status.SUCCEEDED
    assert (await inside.control("abandon_operation", spawn.id)).status is Status.SUCCEEDED


async def test_an_end_is_written_as_soon_as_the_journal_can_be(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.stamp", hang=True, times=1))
    spawn = await inside.submit("spawn", spawning(asked))
    while not any(fault.taken for fault in inside.world.faults.all()):
        await asyncio.sleep(0.005)
    other = apsw.Connection(str(inside.directory / "journal.db"))
    other.execute("BEGIN EXCLUSIVE")
    inside.world.faults.clear()
    with pytest.raises(Unavailable):  # the end, asked for before, couldn't be written either
        await inside.journal.bump(uuid4())
    other.execute("ROLLBACK")
    other.close()
    record = await inside.ended(spawn)
    assert record.status is Status.SUCCEEDED
    assert [reply.answer.result for reply in await inside.journal.unsent_replies(10)] == [record.result]
