"""A start that libvirtd left half done when it was killed at the start's very beginning, before there was a QEMU.

Staged by its own notes: it writes what it is at into its run directory, and believes that when it comes back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from uuid import UUID

import pytest

from agent.errors import OperationFailed
from agent.spec import PowerState
from tests.e2e.freeze import qemu
from tests.integration.libvirt_ground import PATIENCE, Ground, ground
from tests.rig.libvirtd import Libvirtd
from tests.rig.processes import wait_until


def notes(libvirtd: Libvirtd, uuid: UUID) -> Path:
    return libvirtd.socket.parent / "qemu" / f"guest-{uuid}.xml"


async def leave_half_started(made: Ground) -> UUID:
    uuid = await made.run()
    await asyncio.to_thread(made.libvirtd.kill)
    file = notes(made.libvirtd, uuid)
    text = file.read_text()
    text = re.sub("<domstatus [^>]*>", "<domstatus state='paused' reason='starting up' pid='0'>", text)
    text = text.replace("<libDir ", "<job type='none' async='start' flags='0x0'/><libDir ", 1)
    file.write_text(text)
    process = qemu(str(uuid))
    os.kill(process, signal.SIGKILL)
    # Its end is a moment later: a libvirtd that finds it still there takes it over.
    await asyncio.to_thread(wait_until, lambda: not Path(f"/proc/{process}").exists(), "QEMU's end", PATIENCE)
    await asyncio.to_thread(made.libvirtd.start)
    return uuid


async def test_it_keeps_only_its_own_guest_from_changing_and_says_what_mends_it(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    async with ground(libvirtd, tmp_path) as made:
        domains, uuid = made.domains, await leave_half_started(made)
        assert await made.power(uuid) == (PowerState.PAUSED, "starting up")
        ending = asyncio.create_task(domains.power_off(uuid))
        other = await made.run()
        assert {view.uuid for view in await domains.list()} == {uuid, other}
        await domains.power_off(other)
        assert not ending.done()
        with pytest.raises(OperationFailed, match=rf"remove /run/libvirt/qemu/guest-{uuid}\.xml"):
            await ending

        await asyncio.to_thread(libvirtd.kill)
        notes(libvirtd, uuid).unlink()
        await asyncio.to_thread(libvirtd.start)
        await domains.power_off(uuid)
        assert (await made.power(uuid))[0] is PowerState.SHUTDOWN
        await domains.undefine(uuid)
