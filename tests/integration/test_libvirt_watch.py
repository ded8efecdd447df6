"""What the watch tells of a real libvirtd, through its deaths and silences.

The rules that both drivers share are in tests/contract/test_observations.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent.errors import OperationFailed
from agent.hypervisor.ports import Kind
from agent.spec import BridgeInterface, PowerState
from tests.integration.libvirt_ground import PATIENCE, Ground, ground, open_files, spec, until_open_files
from tests.rig.libvirtd import Libvirtd

SAVED = (PowerState.SUSPENDED, "saved")


@pytest.fixture
async def here(libvirtd: Libvirtd, tmp_path: Path) -> AsyncIterator[Ground]:
    tmp_path.parent.chmod(0o755)
    async with ground(libvirtd, tmp_path) as made:
        yield made


async def test_it_begins_with_a_listing_of_ours_alone(libvirtd: Libvirtd, tmp_path: Path) -> None:
    async with ground(libvirtd, tmp_path, watching=False) as before:
        ours = await before.make()
        foreign = tmp_path / "foreign.xml"
        foreign.write_text(
            "<domain type='qemu'><name>foreign</name><memory unit='MiB'>32</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )
        await before.virsh("define", str(foreign))
        async with ground(libvirtd, tmp_path) as here:
            listing = here.observed.all[0]
            assert listing.kind is Kind.LISTING
            assert [domain.uuid for domain in listing.domains] == [ours]
            await here.virsh("start", "foreign")
            await here.domains.start(ours)
            await here.seen(ours, PowerState.RUNNING)
            await here.virsh("destroy", "foreign")
            await here.virsh("undefine", "foreign")
            await here.domains.power_off(ours)
            await here.seen(ours, PowerState.SHUTDOWN)
            assert {one.uuid for one in here.observed.all[1:]} == {ours}


async def test_without_libvirtd_it_begins_with_lost_and_lists_when_libvirtd_comes(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    await asyncio.to_thread(libvirtd.kill)
    try:
        async with ground(libvirtd, tmp_path) as here:
            assert [one.kind for one in here.observed.all] == [Kind.LOST]
            await asyncio.to_thread(libvirtd.start)
            await here.seen_kind(Kind.LISTING)
            assert [one.kind for one in here.observed.all] == [Kind.LOST, Kind.LISTING]
    finally:
        await asyncio.to_thread(libvirtd.start)


async def test_a_silent_libvirtd_is_lost_and_heard_again_when_it_speaks(here: Ground) -> None:
    uuid = await here.run()
    await here.seen(uuid, PowerState.RUNNING)
    mark = here.observed.mark()
    here.libvirtd.freeze()
    try:
        await here.seen_kind(Kind.LOST, mark)
    finally:
        here.libvirtd.thaw()
    await here.seen_kind(Kind.LISTING, mark)
    await here.domains.pause(uuid)
    await here.seen(uuid, PowerState.PAUSED, mark)


async def test_after_several_restarts_each_event_is_told_once_and_nothing_is_left_open(here: Ground) -> None:
    uuid = await here.run()
    await here.seen(uuid, PowerState.RUNNING)
    before = open_files()
    for _ in range(3):
        mark = here.observed.mark()
        await asyncio.to_thread(here.libvirtd.restart)
        await here.seen_kind(Kind.LISTING, mark)
    await until_open_files(before + 1)
    mark = here.observed.mark()
    await here.virsh("suspend", str(uuid))
    await here.virsh("resume", str(uuid))
    await here.seen(uuid, PowerState.RUNNING, mark)
    told = here.observed.power(uuid, mark)
    assert told == [(PowerState.PAUSED, "user"), (PowerState.RUNNING, "unpaused")]


async def test_what_happened_while_libvirtd_was_dead_shows_in_the_listing(here: Ground) -> None:
    lives, undefined = await here.run(), await here.make()
    mark = here.observed.mark()
    await asyncio.to_thread(here.libvirtd.kill)
    (here.libvirtd.socket.parent.parent / "etc" / "qemu" / f"guest-{undefined}.xml").unlink()
    await asyncio.to_thread(here.libvirtd.start)
    await here.seen_kind(Kind.LISTING, mark)
    listing = next(one for one in here.observed.all[mark:] if one.kind is Kind.LISTING)
    assert [(domain.uuid, domain.power_state) for domain in listing.domains] == [(lives, PowerState.RUNNING)]


async def test_a_guest_saved_to_disk_by_somebody_else_is_suspended_and_wasnt_paused(here: Ground) -> None:
    uuid = await here.run()
    await here.seen(uuid, PowerState.RUNNING)
    mark = here.observed.mark()
    await here.virsh("managedsave", str(uuid))
    await here.seen(uuid, PowerState.SUSPENDED, mark)
    assert here.observed.power(uuid, mark) == [SAVED]
    assert await here.power(uuid) == SAVED


async def test_a_guest_saved_to_a_file_of_somebodys_own_is_off(here: Ground, tmp_path: Path) -> None:
    uuid = await here.run()
    await here.virsh("save", str(uuid), str(tmp_path / "saved"))
    await here.seen(uuid, PowerState.SHUTDOWN)
    assert await here.power(uuid) == (PowerState.SHUTDOWN, "saved")


async def test_a_saved_guest_is_suspended_also_after_libvirtd_forgot_why_it_is_off(here: Ground) -> None:
    uuid = await here.run()
    await here.domains.suspend(uuid)
    mark = here.observed.mark()
    await asyncio.to_thread(here.libvirtd.restart)
    await here.seen_kind(Kind.LISTING, mark)
    assert await here.power(uuid) == SAVED


async def test_a_guest_undefined_while_it_runs_is_gone_when_it_stops(here: Ground) -> None:
    uuid = await here.run()
    await here.virsh("undefine", str(uuid))
    assert await here.power(uuid) == (PowerState.RUNNING, "booted")
    assert Kind.GONE not in {one.kind for one in here.observed.all}
    await here.virsh("destroy", str(uuid))
    await here.seen_kind(Kind.GONE)
    assert told_of(here, uuid)[-2:] == STOPPED_AND_GONE


async def test_a_guest_undefined_while_it_ran_is_off_before_it_is_gone_also_when_both_are_heard_late(
    here: Ground,
) -> None:
    uuid = await here.run()
    await here.seen(uuid, PowerState.RUNNING)
    # Not in a thread: the watch hears of the first when the second is done too.
    here.libvirtd.virsh("undefine", str(uuid))
    here.libvirtd.virsh("destroy", str(uuid))
    await here.seen_kind(Kind.GONE)
    assert told_of(here, uuid)[-2:] == STOPPED_AND_GONE


STOPPED_AND_GONE = [(Kind.POWER, PowerState.SHUTDOWN), (Kind.GONE, PowerState.UNKNOWN)]


def told_of(here: Ground, uuid: UUID) -> list[tuple[Kind, PowerState]]:
    return [(one.kind, one.state) for one in here.observed.all if one.uuid == uuid]


async def test_a_start_that_fails_is_told_to_the_caller_and_is_no_change_of_power(here: Ground) -> None:
    nic = BridgeInterface(port_id="p", mac_address="52:54:00:00:00:01", bridge=f"no{uuid4().hex[:8]}")
    uuid, other = await here.make(spec(interfaces=(nic,))), await here.make()
    with pytest.raises(OperationFailed):
        await here.domains.start(uuid)
    await here.domains.start(other)
    await here.seen(other, PowerState.RUNNING)
    assert here.observed.power(uuid) == []
    assert await here.power(uuid) == (PowerState.SHUTDOWN, "failed")


async def test_waiting_for_a_state_goes_on_through_a_restart_of_libvirtd(here: Ground) -> None:
    uuid = await here.run()
    off = frozenset({PowerState.SHUTDOWN})
    waiting = asyncio.create_task(here.domains.wait_for(uuid, off, PATIENCE))
    mark = here.observed.mark()
    await asyncio.to_thread(here.libvirtd.restart)
    await here.seen_kind(Kind.LISTING, mark)
    # Waits for its turn behind the new libvirtd's taking over; a destroy wouldn't, and finds its guest gone.
    await here.virsh("dommemstat", str(uuid))
    await here.virsh("destroy", str(uuid))
    assert await waiting is PowerState.SHUTDOWN
