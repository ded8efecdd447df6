"""A part of each control group hierarchy that belongs to one private libvirtd.

libvirt files a guest under /machine/qemu-<id>-<name>; two daemons would choose the same place for two guests and
the one that ends first would take the other's away. So in the daemon's mount namespace a directory of its own is
bound over the root of each hierarchy.

That works with version 1 hierarchies. Where there is only version 2, whose controllers must be handed down from
the root by whoever owns it, libvirt is told to leave control groups alone instead.
"""

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio")

# A new cpuset holds no processor and no memory node, and then takes no process.
INHERITED = ("cpuset.cpus", "cpuset.mems")


def make(name: str) -> dict[Path, Path]:
    """Directories called `name` in each hierarchy: {the root that libvirt sees: what to bind there}."""
    made: dict[Path, Path] = {}
    if (ROOT / "cgroup.controllers").exists():
        return made
    for controller in CONTROLLERS:
        parent = ROOT / controller
        if not (parent / "cgroup.procs").exists():
            continue
        own = parent / name
        try:
            own.mkdir(exist_ok=True)
            for file in INHERITED:
                if (parent / file).exists():
                    (own / file).write_text((parent / file).read_text())
        except OSError:  # read-only in many containers
            continue
        made[parent] = own
    return made


def remove(name: str) -> None:
    """Removes what `make` made, once all processes in it have ended."""
    for controller in CONTROLLERS:
        own = ROOT / controller / name
        below = (path for path in own.rglob("*") if path.is_dir())
        # A directory here has files that can't be removed, but rmdir takes it all the same when it has no
        # processes; the deepest first.
        for path in [*sorted(below, reverse=True), own]:
            with contextlib.suppress(OSError):
                path.rmdir()
