"""What happens to libvirtd and to real guests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from uuid import UUID

from tests.chaos.ground import Side
from tests.chaos.hosts import LibvirtHost
from tests.rig import Libvirtd


async def kill_libvirtd(side: Side, rng: random.Random) -> None:
    await asyncio.to_thread(libvirtd(side).kill)
    await asyncio.sleep(rng.random())
    await asyncio.to_thread(libvirtd(side).start)


async def freeze_libvirtd(side: Side, rng: random.Random) -> None:
    libvirtd(side).freeze()
    try:
        await asyncio.sleep(rng.uniform(0.5, 5))
    finally:
        libvirtd(side).thaw()


async def kill_qemu(side: Side, rng: random.Random) -> None:
    if (pid := _some_guest(side, rng)) is not None:
        kill(pid)


async def freeze_qemu(side: Side, rng: random.Random) -> None:
    if (pid := _some_guest(side, rng)) is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(rng.uniform(0.5, 4))
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        side.teller.tell("  it was destroyed meanwhile")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def guests(side: Side) -> dict[str, int]:
    """The QEMU process of each guest of ours, by uuid."""
    assert isinstance(side.host, LibvirtHost)
    return {str(UUID(uuid)): pid for uuid, pid in side.host.guests().items()}


def libvirtd(side: Side) -> Libvirtd:
    assert isinstance(side.host, LibvirtHost)
    return side.host.libvirtd


def _some_guest(side: Side, rng: random.Random) -> int | None:
    there = sorted(guests(side).items())
    if not there:
        return None
    uuid, pid = rng.choice(there)
    side.disturbed.add(uuid)
    side.teller.tell(f"  guest {uuid}, process {pid}")
    return pid
