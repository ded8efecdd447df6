"""What happened in a fake world, in order: `world/log`, one JSON line for each change.

`world` writes it, under its lock; `watch` follows it, in as many processes as there are agents. Whoever
follows loses nothing, however rarely he looks: when the file is full another takes its place, and the
follower reads the old one, which he holds open, to its end first.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal
from uuid import UUID

from agent.spec import Frozen, PowerState

FULL_BYTES = 256 * 1024


class Line(Frozen):
    """`power`: an agent's guest changed its state. `gone`: one was removed. `touched`: anything else about
    one. `fell`: the hypervisor's daemon died. `host`: the one that the guest names."""

    kind: Literal["power", "gone", "touched", "fell"]
    at: datetime
    uuid: UUID | None = None
    host: str | None = None
    state: PowerState = PowerState.UNKNOWN
    reason: str = ""


def append(path: Path, lines: Iterable[Line]) -> None:
    """To be called by one at a time."""
    text = "".join(line.model_dump_json() + "\n" for line in lines).encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(file).st_size
        if os.write(file, text) < len(text):
            # A line that ends in the middle would spoil the next one.
            os.ftruncate(file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        full = size + len(text) > FULL_BYTES
    finally:
        os.close(file)
    if full:
        fresh = path.with_suffix(".new")
        fresh.touch()
        fresh.replace(path)


class Follower:
    """Reads on from the end of what is there when it is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._file = self._open()
        self._file.seek(0, os.SEEK_END)
        self._cut = b""

    def more(self) -> list[Line]:
        """What was written since it was last asked."""
        lines = self._rest()
        if os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino:
            lines += self._rest()  # written between the two looks
            self._file.close()
            self._file = self._open()
            lines += self._rest()
        return lines

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        return self._path.open("rb", buffering=0)

    def _rest(self) -> list[Line]:
        *whole, self._cut = (self._cut + (self._file.read() or b"")).split(b"\n")
        return [Line.model_validate_json(line) for line in whole]
