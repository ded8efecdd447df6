"""qemu-img: the only place that knows its command line.

The format is always said, never probed: a guest can write any header into its raw disk.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

from agent.errors import InvalidRequest
from agent.hypervisor.storage.programs import Command, Limits, failure, must, run
from agent.spec import DiskFormat

CREATE = Limits(seconds=60)
CHECK = Limits(seconds=600, cpu_s=120)
OUT_OF_LIMITS = frozenset({-signal.SIGXCPU, -signal.SIGABRT, -signal.SIGTRAP, -signal.SIGSEGV})


async def create(path: Path, format: DiskFormat, size: int) -> None:
    """An empty disk of `size` bytes. Raises NoCapacity, OperationFailed."""
    await must(["qemu-img", "create", "-q", "-f", format, path, str(size)], CREATE, "creating the disk")


async def create_overlay(path: Path, backing: Path, backing_format: DiskFormat, size: int) -> None:
    """A qcow2 disk of `size` bytes that reads from `backing` whatever it hasn't itself. Raises NoCapacity,
    OperationFailed."""
    argv: Command = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        backing_format,
        "-b",
        backing,
        path,
        str(size),
    ]
    await must(argv, CREATE, "creating the overlay")


async def check(path: Path, field: str) -> None:
    """Whether a qcow2 image is whole: all that its tables point to lies within the file.

    Raises InvalidRequest about `field` for a damaged or truncated image.
    """
    argv: Command = ["qemu-img", "check", "-f", "qcow2", "--output=json", path]
    finished = await run(argv, CHECK)
    if finished.code == 3:  # clusters that nothing refers to: wasted, harmless
        return
    if finished.code in OUT_OF_LIMITS:
        raise InvalidRequest.field(field, "can't be checked within bounds", "send a sound image")
    if finished.code in {1, 2}:
        raise InvalidRequest.field(field, f"damaged: {_damage(finished.out)}", "send a whole image")
    if finished.code:
        raise failure(finished, "checking the image")


def _damage(out: bytes) -> str:
    try:
        report = json.loads(out)
    except ValueError:
        return "can't be opened"
    return f"{report.get('corruptions', 0)} wrong references, {report.get('check-errors', 0)} errors"
