"""Ports, directories and mounts that belong to one run only."""

import hashlib
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Below the range the kernel takes outgoing ports from (32768 on), so that no connection grabs a port between
# the moment it was found free and the moment its daemon listens.
PORTS = range(20_000, 32_000)

PARENT = Path("/var/tmp")
PREFIX = "rig-"
LEFT_FOR_S = 600.0

# A generator of our own: tests may seed the global one, and two runs must not choose alike.
_choice = random.SystemRandom()


def free_port() -> int:
    """A loopback port nobody listens on."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """So many, each another one."""
    found: list[int] = []
    for port in _choice.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} ports of {PORTS} are free")


def tag(directory: Path) -> str:
    """Eight letters that stand for a directory: what is named after it in the kernel's one room for all."""
    return hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]


@contextmanager
def rig_directory() -> Iterator[Path]:
    """An empty directory for a rig, removed afterwards.

    Not pytest's tmp_path: that one is closed to other users, so QEMU, which runs as libvirt-qemu, couldn't reach
    disks in it, and its long names leave no room for the addresses of unix sockets.
    """
    sweep()
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(parent: Path = PARENT, left_for_s: float = LEFT_FOR_S) -> list[Path]:
    """Remove the directories of rigs whose runs were killed: nothing in them has changed hands for a while, and no
    process uses them. Returns them."""
    oldest = time.time() - left_for_s
    left = [path for path in parent.glob(f"{PREFIX}*") if path.is_dir() and path.stat().st_mtime < oldest]
    used = set(_in_use(left))
    gone = [path for path in left if path not in used]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return gone


def _in_use(paths: list[Path]) -> Iterator[Path]:
    """Those that a process names, stands in, holds open or has mounts in."""
    if not paths:
        return
    for process in Path("/proc").glob("[0-9]*"):
        words = "\0".join(_words(process))
        yield from (path for path in paths if str(path) in words)


def _words(process: Path) -> Iterator[str]:
    """Whatever could name a file; nothing of a process that has ended."""
    for name in ("cmdline", "environ", "mountinfo"):
        with suppress(OSError):
            yield (process / name).read_bytes().decode(errors="replace")
    with suppress(OSError):
        for link in (process / "cwd", *(process / "fd").iterdir()):
            with suppress(OSError):
                yield str(link.readlink())


def own_mounts() -> list[str]:
    """How a command line begins that runs the rest in a mount namespace of its own.

    Its mounts aren't handed on to other namespaces. Only in a chroot, whose root is no mount point that could be
    told so, it is as whoever made the chroot has set it.
    """
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    at_root = any(mount.split()[4] == "/" for mount in mounts)
    return ["unshare", "--mount", "--propagation", "private" if at_root else "unchanged"]
