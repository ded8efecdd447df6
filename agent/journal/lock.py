"""One agent per host name and state directory.

`service` takes this before it opens the journal and holds it until it has closed it. A lock of the kernel's
(flock) goes with its process, so a killed agent leaves nothing that a person would have to remove.
"""

from __future__ import annotations

import fcntl
import os
import platform
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
    """The pid of the agent that has the directory; None when none has. Only looks: to try the lock, if only for
    a moment, could keep an agent from starting."""
    path = state_dir / "lock"
    try:
        inode, written = path.stat().st_ino, path.read_text().split()
        locks = Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return None
    taken = any(f":{inode} " in line and " FLOCK " in line for line in locks)
    return int(written[0]) if taken and written and written[0].isdigit() else None
