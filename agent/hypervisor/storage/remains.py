"""Instances' directories as things: found, and removed when nobody wants them. Blocking, but for `remove`.

    <instances>/<uuid>/                a directory
    <instances>/<uuid>/<name>.part     a file, half made
    <instances>/.gone-<uuid>/          a directory on its way out

Everything else is somebody else's, links too: it is neither shown nor touched.

A directory is renamed before it is looked at for the last time. So an agent that runs, and was asked for an
instance of this uuid in the meantime, loses nothing: it makes a directory of its own, or gets this one back.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from agent.hypervisor.remains import Kind, Still, Thing
from agent.hypervisor.storage.blocking import in_thread
from agent.hypervisor.storage.durable import part_of
from agent.hypervisor.storage.faults import faults_as_errors

GONE = ".gone-"
PART = part_of(Path("x")).suffix


def find(instances_dir: Path) -> Iterator[Thing]:
    """Raises OSError when the directory can't be read; one that isn't there holds nothing."""
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(instances_dir.iterdir()):
            uuid = _uuid(path.name.removeprefix(GONE))
            if uuid is None or path.is_symlink() or not path.is_dir():
                continue
            yield Thing(kind=Kind.DIRECTORY, id=path.name, instance=uuid, path=path)
            yield from _parts(path, uuid)


def _parts(directory: Path, uuid: UUID) -> Iterator[Thing]:
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(directory.glob(f"*{PART}")):
            if path.is_file() and not path.is_symlink():
                yield Thing(kind=Kind.FILE, id=f"{directory.name}/{path.name}", instance=uuid, path=path)


def _uuid(name: str) -> UUID | None:
    try:
        uuid = UUID(name)
    except ValueError:
        return None
    return uuid if str(uuid) == name else None


async def remove(thing: Thing, still: Still) -> bool:
    """A thing that `find` found. Raises what `storage.faults` makes of an OSError."""
    path = thing.path
    if path is None:
        return False
    with faults_as_errors(f"removing {path}"):
        if thing.kind is Kind.FILE:
            if await still():
                await in_thread(path.unlink, missing_ok=True)
                return True
            return False
        return await _remove_directory(path, thing.instance, still)


async def _remove_directory(path: Path, uuid: UUID, still: Still) -> bool:
    aside = path.with_name(f"{GONE}{uuid}")
    if path != aside:
        if aside.exists():  # of an earlier doctor that was killed
            await in_thread(shutil.rmtree, aside)
        path.rename(aside)
        if not await still():
            await in_thread(_give_back, aside, path)
            return False
    await in_thread(shutil.rmtree, aside)  # by file descriptors: a link put in its way isn't followed
    return True


def _give_back(aside: Path, path: Path) -> None:
    """Unless there is a new one: then this one is nobody's any more, and the next look finds it."""
    with contextlib.suppress(OSError):
        path.rmdir()  # made anew, and still empty
    if not path.exists():
        aside.rename(path)
