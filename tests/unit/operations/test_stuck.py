"""What becomes of an operation whose undo failed: it waits for a person, or ends with its instance."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations.destroy import Destroy
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume
from agent.spec import FileVolume, InstanceSpec, VolumeConnection, VolumeDisk
from tests.unit.operations.conftest import Inside, spec


def volume(inside: Inside, name: str) -> VolumeConnection:
    path = inside.directory / f"{name}.raw"
    path.write_bytes(bytes(512))
    return VolumeConnection(volume_id=name, target=FileVolume(path=path))


def spawning(asked: InstanceSpec) -> Spawn:
    return Spawn(instance_uuid=asked.uuid, spec=asked)


async def stuck_attach(inside: Inside, uuid: UUID) -> OperationRecord:
    inside.world.faults.add(Fault(call="domains.attach_disk", error="no_capacity", times=1))
    inside.world.faults.add(Fault(call="volumes.disconnect", error="operation_failed", times=1))
    record = await inside.do("attach_volume", AttachVolume(instance_uuid=uuid, connection=volume(inside, "late")))
    assert record.status is Status.STUCK
    return record


async def stuck_spawn(inside: Inside, asked: InstanceSpec) -> OperationRecord:
    inside.world.faults.add(Fault(call="domains.define", error="no_capacity", times=1))
    inside.world.faults.add(Fault(call="disks.remove", error="operation_failed", times=1))
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.STUCK
    return record


def volumes_connected(inside: Inside) -> list[Path]:
    return list((inside.directory / "world" / "volumes").iterdir())


async def now(inside: Inside, record: OperationRecord) -> OperationRecord:
    return await inside.journal.operation(record.id)


async def test_a_destroy_ends_a_stuck_attach_with_its_instance(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    attach = await stuck_attach(inside, asked.uuid)
    destroy = await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
    assert destroy.status is Status.SUCCEEDED
    ended = await now(inside, attach)
    assert ended.status is Status.CANCELLED
    assert ended.error is not None
    assert ended.error["message"] == "its instance was destroyed; all was undone"
    assert volumes_connected(inside) == []
    told = [kind for kind, data in await inside.events() if data["operation_id"] == str(attach.id)]
    assert told == [f"compute.instance.attach_volume.{word}" for word in ("start", "error", "error")]
    assert (await inside.events())[-1][0] == "compute.instance.destroy.end"


async def test_what_a_stuck_spawn_left_is_nobodys_success(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.start", error="no_capacity", times=1))
    inside.world.faults.add(Fault(call="domains.undefine", error="operation_failed", times=1))
    stuck = await inside.do("spawn", spawning(asked))
    assert stuck.status is Status.STUCK
    again = await inside.do("spawn", spawning(asked))
    assert again.error is not None
    assert again.error["code"] == "conflict"
    assert again.error["details"] == {"operation_id": str(stuck.id)}
    assert (await inside.operations.retry(stuck.id)).status is Status.CANCELLED
    assert (await inside.do("spawn", spawning(asked))).status is Status.SUCCEEDED


async def test_a_destroy_ends_a_stuck_spawn_and_leaves_nothing_of_it(inside: Inside) -> None:
    asked = spec(disks=(VolumeDisk(id="v", connection=volume(inside, "v")),))
    inside.world.faults.add(Fault(call="volumes.disconnect", error="operation_failed", times=1))
    spawn = await stuck_spawn(inside, asked)
    assert volumes_connected(inside) != []
    inside.world.faults.clear()
    assert (await inside.do("destroy", Destroy(instance_uuid=asked.uuid))).status is Status.SUCCEEDED
    assert (await now(inside, spawn)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []
    assert volumes_connected(inside) == []


async def test_what_cannot_be_undone_with_its_instance_either_stays_stuck(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    attach = await stuck_attach(inside, asked.uuid)
    inside.world.faults.add(Fault(call="domains.forget_volume", error="operation_failed", times=1))
    assert (await inside.do("destroy", Destroy(instance_uuid=asked.uuid))).status is Status.SUCCEEDED
    assert (await now(inside, attach)).status is Status.STUCK
    assert (await inside.control("retry_operation", attach.id)).status is Status.SUCCEEDED
    assert (await now(inside, attach)).status is Status.CANCELLED


async def test_a_destroy_that_keeps_the_disks_ends_nothing_that_might_be_them(inside: Inside) -> None:
    asked = spec()
    spawn = await stuck_spawn(inside, asked)
    assert inside.leftovers(asked.uuid) != []
    await inside.do("destroy", Destroy(instance_uuid=asked.uuid, delete_disks=False))
    assert (await now(inside, spawn)).status is Status.STUCK
    assert inside.leftovers(asked.uuid) != []


async def test_an_end_that_was_cut_short_is_made_up_at_the_next_start(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", spawning(asked))
    attach = await stuck_attach(inside, asked.uuid)
    inside.world.faults.add(Fault(call="domains.forget_volume", hang=True, times=1))
    destroy = await inside.submit("destroy", Destroy(instance_uuid=asked.uuid))
    while not inside.world.faults.all()[-1].taken:
        await asyncio.sleep(0.005)
    after = await inside.again()
    after.world.faults.clear()
    await after.operations.recover()
    assert (await after.ended(destroy)).status is Status.SUCCEEDED
    assert (await after.ended(attach.id)).status is Status.CANCELLED
    await after.close()


async def test_what_is_stuck_is_not_undone_under_a_later_instance_of_its_uuid(inside: Inside) -> None:
    asked = spec()
    spawn = await stuck_spawn(inside, asked)
    inside.world.faults.clear()
    assert (await inside.do("spawn", spawning(asked))).status is Status.SUCCEEDED
    retry = await inside.control("retry_operation", spawn.id)
    assert retry.error is not None
    assert retry.error["code"] == "conflict"
    assert "abandon" in retry.error["message"]
    assert asked.uuid in inside.world.domains()
    assert (await inside.control("abandon_operation", spawn.id)).status is Status.SUCCEEDED
