"""How a volume looks to the guest: what was asked for it, at its spawn and later."""

from __future__ import annotations

from pathlib import Path

from agent.journal.records import Status
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume
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
