"""Disks for guests."""

import functools
from pathlib import Path

from tests.rig.processes import run

BUILD = Path(__file__).parents[2] / "scripts" / "build-guest-image"
CACHE = Path("/var/cache/compute-agent-build")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@functools.cache
def guest_image() -> Path:
    """The test guest, built at most once on a box for each version of its recipe (scripts/guest/README.md).

    Shared by all who ask, and read-only by custom: boot an `overlay` of it. Two that ask at once wait for one
    build, as the script holds a lock.
    """
    # Not $XDG_CACHE_HOME, which the script would honour: a home directory is closed to QEMU's user.
    path = run(str(BUILD), "--print-path", env={"PATH": PATH, "XDG_CACHE_HOME": str(CACHE.parent)}, timeout=600)
    return Path(path.strip())


def overlay(path: Path, backing: Path, size: str | None = None) -> Path:
    """A new qcow2 at `path` that holds what is written, over `backing`."""
    sizes = [size] if size else []
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing), "-F", "qcow2", str(path), *sizes)
    return path


def blank(path: Path, size: str, image_format: str = "raw") -> Path:
    run("qemu-img", "create", "-q", "-f", image_format, str(path), size)
    return path
