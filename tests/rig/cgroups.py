"""A part of each control group hierarchy that belongs to one private libvirtd.

libvirt files a guest under /machine/qemu-<id>-<name>; two daemons would choose the same place for two guests and
the one that ends first would take the other's away. So in the daemon's mount namespace a directory of its own is
bound over the root of each hierarchy.

That works with version 1 hierarchies. Where there is only version 2, whose controllers must be handed down from
the root by whoever owns it, libvirt is told to leave control groups alone instead.
"""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

# The hierarchies of version 1, and the version 2 one that may stand beside them.
HIERARCHIES = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "unified")

# A new cpuset holds no processor and no memory node, and then takes no process.
INHERITED = ("cpuset.cpus", "cpuset.mems")


def make(name: str) -> dict[Path, Path]:
    """Directories called `name` in each hierarchy: {the root that libvirt sees: what to bind there}."""
    made: dict[Path, Path] = {}
    if (ROOT / "cgroup.controllers").exists():
        return made
    for hierarchy in HIERARCHIES:
        parent = ROOT / hierarchy
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


def remove(made: dict[Path, Path]) -> list[list[str]]:
    """Commands that take away what `make` made, for within the mount namespace, once all in it has ended."""
    commands: list[list[str]] = []
    for root, own in made.items():
        # What is bound over the root hides the directory itself. Its files can't be deleted, but the kernel
        # removes a group with them when no process is left in it.
        commands.append(["umount", str(root)])
        commands.append(["find", str(own), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"])
    return commands
