"""File systems and swap space on raw disks, made without mounting anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.errors import InvalidRequest
from agent.hypervisor.storage.programs import Limits, must
from agent.spec import EphemeralDisk

MAKE = Limits(seconds=600, cpu_s=300)
SWAP_LABEL = "swap"

_COMMANDS: dict[str, Callable[[str, Path], list[str | Path]]] = {
    "ext4": lambda label, path: ["mkfs.ext4", "-q", "-F", "-L", label, path],
    "vfat": lambda label, path: ["mkfs.vfat", "-n", label, path],
}
LABEL_LENGTH = {"ext4": 16, "vfat": 11}


async def make_filesystem(path: Path, filesystem: str, label: str) -> None:
    """`none` leaves the disk empty. Raises NoCapacity, OperationFailed, Unsupported."""
    if filesystem != "none":
        await must(_COMMANDS[filesystem](label, path), MAKE, f"making the {filesystem} file system")


async def make_swap(path: Path) -> None:
    """Raises OperationFailed, Unsupported."""
    await must(["mkswap", "-q", "-L", SWAP_LABEL, path], MAKE, "making the swap space")


def check_label(disk: EphemeralDisk, field: str) -> None:
    """Raises InvalidRequest for a label the file system can't hold."""
    limit = LABEL_LENGTH.get(disk.filesystem)
    if limit is None:
        return
    if len(disk.label.encode()) > limit:
        raise InvalidRequest.field(field, f"longer than the {limit} bytes of {disk.filesystem}", "shorten it")
    if not disk.label.isprintable() or disk.label.startswith("-"):
        raise InvalidRequest.field(field, "not a label", "use letters, digits, '_' and '-'")
