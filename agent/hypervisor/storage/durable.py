"""Files that are either whole or not there, whenever the power fails.

A file is made under its part's name, then published: written through to the disk, renamed, and the
directory written through, so that a name that can be seen always stands for finished content.
"""

from __future__ import annotations

import os
from pathlib import Path


def part_of(path: Path) -> Path:
    """Where `path` is made before it is published."""
    return path.with_name(path.name + ".part")


def publish(part: Path, path: Path, mode: int) -> None:
    """Give a finished part its name. Blocking."""
    part.chmod(mode)
    sync(part)
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Write a file's content, or a directory's names, through to the disk. Blocking."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, mode: int) -> None:
    """Make a directory whose mode doesn't depend on the umask; one that is there gets the mode. Blocking.

    Raises FileExistsError when something else, a link too, has the name.
    """
    if path.is_symlink():
        raise FileExistsError(f"{path} is a link")
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    sync(path.parent)
