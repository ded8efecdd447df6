"""Changes whose connection broke under them: libvirtd may have them in its queue, and the guest is suspect."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from uuid import UUID

import pytest
import stamina

from agent.errors import NotFound, Unavailable
from agent.hypervisor.doubts import QUIET_S
from agent.hypervisor.ports import Domains
from agent.spec import PowerState
from tests.integration.libvirt_ground import PATIENCE, ground
from tests.rig.libvirtd import Libvirtd

pytestmark = pytest.mark.timeout(120)


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
        await asyncio.wait({start}, timeout=0.2)
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
