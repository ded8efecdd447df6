"""Changes whose connection broke under them: libvirtd may have them in its queue, or be at them still, and the
guest is suspect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
import stamina

from agent.errors import NotFound, Unavailable
from agent.hypervisor.doubts import QUIET_S
from agent.hypervisor.ports import Domains
from agent.spec import PowerState
from tests.e2e.freeze import qemu, stopped
from tests.integration.libvirt_ground import PATIENCE, Ground, ground
from tests.rig.libvirtd import Libvirtd


async def settled(domains: Domains, uuid: UUID) -> None:
    """As whoever is told `unavailable` comes back: the connection to look with may have been cut as well."""
    async for attempt in stamina.retry_context(on=Unavailable, attempts=None, timeout=PATIENCE):
        with attempt:
            await asyncio.wait_for(domains.settle(uuid), PATIENCE)


async def test_a_start_in_the_queue_of_a_libvirtd_that_was_deaf_is_no_ghost(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    async with ground(libvirtd, tmp_path) as made:
        domains, uuid = made.domains, await made.run()
        await domains.power_off(uuid)
        libvirtd.freeze()
        try:
            with pytest.raises(Unavailable) as caught:  # keepalive ends it, before its deadline
                await domains.start(uuid)
            assert caught.value.details == {"outcome": "unknown"}
        finally:
            libvirtd.thaw()
        await settled(domains, uuid)
        await domains.power_off(uuid)
        await domains.undefine(uuid)
        await asyncio.sleep(QUIET_S)  # nothing can be waited for: nothing more shall come
        with pytest.raises(NotFound):
            await domains.get(uuid)
        assert str(uuid) not in await made.virsh("list", "--all", "--uuid")


async def test_a_start_cut_off_by_the_death_of_libvirtd_is_settled_when_the_guest_rests(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    async with ground(libvirtd, tmp_path) as made:
        domains, uuid = made.domains, await made.run()
        await domains.power_off(uuid)
        libvirtd.freeze()
        start = asyncio.create_task(domains.start(uuid))
        await made.begun(uuid)
        await asyncio.to_thread(libvirtd.kill)
        try:
            with pytest.raises(Unavailable):
                await start
            with pytest.raises(Unavailable, match="can't be looked at"):
                await domains.settle(uuid)
        finally:
            await asyncio.to_thread(libvirtd.start)
        began = time.monotonic()
        await settled(domains, uuid)
        assert time.monotonic() - began >= QUIET_S
        await domains.settle(uuid)
        assert (await made.power(uuid))[0] is PowerState.SHUTDOWN


NIC = '<interface type="user"><model type="virtio"/><mac address="52:54:00:00:00:07"/></interface>'


@asynccontextmanager
async def attach_of_a_client_that_died(made: Ground, uuid: UUID) -> AsyncIterator[None]:
    """Inside, libvirtd waits for the guest's QEMU, which is stopped, and nobody waits for libvirtd."""
    device = made.directory / "device.xml"
    device.write_text(NIC)
    with stopped(qemu(str(uuid))):
        attach = ("attach-device", str(uuid), str(device), "--live")
        client = await asyncio.create_subprocess_exec("virsh", "--connect", made.libvirtd.uri, *attach)
        async with asyncio.timeout(PATIENCE):
            while "ok" in await made.virsh("domcontrol", str(uuid)):
                await asyncio.sleep(0.05)
        client.kill()
        await client.wait()
        yield


async def unsettled(domains: Domains, uuid: UUID) -> asyncio.Task[None]:
    """As a new run of the agent finds it."""
    domains.suspect(uuid)
    settling = asyncio.create_task(domains.settle(uuid))
    await asyncio.wait({settling}, timeout=3 * QUIET_S)  # nothing can be waited for: nothing shall come
    assert not settling.done()
    return settling


async def test_an_attach_that_hangs_since_an_earlier_run_is_waited_for(libvirtd: Libvirtd, tmp_path: Path) -> None:
    async with ground(libvirtd, tmp_path) as made:
        uuid = await made.run()
        async with attach_of_a_client_that_died(made, uuid):
            settling = await unsettled(made.domains, uuid)
        await asyncio.wait_for(settling, PATIENCE)
        assert "52:54:00:00:00:07" in await made.virsh("domiflist", str(uuid))


async def test_an_attach_that_hangs_since_an_earlier_run_is_broken_off_where_the_guest_shall_end(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    async with ground(libvirtd, tmp_path) as made:
        domains, uuid = made.domains, await made.run()
        async with attach_of_a_client_that_died(made, uuid):
            settling = await unsettled(domains, uuid)
            await domains.break_off(uuid)
            await asyncio.wait_for(settling, PATIENCE)
            assert (await made.power(uuid))[0] is PowerState.SHUTDOWN
            await domains.undefine(uuid)


async def test_where_nothing_is_known_to_hang_no_plug_is_pulled(libvirtd: Libvirtd, tmp_path: Path) -> None:
    async with ground(libvirtd, tmp_path) as made:
        uuid = await made.run()
        made.domains.suspect(uuid)
        await made.domains.settle(uuid)
        await made.domains.break_off(uuid)
        assert (await made.power(uuid))[0] is PowerState.RUNNING
