"""Volumes from their spawn or attach to their detach: how they look to the guest, and what is left on the host."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Status
from agent.operations.destroy import Destroy
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume, DetachVolume
from agent.spec import DiskBus, FileVolume, VolumeConnection, VolumeDisk
from tests.unit.operations.conftest import Inside, spec


def connection(directory: Path, name: str) -> VolumeConnection:
    (directory / name).write_bytes(bytes(1024 * 1024))
    return VolumeConnection(volume_id=name, target=FileVolume(path=directory / name))


async def test_volumes_have_the_names_they_were_asked_to_have(inside: Inside, tmp_path: Path) -> None:
    early, late = connection(tmp_path, "early"), connection(tmp_path, "late")
    disk = VolumeDisk(id="early", connection=early, device="/dev/vdk", bus=DiskBus.VIRTIO)
    asked = spec(disks=(disk,), config_drive=None)
    spawned = await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    assert spawned.status is Status.SUCCEEDED
    attach = AttachVolume(instance_uuid=asked.uuid, connection=late, device="sdc", bus=DiskBus.SCSI)
    await inside.do("attach_volume", attach)
    seen = (await inside.hypervisor.domains.get(asked.uuid)).disks
    assert {disk.id: (disk.target, disk.bus) for disk in seen} == {
        "early": ("vdk", "virtio"),
        "late": ("sdc", "scsi"),
    }


def connected(inside: Inside) -> int:
    """How many volumes are connected to this host."""
    return len(list((inside.directory / "world" / "volumes").iterdir()))


async def with_two_volumes(inside: Inside, directory: Path) -> UUID:
    """One from its spawn, one attached later."""
    early, late = connection(directory, "early"), connection(directory, "late")
    asked = spec(disks=(VolumeDisk(id="early", connection=early),), config_drive=None)
    await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    await inside.do("attach_volume", AttachVolume(instance_uuid=asked.uuid, connection=late))
    assert connected(inside) == 2
    return asked.uuid


@pytest.mark.parametrize("volume_id", ["early", "late"])
async def test_a_detached_volume_is_disconnected_and_forgotten(
    inside: Inside, tmp_path: Path, volume_id: str
) -> None:
    uuid = await with_two_volumes(inside, tmp_path)
    await inside.do("detach_volume", DetachVolume(instance_uuid=uuid, volume_id=volume_id))
    assert connected(inside) == 1
    left = (await inside.hypervisor.domains.get(uuid)).volumes
    assert {volume.volume_id for volume in left} == {"early", "late"} - {volume_id}


async def test_a_destroy_disconnects_all_volumes_whenever_they_came(inside: Inside, tmp_path: Path) -> None:
    uuid = await with_two_volumes(inside, tmp_path)
    await inside.do("destroy", Destroy(instance_uuid=uuid))
    assert connected(inside) == 0


async def test_a_destroy_leaves_what_was_detached_to_its_next_instance(inside: Inside, tmp_path: Path) -> None:
    uuid = await with_two_volumes(inside, tmp_path)
    await inside.do("detach_volume", DetachVolume(instance_uuid=uuid, volume_id="early"))
    asked = spec(disks=(VolumeDisk(id="early", connection=connection(tmp_path, "early")),), config_drive=None)
    await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    await inside.do("destroy", Destroy(instance_uuid=uuid))
    assert connected(inside) == 1


async def test_a_detach_that_could_not_disconnect_goes_on_when_it_is_asked_again(
    inside: Inside, tmp_path: Path
) -> None:
    uuid = await with_two_volumes(inside, tmp_path)
    inside.world.faults.add(Fault(call="volumes.disconnect", error="operation_failed", times=1))
    asked = DetachVolume(instance_uuid=uuid, volume_id="late")
    assert (await inside.do("detach_volume", asked)).status is Status.FAILED
    again = await inside.do("detach_volume", asked)
    assert again.result is not None
    assert not again.result["already"]
    assert connected(inside) == 1
    last = await inside.do("detach_volume", asked)
    assert last.result is not None
    assert last.result["already"]
