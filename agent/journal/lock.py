"""One agent per host name and state directory.

`service` takes this before it opens the journal and holds it until it has closed it. A lock of the kernel's
(flock) goes with its process, so a killed agent leaves nothing that a person would have to remove.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from agent.journal.refusal import StartRefused


class StateDirLock:
    """Held between `acquire` and `release`, or inside `with`. Makes the state directory when it is absent.

    The file holds the holder's pid and `host`, for the one who comes second and for people.
    """

    def __init__(self, state_dir: Path, host: str | None = None) -> None:
        self._dir = state_dir
        self._host = host or platform.node()
        self._fd: int | None = None

    @property
    def path(self) -> Path:
        return self._dir / "lock"

    def acquire(self) -> None:
        """Raises StartRefused naming the pid that holds it, or what is wrong with the directory."""
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as failure:
            raise StartRefused(
                f"state_dir {self._dir} can't be used: {failure.strerror}; "
                "make it a directory that belongs to the agent's user, or set another state_dir"
            ) from failure
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 1024, 0).decode(errors="replace").split()
            os.close(fd)
            raise StartRefused(self._taken(holder)) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {self._host}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let another agent in. The file stays: removing it would let two agents lock two files."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> StateDirLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _taken(self, holder: list[str]) -> str:
        pid, host = (*holder, "?", "?")[:2]
        return (
            f"another agent (pid {pid}, host {host}) uses {self._dir}: "
            "one agent per host name and state directory; stop it, or set another host and state_dir"
        )


def holder(state_dir: Path) -> int | None:
    """The pid of the agent that has the directory, 0 when it can't be told; None when none has. Only looks: to try
    the lock, if only for a moment, could keep an agent from starting."""
    path = state_dir / "lock"
    try:
        about, locks = path.stat(), Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return None
    written = _written(path)
    pids = {int(pid) for pid, where in _flocks(locks) if _is(where, about, int(pid) == written)}
    return None if not pids else next((pid for pid in pids if pid > 0), written or 0)


def _flocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """pid and device:inode of each, from lines such as `1: FLOCK  ADVISORY  WRITE 812 fd:00:1234 0 EOF`. Who waits
    for one has `->` behind the number."""
    for line in lines:
        words = line.split()
        if words[1] == "FLOCK":
            yield words[4], words[5]


def _is(where: str, about: os.stat_result, sure: bool) -> bool:
    """The device in /proc/locks isn't always that of stat (btrfs, overlayfs): then the pid decides."""
    device, _, inode = where.rpartition(":")
    if int(inode) != about.st_ino:
        return False
    return sure or device == f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}"


def _written(path: Path) -> int | None:
    """The pid in the file, which is the last holder's; None when it can't be read."""
    try:
        first = path.read_text().split()[:1]
    except PermissionError:
        return None
    return int(first[0]) if first and first[0].isdigit() else None
