"""The programs that disks are made with."""

from __future__ import annotations

import shutil

from agent.doctor.finding import Finding, Findings, broken, ok, warning
from agent.hypervisor.storage.programs import SEARCH_PATH
from agent.settings import Settings

NEEDED = {
    "qemu-img": ("every disk", "qemu-utils or qemu-img"),
    "mkswap": ("swap disks", "util-linux"),
    "mkfs.ext4": ("ephemeral disks with ext4", "e2fsprogs"),
    "mkfs.vfat": ("ephemeral disks with vfat", "dosfstools"),
}
"""Program -> what needs it, the package that has it."""


async def check(settings: Settings) -> Findings:
    if settings.hypervisor.driver == "fake":
        return [ok("not needed: the driver is fake")]
    return judge(SEARCH_PATH)


def judge(path: str) -> list[Finding]:
    """`path` as in PATH."""
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    return [_missing(name) for name in missing] or [ok(", ".join(NEEDED))]


def _missing(name: str) -> Finding:
    what, package = NEEDED[name]
    say = broken if name == "qemu-img" else warning
    return say(f"{name} isn't there: {what} can't be made", f"install {package}")
