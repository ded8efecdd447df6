"""Guests whose system is up: they heed buttons, see what is plugged in, and let it go, or not."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from agent import deadline
from agent.errors import OperationFailed
from agent.spec import BridgeInterface, InstanceSpec, PowerState
from tests.contract.test_observations import seen
from tests.contract.world import SEEN_SERIAL, World, eventually, plugged_volume

pytestmark = pytest.mark.timeout(300)

OFF = frozenset({PowerState.SHUTDOWN})


def nic(world: World) -> BridgeInterface:
    port = str(uuid4())
    mac = "52:54:00:" + ":".join(port[at : at + 2] for at in (0, 2, 4))
    return BridgeInterface(port_id=port, mac_address=mac, bridge=world.bridge)


async def sees(world: World, spec: InstanceSpec, serial: str) -> bool:
    return serial[:SEEN_SERIAL] in await world.guest_disks(spec.uuid)


async def test_the_console_tells_that_it_is_up_and_its_tail_is_cut_to_size(
    world: World, booted: InstanceSpec
) -> None:
    whole = await world.hypervisor.domains.console_output(booted.uuid, 1_000_000)
    assert b"GUEST-READY" in whole
    tail = await world.hypervisor.domains.console_output(booted.uuid, 16)
    assert len(tail) == 16


async def test_the_counters_have_novas_names_and_move(world: World, booted: InstanceSpec) -> None:
    domains = world.hypervisor.domains
    target = (await domains.get(booted.uuid)).disks[0].target
    first = await domains.diagnostics(booted.uuid)
    wanted = {f"{target}_{what}" for what in ("read", "read_req", "write", "write_req", "errors")}
    assert wanted | {"cpu0_time", "memory"} <= first.keys()
    assert first["memory"] == booted.memory_mb * 1024

    async def moved() -> bool:
        return bool((await domains.diagnostics(booted.uuid))["cpu0_time"] > first["cpu0_time"])

    await eventually(world, moved)


async def test_a_volume_is_seen_inside_when_attached_and_gone_when_detached(
    world: World, booted: InstanceSpec
) -> None:
    domains = world.hypervisor.domains
    disk = await world.hypervisor.volumes.connect(world.file_volume())
    view = await domains.attach_disk(booted.uuid, disk)
    assert (view.id, view.serial, view.removable) == (disk.id, disk.serial, True)
    assert await domains.attach_disk(booted.uuid, disk) == view
    assert view in (await domains.get(booted.uuid)).disks
    await eventually(world, lambda: sees(world, booted, str(disk.serial)))
    for _ in range(2):
        await domains.detach_disk(booted.uuid, disk.id)
        assert disk.id not in {d.id for d in (await domains.get(booted.uuid)).disks}
    assert not await sees(world, booted, str(disk.serial))


async def test_a_network_volume_is_seen_inside(world: World, booted: InstanceSpec) -> None:
    disk = await world.hypervisor.volumes.connect(world.nbd_volume())
    await world.hypervisor.domains.attach_disk(booted.uuid, disk)
    await eventually(world, lambda: sees(world, booted, str(disk.serial)))
    await world.hypervisor.domains.detach_disk(booted.uuid, disk.id)
    assert not await sees(world, booted, str(disk.serial))


async def test_an_interface_is_seen_inside_when_attached_and_gone_when_detached(
    world: World, booted: InstanceSpec
) -> None:
    domains, wanted = world.hypervisor.domains, nic(world)
    view = await domains.attach_interface(booted.uuid, wanted)
    assert (view.port_id, view.mac_address, view.source) == (
        wanted.port_id,
        wanted.mac_address,
        world.bridge,
    )
    assert view.tap is not None
    assert await domains.attach_interface(booted.uuid, wanted) == view

    async def there() -> bool:
        return wanted.mac_address in await world.guest_macs(booted.uuid)

    await eventually(world, there)
    for _ in range(2):
        await domains.detach_interface(booted.uuid, wanted.port_id)
        assert wanted.port_id not in {i.port_id for i in (await domains.get(booted.uuid)).interfaces}
    assert not await there()


async def test_a_paused_guest_doesnt_let_go_and_the_truth_is_told(world: World, booted: InstanceSpec) -> None:
    domains = world.hypervisor.domains
    disk = await plugged_volume(world, booted)
    await eventually(world, lambda: sees(world, booted, str(disk.serial)))
    await domains.pause(booted.uuid)
    with deadline.within(world.held), pytest.raises(OperationFailed, match="still attached"):
        await domains.detach_disk(booted.uuid, disk.id)
    assert disk.id in {d.id for d in (await domains.get(booted.uuid)).disks}
    await domains.unpause(booted.uuid)
    await domains.detach_disk(booted.uuid, disk.id)
    assert disk.id not in {d.id for d in (await domains.get(booted.uuid)).disks}
    assert not await sees(world, booted, str(disk.serial))


async def test_a_suspended_guest_goes_on_where_it_stopped(world: World, booted: InstanceSpec) -> None:
    domains = world.hypervisor.domains
    ready = (await domains.console_output(booted.uuid, 1_000_000)).count(b"GUEST-READY")
    await domains.suspend(booted.uuid)
    await domains.start(booted.uuid)
    await world.wait_ready(booted.uuid)
    assert (await domains.console_output(booted.uuid, 1_000_000)).count(b"GUEST-READY") == ready


async def test_a_reboot_isnt_a_stop(world: World, booted: InstanceSpec) -> None:
    domains, mark = world.hypervisor.domains, world.observed.mark()
    rebooted = asyncio.create_task(domains.wait_for_reboot(booted.uuid, world.patience))
    await asyncio.sleep(0)  # the wait begins before the act
    await domains.reboot(booted.uuid)
    assert await rebooted
    assert (await domains.get(booted.uuid)).power_state is PowerState.RUNNING
    assert world.observed.power(booted.uuid, mark) == []
    await world.wait_ready(booted.uuid)


async def test_a_reboot_from_inside_is_noticed_and_isnt_a_stop(world: World, booted: InstanceSpec) -> None:
    domains, mark = world.hypervisor.domains, world.observed.mark()
    rebooted = asyncio.create_task(domains.wait_for_reboot(booted.uuid, world.patience))
    await asyncio.sleep(0)  # the wait begins before the act
    await world.guest_reboot(booted.uuid)
    assert await rebooted
    await world.wait_ready(booted.uuid)
    assert world.observed.power(booted.uuid, mark) == []


async def test_the_power_button_is_heeded(world: World, booted: InstanceSpec) -> None:
    domains, mark = world.hypervisor.domains, world.observed.mark()
    await domains.shutdown(booted.uuid)
    assert await domains.wait_for(booted.uuid, OFF, world.patience) is PowerState.SHUTDOWN
    await seen(world, booted, PowerState.SHUTDOWN, "shutdown", mark)


async def test_a_guest_that_powers_itself_off_is_seen_to_be_off(world: World, booted: InstanceSpec) -> None:
    mark = world.observed.mark()
    await world.guest_power_off(booted.uuid)
    await seen(world, booted, PowerState.SHUTDOWN, "shutdown", mark)
    view = await world.hypervisor.domains.get(booted.uuid)
    assert (view.power_state, view.reason) == (PowerState.SHUTDOWN, "shutdown")
