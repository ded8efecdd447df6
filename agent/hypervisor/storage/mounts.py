"""Which file system a path lies on, by the kernel's table of mounts: the path itself may hang, and isn't touched.

Links aren't followed, as that would touch them: a name counts where it lies, not where it leads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks and backslashes in a mount point's name, proc(5)


class Mounts:
    """`table`: the lines of /proc/self/mountinfo."""

    def __init__(self, table: str) -> None:
        rows = (line.split(" ", 5) for line in table.splitlines())
        # What is mounted over something else comes after it.
        self._devices = {_unescaped(row[4]): row[2] for row in rows}

    @classmethod
    def read(cls) -> Mounts:
        return cls(TABLE.read_text())

    def file_system(self, path: Path) -> str:
        """`major:minor` of its device, the same for all mounts of one; empty for a path that isn't absolute."""
        here = Path(os.path.normpath(path))
        return next((self._devices[str(p)] for p in (here, *here.parents) if str(p) in self._devices), "")


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), name)
