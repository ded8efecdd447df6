"""Room where the agent writes: bytes above the reserve, and inodes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.finding import CantCheck, Finding, Findings, broken, ok, warning
from agent.hypervisor.storage.blocking import look
from agent.hypervisor.storage.capacity import MIB
from agent.settings import Settings

FEW_INODES = 10_000
LITTLE = 0.05
"""Of the file system."""


@dataclass(frozen=True, slots=True)
class Room:
    """`inodes` is None where the file system doesn't count them."""

    free_mb: int
    total_mb: int
    inodes: int | None


async def check(settings: Settings) -> Findings:
    path = settings.state_dir
    try:
        room = await look(lambda: measure(path), f"looking at {path}")
    except FileNotFoundError as error:
        raise CantCheck(f"{path} isn't there", "start the agent: it makes it") from error
    return judge(path, room, settings.storage.reserve_mb)


def measure(path: Path) -> Room:
    """Blocking."""
    stat = os.statvfs(path)
    return Room(
        free_mb=stat.f_bavail * stat.f_frsize // MIB,
        total_mb=stat.f_blocks * stat.f_frsize // MIB,
        inodes=stat.f_favail if stat.f_files else None,
    )


def judge(path: Path, room: Room, reserve_mb: int) -> list[Finding]:
    """Pure."""
    found: list[Finding] = []
    free = f"{room.free_mb} of {room.total_mb} MiB free at {path}"
    mend = "remove what nobody needs there: orphans, images; or give it a larger file system"
    if room.free_mb <= reserve_mb:
        found.append(broken(f"{free}, no more than the reserve of {reserve_mb}: no disk can be made", mend))
    elif room.free_mb - reserve_mb < LITTLE * room.total_mb:
        found.append(warning(f"{free}, of which {reserve_mb} are the reserve", mend))
    if room.inodes is not None and room.inodes < FEW_INODES:
        say = broken if room.inodes == 0 else warning
        found.append(say(f"{room.inodes} inodes left at {path}", mend))
    return found or [ok(free)]
