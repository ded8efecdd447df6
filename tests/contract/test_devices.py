"""Disks and interfaces of guests that are off, or that have nobody inside to let a device go."""

from __future__ import annotations

import pytest

from agent import deadline
from agent.errors import Conflict, InvalidRequest, OperationFailed, Unsupported
from agent.hypervisor.ports import DomainView
from agent.spec import DiskBus, InstanceSpec, Machine, UserInterface
from tests.contract.world import World, made, plugged_volume, running

pytestmark = pytest.mark.timeout(180)


def user_nic(number: int = 1) -> UserInterface:
    return UserInterface(port_id=f"port-{number}", mac_address=f"52:54:00:00:00:{number:02x}")


async def view(world: World, spec: InstanceSpec) -> DomainView:
    return await world.hypervisor.domains.get(spec.uuid)


async def disk_ids(world: World, spec: InstanceSpec) -> set[str]:
    return {disk.id for disk in (await view(world, spec)).disks}


async def port_ids(world: World, spec: InstanceSpec) -> set[str]:
    return {interface.port_id for interface in (await view(world, spec)).interfaces}


async def test_a_disk_attached_to_a_guest_that_is_off_is_there_when_it_starts(world: World) -> None:
    spec = await made(world, world.spec())
    disk = await plugged_volume(world, spec)
    assert await disk_ids(world, spec) == {disk.id}
    await world.hypervisor.domains.start(spec.uuid)
    assert await disk_ids(world, spec) == {disk.id}


async def test_a_disk_attached_to_a_running_guest_is_there_after_a_stop(world: World) -> None:
    spec = await running(world, world.spec())
    disk = await plugged_volume(world, spec)
    await world.hypervisor.domains.power_off(spec.uuid)
    assert await disk_ids(world, spec) == {disk.id}


async def test_a_disk_detached_from_a_guest_that_is_off_is_gone(world: World) -> None:
    spec = await made(world, world.spec())
    disk = await plugged_volume(world, spec)
    for _ in range(2):
        await world.hypervisor.domains.detach_disk(spec.uuid, disk.id)
        assert await disk_ids(world, spec) == set()


async def test_attaching_twice_attaches_once(world: World) -> None:
    spec = await running(world, world.spec())
    disk = await world.hypervisor.volumes.connect(world.file_volume())
    first = await world.hypervisor.domains.attach_disk(spec.uuid, disk)
    assert await world.hypervisor.domains.attach_disk(spec.uuid, disk) == first
    assert (await view(world, spec)).disks == (first,)


async def test_each_disk_gets_a_target_of_its_own_and_is_told_where_it_comes_from(world: World) -> None:
    spec = await made(world, world.spec())
    first, second = await plugged_volume(world, spec), await plugged_volume(world, spec)
    disks = (await view(world, spec)).disks
    assert [(d.id, d.source) for d in disks] == [
        (d.id, str(getattr(d.backing, "path", None))) for d in (first, second)
    ]
    assert [d.target for d in disks] == ["vda", "vdb"]


async def test_a_target_asked_for_is_a_hint_that_yields_to_what_is_there(world: World) -> None:
    spec = await made(world, world.spec())
    connect, attach = world.hypervisor.volumes.connect, world.hypervisor.domains.attach_disk
    for hint, given in {"vdc": "vdc", "/dev/vdc": "vda"}.items():
        disk = (await connect(world.file_volume())).model_copy(update={"target": hint})
        assert (await attach(spec.uuid, disk)).target == given


async def test_another_disk_under_the_id_of_one_that_is_attached_is_refused(world: World) -> None:
    spec = await made(world, world.spec())
    disk = await plugged_volume(world, spec)
    other = await world.hypervisor.volumes.connect(world.file_volume())
    before = await world.fingerprint(spec.uuid)
    with pytest.raises(Conflict):
        await world.hypervisor.domains.attach_disk(spec.uuid, other.model_copy(update={"id": disk.id}))
    assert await world.fingerprint(spec.uuid) == before


async def test_a_running_guest_without_a_system_doesnt_let_go_and_the_truth_is_told(world: World) -> None:
    spec = await running(world, world.spec())
    disk = await plugged_volume(world, spec)
    with deadline.within(world.held), pytest.raises(OperationFailed, match="still attached"):
        await world.hypervisor.domains.detach_disk(spec.uuid, disk.id)
    assert await disk_ids(world, spec) == {disk.id}
    await world.hypervisor.domains.power_off(spec.uuid)
    await world.hypervisor.domains.detach_disk(spec.uuid, disk.id)
    assert await disk_ids(world, spec) == set()


async def test_an_interface_comes_to_a_guest_that_is_off_and_goes(world: World) -> None:
    spec = await made(world, world.spec())
    for _ in range(2):
        await world.hypervisor.domains.attach_interface(spec.uuid, user_nic())
        assert await port_ids(world, spec) == {"port-1"}
    for _ in range(2):
        await world.hypervisor.domains.detach_interface(spec.uuid, "port-1")
        assert await port_ids(world, spec) == set()


async def test_an_interface_that_cant_be_is_refused(world: World) -> None:
    spec = await made(world, world.spec())
    with pytest.raises(InvalidRequest, match=r"vif\.mtu"):
        await world.hypervisor.domains.attach_interface(spec.uuid, user_nic().model_copy(update={"mtu": 1500}))
    assert await port_ids(world, spec) == set()


async def test_a_disk_and_an_interface_with_one_id_arent_mistaken_for_each_other(world: World) -> None:
    spec = await made(world, world.spec())
    await world.hypervisor.domains.attach_interface(spec.uuid, user_nic())
    await world.hypervisor.domains.detach_disk(spec.uuid, "port-1")
    assert await port_ids(world, spec) == {"port-1"}


async def test_interfaces_of_the_spec_are_shown_as_they_are(world: World) -> None:
    spec = world.spec().model_copy(update={"interfaces": (user_nic(1), user_nic(2))})
    await made(world, spec)
    shown = (await view(world, spec)).interfaces
    assert [(i.port_id, i.type, i.mac_address) for i in shown] == [
        ("port-1", "user", "52:54:00:00:00:01"),
        ("port-2", "user", "52:54:00:00:00:02"),
    ]


async def test_when_all_ports_are_taken_the_guest_stays_as_it_is(world: World) -> None:
    spec = world.spec().model_copy(update={"machine": Machine(hotplug_ports=1)})
    await running(world, spec)
    first = await plugged_volume(world, spec)
    with pytest.raises(Unsupported):
        await plugged_volume(world, spec)
    assert await disk_ids(world, spec) == {first.id}
    await world.hypervisor.domains.power_off(spec.uuid)
    assert await disk_ids(world, spec) == {first.id}


async def test_a_bus_that_cant_be_plugged_into_a_running_guest_is_unsupported(world: World) -> None:
    spec = await running(world, world.spec())
    disk = await world.hypervisor.volumes.connect(world.file_volume())
    with pytest.raises(Unsupported):
        await world.hypervisor.domains.attach_disk(spec.uuid, disk.model_copy(update={"bus": DiskBus.SATA}))
    assert await disk_ids(world, spec) == set()


async def test_a_suspended_guest_keeps_its_devices_whatever_is_asked(world: World) -> None:
    spec = await running(world, world.spec())
    disk = await plugged_volume(world, spec)
    await world.hypervisor.domains.suspend(spec.uuid)
    with pytest.raises(Conflict):
        await world.hypervisor.domains.detach_disk(spec.uuid, disk.id)
    with pytest.raises(Conflict):
        await world.hypervisor.domains.attach_interface(spec.uuid, user_nic())
    await world.hypervisor.domains.start(spec.uuid)
    assert await disk_ids(world, spec) == {disk.id}
    assert await port_ids(world, spec) == set()


async def test_a_console_that_isnt_logged_cant_be_read(world: World) -> None:
    plain = world.spec()
    spec = plain.model_copy(update={"console": plain.console.model_copy(update={"log": False})})
    await made(world, spec)
    with pytest.raises(Unsupported):
        await world.hypervisor.domains.console_output(spec.uuid, 100)


async def test_the_console_of_a_guest_that_never_ran_is_empty(world: World) -> None:
    spec = await made(world, world.spec())
    assert await world.hypervisor.domains.console_output(spec.uuid, 100) == b""
