"""Cached images on disk: a directory for each, whole or not there.

    images/<name>/disk        the image, read-only
    images/<name>/about.json  {"virtual_size": bytes, "format": ..., "source": ...}; touched at each use
    images/.part-xxxx/        on its way in        } removed when the agent
    images/.gone-<name>/      on its way out       } starts

One rename publishes an image, one takes it away. Only `images` uses this, in threads; one agent at a time
owns the directory.

An image in use is never removed. Use is written down as a link `<disk>.base` in the instance's directory,
pointing to the image's directory here, made before the overlay and gone with the instance's directory. So it
holds whatever happens to the agent, costs one directory listing to read, and needs no second record that
could disagree. (A hard link to the image would do the same by itself, but libvirt gives backing files to the
user that QEMU runs as, and Linux forbids others to link to them then.)
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.hypervisor.storage import durable
from agent.spec import DiskFormat

PART, GONE, BASE = ".part-", ".gone-", ".base"
TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})


@dataclass(frozen=True, slots=True)
class About:
    """What was found when the image came in. `virtual_size` in bytes."""

    virtual_size: int
    format: DiskFormat
    source: str


@dataclass(frozen=True, slots=True)
class CachedImage:
    name: str
    path: Path
    about: About


@dataclass(frozen=True, slots=True)
class Kept:
    """An image as eviction sees it: bytes on disk, seconds since the epoch."""

    name: str
    size: int
    last_used: float
    in_use: bool


def victims(kept: Iterable[Kept], *, now: float, max_bytes: int, max_idle_s: float, coming: int = 0) -> list[str]:
    """Which images go: those unused for too long, then the longest unused until `max_bytes` holds, with
    `coming` bytes more on the way. Pure; never one in use."""
    images = list(kept)
    total = sum(image.size for image in images) + coming
    gone = []
    for image in sorted((i for i in images if not i.in_use), key=lambda i: (i.last_used, i.name)):
        if total > max_bytes or now - image.last_used > max_idle_s:
            gone.append(image.name)
            total -= image.size
    return gone


def list_directory(path: str | Path) -> list[os.DirEntry[str]]:
    """What is in a directory; nothing when it isn't there: instances come and go meanwhile."""
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


class Store:
    """All methods block."""

    def __init__(self, directory: Path, instances_dir: Path) -> None:
        self.directory = directory
        self._instances_dir = instances_dir

    def prepare(self) -> None:
        """Make the directory, clean away what a killed agent left half done."""
        durable.make_directory(self.directory, 0o755)
        for path in self.directory.iterdir():
            if path.name.startswith((PART, GONE)):
                shutil.rmtree(path)

    def find(self, name: str) -> CachedImage | None:
        """The image of that name, marked as used now; None when it isn't here."""
        about, disk = self.directory / name / "about.json", self.directory / name / "disk"
        if not (about.is_file() and disk.is_file()):
            return None
        facts = json.loads(about.read_bytes())
        os.utime(about)
        return CachedImage(name, disk, About(**facts | {"format": DiskFormat(facts["format"])}))

    def begin(self) -> Path:
        """A fresh directory to receive an image in."""
        return Path(tempfile.mkdtemp(prefix=PART, dir=self.directory))

    def publish(self, part: Path, name: str, about: About) -> CachedImage:
        """Give a received image (`part/disk`, written through) its name."""
        (part / "about.json").write_text(json.dumps(asdict(about)))
        (part / "disk").chmod(0o444)
        part.chmod(0o755)
        durable.sync(part / "about.json")
        durable.sync(part)
        try:
            part.rename(self.directory / name)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            self._replace_if_damaged(part, name)
        durable.sync(self.directory)
        return CachedImage(name, self.directory / name / "disk", about)

    def discard(self, part: Path) -> None:
        """Remove what was begun; nothing when it was published."""
        shutil.rmtree(part, ignore_errors=True)

    def remove(self, name: str) -> None:
        away = self.directory / (GONE + name)
        (self.directory / name).rename(away)
        shutil.rmtree(away)

    def kept(self) -> list[Kept]:
        """All images, in use or not. Raises OSError rather than to miss a use."""
        used = self._used()
        return [self._seen(path, used) for path in self.directory.iterdir() if not path.name.startswith(".")]

    def hold(self, instance_dir: Path, disk_id: str, image: CachedImage) -> None:
        """Write down, crash-safe, that a disk of an instance is based on an image."""
        link = instance_dir / f"{disk_id}{BASE}"
        part = durable.part_of(link)
        part.unlink(missing_ok=True)
        part.symlink_to(image.path.parent)
        part.replace(link)
        durable.sync(instance_dir)

    def _used(self) -> frozenset[str]:
        # Not glob: that passes silently over what it may not read.
        used = set()
        for instance in list_directory(self._instances_dir):
            if instance.is_dir(follow_symlinks=False):
                links = (entry for entry in list_directory(instance.path) if entry.name.endswith(BASE))
                used |= {Path(os.readlink(link.path)).name for link in links if link.is_symlink()}
        return frozenset(used)

    def _replace_if_damaged(self, part: Path, name: str) -> None:
        if self.find(name) is None:
            self.remove(name)
            part.rename(self.directory / name)

    def _seen(self, path: Path, used: frozenset[str]) -> Kept:
        try:
            last_used = (path / "about.json").stat().st_mtime
            size = (path / "disk").stat().st_blocks * 512
        except FileNotFoundError:  # not made by us, or damaged by hand: no use to anybody
            last_used, size = 0.0, 0
        return Kept(path.name, size, min(last_used, time.time()), path.name in used)
