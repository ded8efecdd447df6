"""What only real libvirt and QEMU can show of guests.

The rules that both drivers share are in tests/contract.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent import deadline
from agent.errors import Conflict, InvalidRequest, NoCapacity, OperationFailed, TimedOut
from agent.hypervisor.ports import Guest
from agent.spec import (
    Console,
    DiskBus,
    DiskFormat,
    FileBacking,
    Graphics,
    Machine,
    PluggedDisk,
    PowerState,
)
from tests.e2e.freeze import qemu, stopped
from tests.integration.libvirt_ground import NOTICED_LATE, PATIENCE, Ground, ground, spec
from tests.rig.images import blank, guest_image, overlay
from tests.rig.libvirtd import Libvirtd
from tests.rig.places import rig_directory

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """Not pytest's own directory, which is closed to the user that QEMU runs as."""
    with rig_directory() as directory:
        yield directory


@pytest.fixture
async def here(libvirtd: Libvirtd, place: Path) -> AsyncIterator[Ground]:
    async with ground(libvirtd, place) as made:
        yield made


@pytest.fixture
async def patient(libvirtd: Libvirtd, place: Path) -> AsyncIterator[Ground]:
    """Calls into a frozen libvirtd end by a deadline, or when it goes on."""
    async with ground(libvirtd, place, keepalive_s=NOTICED_LATE) as made:
        yield made


def volume(path: Path, *, name: str = "vol", bus: DiskBus = DiskBus.VIRTIO) -> PluggedDisk:
    if not path.exists():
        blank(path, "1M")
    backing = FileBacking(path=path, format=DiskFormat.RAW)
    return PluggedDisk(id=name, bus=bus, backing=backing, serial=name, removable=True)


async def test_a_generation_written_while_suspended_is_there_after_the_restore(here: Ground) -> None:
    """The saved memory brings the metadata of then with it."""
    uuid = await here.run()
    await here.domains.suspend(uuid)
    await here.domains.stamp(uuid, 7, "later")
    await here.domains.start(uuid)
    view = await here.domains.get(uuid)
    assert (view.generation, view.request_id) == (7, "later")
    await here.domains.power_off(uuid)
    assert (await here.domains.get(uuid)).generation == 7


async def test_a_guest_that_was_paused_when_it_was_saved_runs_when_it_is_started(here: Ground) -> None:
    uuid = await here.run()
    await here.domains.pause(uuid)
    await here.domains.suspend(uuid)
    assert await here.power(uuid) == (PowerState.SUSPENDED, "saved")
    await here.domains.start(uuid)
    assert (await here.power(uuid))[0] is PowerState.RUNNING


async def test_a_guest_that_the_host_has_no_memory_for_is_no_capacity_and_stays_off(here: Ground) -> None:
    uuid = await here.make(spec(memory_mb=64 * 1024 * 1024))
    with pytest.raises(NoCapacity) as caught:
        await here.domains.start(uuid)
    assert caught.value.details == {"resource": "memory"}
    assert (await here.power(uuid))[0] is PowerState.SHUTDOWN


async def test_a_guest_whose_disk_is_gone_fails_to_start_and_says_which(here: Ground, place: Path) -> None:
    disk = volume(place / "volume.raw")
    uuid = await here.make(disks=(disk,))
    (place / "volume.raw").unlink()
    with pytest.raises(OperationFailed, match=r"start instance .*volume\.raw"):
        await here.domains.start(uuid)
    assert (await here.power(uuid))[0] is PowerState.SHUTDOWN


async def test_six_starts_at_once_all_succeed(here: Ground) -> None:
    uuids = [await here.make() for _ in range(6)]
    await asyncio.gather(*(here.domains.start(uuid) for uuid in uuids))
    assert {view.power_state for view in await here.domains.list()} == {PowerState.RUNNING}


async def test_a_vnc_screen_has_a_port_of_its_own(here: Ground) -> None:
    first = await here.run(spec(graphics=Graphics(type="vnc")))
    second = await here.run(spec(graphics=Graphics(type="vnc")))
    ports = {(await here.domains.get(uuid)).vnc_port for uuid in (first, second)}
    assert None not in ports
    assert len(ports) == 2


async def test_undefining_a_uefi_guest_takes_its_variables_along(here: Ground) -> None:
    uuid = await here.run(spec(firmware="uefi", memory_mb=256))
    variables = here.libvirtd.socket.parent.parent / "lib" / "qemu" / "nvram"
    assert [file.name for file in variables.iterdir()] == [f"guest-{uuid}_VARS.fd"]
    await here.domains.power_off(uuid)
    await here.domains.undefine(uuid)
    assert list(variables.iterdir()) == []


async def test_undefining_a_suspended_guest_takes_its_saved_memory_along(here: Ground) -> None:
    uuid = await here.run()
    await here.domains.suspend(uuid)
    saved = here.libvirtd.socket.parent.parent / "lib" / "qemu" / "save"
    assert len(list(saved.iterdir())) == 1
    await here.domains.undefine(uuid)
    assert list(saved.iterdir()) == []


async def test_a_domain_that_libvirts_schema_refuses_is_an_invalid_request(here: Ground) -> None:
    wanted = spec(console=Console(type="unix"))
    with pytest.raises(InvalidRequest):
        await here.make(wanted.model_copy(update={"name": "with/slash"}))
    assert await here.domains.list() == ()


async def test_a_running_domain_of_somebody_else_isnt_taken_over_by_its_uuid(here: Ground, place: Path) -> None:
    wanted = spec()
    foreign = place / "foreign.xml"
    foreign.write_text(
        f"<domain type='qemu'><name>{wanted.name}</name><uuid>{wanted.uuid}</uuid><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )
    await here.virsh("create", str(foreign))
    before = await here.virsh("dumpxml", str(wanted.uuid))
    with pytest.raises(Conflict, match="no agent's, not ours"):
        await here.domains.define(Guest(spec=wanted, disks=(), generation=1))
    assert await here.virsh("dumpxml", str(wanted.uuid)) == before


async def test_the_console_log_keeps_the_owner_who_made_it_before_the_start(here: Ground) -> None:
    uuid = await here.make()
    log = here.directory / str(uuid) / "console.log"
    log.touch(mode=0o600)
    os.chown(log, NOBODY, NOBODY)
    await here.domains.start(uuid)
    assert "console.log" in await here.virsh("dumpxml", str(uuid))
    assert (log.stat().st_uid, log.stat().st_mode & 0o777) == (NOBODY, 0o600)


async def test_a_scsi_disk_brings_the_controller_that_guests_have_a_driver_for(here: Ground, place: Path) -> None:
    uuid = await here.run()
    view = await here.domains.attach_disk(uuid, volume(place / "volume.raw", bus=DiskBus.SCSI))
    assert (view.bus, view.target) == ("scsi", "sda")
    for text in (await here.virsh("dumpxml", str(uuid)), await here.virsh("dumpxml", str(uuid), "--inactive")):
        assert "model='virtio-scsi'" in text
        assert "lsilogic" not in text


async def test_a_disk_that_is_only_stored_is_completed_by_attaching_it_again(here: Ground, place: Path) -> None:
    """What a detach by somebody else, of the live guest alone, leaves."""
    disk = volume(place / "volume.raw")
    uuid = await here.make()
    await here.domains.attach_disk(uuid, disk)
    await here.domains.start(uuid)
    stored = await here.virsh("dumpxml", str(uuid), "--inactive")
    await here.domains.power_off(uuid)
    await here.domains.detach_disk(uuid, disk.id)
    await here.domains.start(uuid)
    definition = place / "definition.xml"
    definition.write_text(stored)
    await here.virsh("define", str(definition))
    assert (await here.domains.get(uuid)).disks == ()
    view = await here.domains.attach_disk(uuid, disk)
    assert (await here.domains.get(uuid)).disks == (view,)
    assert (await here.virsh("dumpxml", str(uuid), "--inactive")).count("ua-vol") == 1


async def test_a_detach_that_fails_leaves_the_disk_in_the_stored_definition_too(here: Ground, place: Path) -> None:
    disk = volume(place / "volume.raw")
    uuid = await here.run()
    await here.domains.attach_disk(uuid, disk)
    with deadline.within(5), pytest.raises(OperationFailed, match="still attached") as caught:
        await here.domains.detach_disk(uuid, disk.id)
    assert caught.value.details == {"still_attached": "vol"}
    assert "ua-vol" in await here.virsh("dumpxml", str(uuid), "--inactive")


async def test_a_paused_guest_isnt_asked_so_nothing_goes_when_it_continues(here: Ground, place: Path) -> None:
    disk = volume(place / "volume.raw")
    uuid = await here.run()
    await here.domains.attach_disk(uuid, disk)
    await here.domains.pause(uuid)
    with deadline.within(5), pytest.raises(OperationFailed, match="is paused"):
        await here.domains.detach_disk(uuid, disk.id)
    await here.domains.unpause(uuid)
    assert [d.id for d in (await here.domains.get(uuid)).disks] == ["vol"]


async def test_a_guest_that_is_still_booting_is_asked_again_until_it_lets_go(here: Ground, place: Path) -> None:
    """What was asked of its firmware is lost."""
    image = overlay(place / "root.qcow2", guest_image())
    root = PluggedDisk(
        id="root", bus=DiskBus.VIRTIO, backing=FileBacking(path=image, format=DiskFormat.QCOW2), boot_index=1
    )
    uuid = await here.make(spec(memory_mb=128), (root,))
    await here.domains.attach_disk(uuid, volume(place / "volume.raw"))
    await here.domains.start(uuid)
    await here.domains.detach_disk(uuid, "vol")
    assert [d.id for d in (await here.domains.get(uuid)).disks] == ["root"]
    assert "ua-vol" not in await here.virsh("dumpxml", str(uuid), "--inactive")


async def test_a_guest_that_stops_while_a_disk_is_asked_back_has_let_it_go(here: Ground, place: Path) -> None:
    disk = volume(place / "volume.raw")
    uuid = await here.run()
    await here.domains.attach_disk(uuid, disk)
    detaching = asyncio.create_task(here.domains.detach_disk(uuid, disk.id))
    await asyncio.wait((detaching,), timeout=0.3)
    assert not detaching.done()
    await here.virsh("destroy", str(uuid))
    await asyncio.wait_for(detaching, PATIENCE)
    assert (await here.domains.get(uuid)).disks == ()


async def test_one_guest_whose_qemu_hangs_stops_nobody_else(here: Ground) -> None:
    sick, well = await here.run(), await here.run()
    with stopped(qemu(str(sick))):
        changes = [asyncio.create_task(here.domains.pause(sick)) for _ in range(2)]
        reads = [asyncio.create_task(here.domains.diagnostics(sick)) for _ in range(2)]
        await asyncio.wait((*changes, *reads), timeout=0.5)
        assert not any(change.done() for change in changes)
        with deadline.within(45):  # less than a change that hangs is waited for
            assert {view.uuid for view in await here.domains.list()} == {sick, well}
            assert (await here.power(sick))[0] is PowerState.RUNNING
            assert "cpu0_time" in await here.domains.diagnostics(well)
            await here.domains.pause(well)
            third = await here.run()
            await here.domains.suspend(third)
        assert not any(change.done() for change in changes)
    await asyncio.gather(*changes)
    # They are waited for less long than changes.
    ends = await asyncio.gather(*reads, return_exceptions=True)
    assert all(isinstance(end, dict | TimedOut) for end in ends), ends
    assert (await here.power(sick))[0] is PowerState.PAUSED


async def test_a_cancelled_start_is_waited_for(patient: Ground) -> None:
    await patient.run()  # so that the lane has its connection
    uuid = await patient.make()
    patient.libvirtd.freeze()
    try:
        start = asyncio.create_task(patient.domains.start(uuid))
        await patient.begun(uuid)
        start.cancel()
        await asyncio.wait((start,), timeout=0.3)
        assert not start.done()
    finally:
        patient.libvirtd.thaw()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert await patient.power(uuid) == (PowerState.RUNNING, "booted")


async def test_a_start_past_its_deadline_is_timed_out_and_what_became_of_it_is_seen(patient: Ground) -> None:
    await patient.run()  # so that the lane has its connection
    uuid = await patient.make()
    patient.libvirtd.freeze()
    try:
        with deadline.within(2), pytest.raises(TimedOut, match="unknown"):
            await patient.domains.start(uuid)
    finally:
        patient.libvirtd.thaw()
    await patient.seen(uuid, PowerState.RUNNING)


async def test_the_pc_machine_takes_and_gives_disks_too(here: Ground, place: Path) -> None:
    uuid = await here.run(spec(machine=Machine(type="pc")))
    view = await here.domains.attach_disk(uuid, volume(place / "volume.raw"))
    assert view.target == "vda"
    await here.domains.power_off(uuid)
    await here.domains.detach_disk(uuid, "vol")
    assert (await here.domains.get(uuid)).disks == ()
