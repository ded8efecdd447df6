"""Volumes, interfaces and the host itself: what a guest needs of them, and what is said beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import InvalidRequest, NotFound
from agent.spec import (
    BridgeInterface,
    DiskBus,
    DiskFormat,
    FileBacking,
    FileVolume,
    LocalVolume,
    NbdBacking,
    NbdVolume,
    NetworkInterface,
    UserInterface,
    VolumeConnection,
)
from tests.contract.world import World, running

pytestmark = pytest.mark.timeout(120)

MAC = "52:54:00:00:00:01"


def volume(target: FileVolume | LocalVolume | NbdVolume) -> VolumeConnection:
    return VolumeConnection(volume_id="volume-1", target=target)


async def test_a_connected_file_is_a_removable_disk_known_by_the_volumes_id(world: World) -> None:
    connection = world.file_volume()
    assert isinstance(connection.target, FileVolume)
    first, again = [await world.hypervisor.volumes.connect(connection) for _ in range(2)]
    assert first == again
    assert (first.id, first.serial, first.removable) == (connection.volume_id, connection.volume_id, True)
    assert (first.bus, first.readonly) == (DiskBus.VIRTIO, False)
    assert first.backing == FileBacking(path=connection.target.path, format=DiskFormat.RAW)


async def test_what_would_be_connected_can_be_described_without_connecting(world: World) -> None:
    connection = world.file_volume()
    described = world.hypervisor.volumes.describe(connection)
    connected = await world.hypervisor.volumes.connect(connection)
    assert (described.id, described.backing) == (connected.id, connected.backing)


async def test_a_read_only_volume_is_a_read_only_disk(world: World) -> None:
    connection = world.file_volume().model_copy(update={"access_mode": "ro"})
    assert (await world.hypervisor.volumes.connect(connection)).readonly


async def test_a_network_volume_keeps_its_address(world: World) -> None:
    connection = world.nbd_volume()
    disk = await world.hypervisor.volumes.connect(connection)
    assert isinstance(disk.backing, NbdBacking)
    assert isinstance(connection.target, NbdVolume)
    assert disk.backing.export == connection.target.export


async def test_disconnecting_twice_or_what_was_never_connected_is_success(world: World) -> None:
    connection = world.file_volume()
    await world.hypervisor.volumes.disconnect(connection)
    await world.hypervisor.volumes.connect(connection)
    for _ in range(2):
        await world.hypervisor.volumes.disconnect(connection)


async def test_a_volume_outside_the_allowed_directories_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        await world.hypervisor.volumes.connect(volume(FileVolume(path=world.outside)))
    with pytest.raises(InvalidRequest, match="device_path"):
        await world.hypervisor.volumes.connect(volume(LocalVolume(device_path=Path("/etc/passwd"))))


async def test_a_volume_that_isnt_there_isnt_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.hypervisor.volumes.connect(volume(FileVolume(path=world.volume_dir / "absent")))


async def test_a_volume_that_isnt_the_qcow2_it_is_said_to_be_is_refused(world: World) -> None:
    path = world.volume_dir / "raw.qcow2"
    path.write_bytes(bytes(1024 * 1024))
    with pytest.raises(InvalidRequest, match="format"):
        await world.hypervisor.volumes.connect(volume(FileVolume(path=path, format=DiskFormat.QCOW2)))


@pytest.mark.parametrize("target", [NbdVolume(), NbdVolume(host="127.0.0.1", port=1, socket=Path("/s"))])
async def test_a_network_volume_needs_one_address(world: World, target: NbdVolume) -> None:
    with pytest.raises(InvalidRequest):
        await world.hypervisor.volumes.connect(volume(target))


async def test_a_bridge_that_is_there_passes(world: World) -> None:
    await world.hypervisor.nics.check(BridgeInterface(port_id="p", mac_address=MAC, bridge=world.bridge))
    await world.hypervisor.nics.check(UserInterface(port_id="p", mac_address=MAC))


@pytest.mark.parametrize(
    "interface",
    [
        BridgeInterface(port_id="p", mac_address=MAC, bridge="no-such-bridge"),
        NetworkInterface(port_id="p", mac_address=MAC, network="no-such-network"),
    ],
)
async def test_a_bridge_or_network_that_isnt_there_is_named(
    world: World, interface: BridgeInterface | NetworkInterface
) -> None:
    with pytest.raises(InvalidRequest, match="no-such-"):
        await world.hypervisor.nics.check(interface)


async def test_unplugging_what_isnt_plugged_is_success(world: World) -> None:
    spec = world.spec()
    for _ in range(2):
        await world.hypervisor.nics.unplug(
            spec.uuid, BridgeInterface(port_id="absent", mac_address=MAC, bridge=world.bridge)
        )


async def test_the_host_tells_what_it_has_and_what_its_guests_use(world: World) -> None:
    before = await world.hypervisor.host.describe()
    assert before.hostname
    assert min(before.vcpus, before.memory_mb, before.disk_mb) > 0
    assert 0 <= before.disk_mb_free <= before.disk_mb
    spec = await running(world, world.spec())
    after = await world.hypervisor.host.describe()
    assert after.instances == before.instances + 1
    assert after.vcpus_used == before.vcpus_used + spec.vcpus
    assert after.memory_mb_used >= before.memory_mb_used + spec.memory_mb


async def test_a_foreign_domain_is_no_instance_of_this_host(world: World) -> None:
    before = await world.hypervisor.host.describe()
    await world.make_foreign(world.spec().uuid, "somebody-elses")
    assert (await world.hypervisor.host.describe()).instances == before.instances
