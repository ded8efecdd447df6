"""The fake world on disk: what a hypervisor's daemon would keep. It outlives the agent.

    <state_dir>/world/
        lock             held for the moment of a look or a change, by whoever makes it; holds their number
        host.json        how big the host is and how fast its guests are; yours to edit
        faults.json      what shall go wrong (see `faults`)
        down             while this file is there, the hypervisor can't be reached
        log              what happened (see `log`)
        domains/<uuid>.json
        taps/<name>      one for each bridge or network interface of a guest that is active
        volumes/<id>.json    volumes connected to this host

Everybody may change it, from any process: drivers, and whoever has `control.FakeWorld`. Domains change
under the lock, each in one piece, and each change is told to `log` and counted in `lock`: who finds the number
that he left there still knows every domain, and needn't read the files again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from agent.errors import NoCapacity
from agent.hypervisor import targets
from agent.hypervisor.fake import life
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.log import Follower, Line, append
from agent.hypervisor.owners import is_ours
from agent.spec import AnyInterface, PowerState

PAGE = 4096
DIGITS = 20


class HostConfig(life.Pace):
    """`host.json`. Sizes in MiB, times in seconds; lists of names that exist, or null: every name does."""

    vcpus: int = 64
    memory_mb: int = 262_144
    disk_mb: int = 2_097_152
    cpu_model: str = "Fake-v1"
    bridges: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None


@dataclass
class Known:
    """The domains at a number of the world's changes. `all`: one that isn't here isn't there; `due`: those who are
    about to do something."""

    number: int = -1
    domains: dict[UUID, Domain] = field(default_factory=dict)
    due: set[UUID] = field(default_factory=set)
    all: bool = False

    def keep(self, uuid: UUID, domain: Domain | None) -> None:
        self.due.discard(uuid)
        if domain is None:
            self.domains.pop(uuid, None)
            return
        self.domains[uuid] = domain
        if domain.due:
            self.due.add(uuid)


class World:
    """The directory `root`, made when it isn't there. Small synchronous file work, safe between processes.

    `owner`: the host whose agent looks; empty for hands that are no agent's.
    """

    def __init__(self, root: Path, owner: str = "") -> None:
        self.root = root
        self.owner = owner
        self.on_change: Callable[[], None] = lambda: None
        for name in ("domains", "taps", "volumes"):
            (root / name).mkdir(parents=True, exist_ok=True)
        if not (root / "host.json").exists():
            write(root / "host.json", HostConfig().model_dump_json(indent=2))
        self._down = str(root / "down")
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        weakref.finalize(self, os.close, self._lock)
        self._known = Known()
        self._host = b"", HostConfig()
        with self.locked():
            self._write_number()  # so that it has its room, however full the disk gets

    @property
    def host(self) -> HostConfig:
        text = (self.root / "host.json").read_bytes()
        if text != self._host[0]:
            self._host = text, HostConfig.model_validate_json(text)
        return self._host[1]

    @property
    def down(self) -> bool:
        return os.path.exists(self._down)

    def is_ours(self, domain: Domain | None) -> bool:
        return domain is not None and domain.spec is not None and is_ours(domain.host, self.owner)

    def follow(self) -> Follower:
        """What happens from now on."""
        return Follower(self.root / "log")

    def fall(self) -> None:
        """The daemon dies; `rise` brings it back."""
        with self.locked():
            (self.root / "down").touch()
            append(self.root / "log", [Line(kind="fell", at=datetime.now(UTC))])
        self.on_change()

    def rise(self) -> None:
        (self.root / "down").unlink(missing_ok=True)
        self.on_change()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the world, among processes too. Never awaited in, never nested."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            number = int(os.pread(self._lock, DIGITS, 0) or 0)
            if number != self._known.number:
                self._known = Known(number)
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def all(self) -> dict[UUID, Domain]:
        """Every domain as it is now, foreign ones too."""
        with self.locked():
            self._settle()
            return dict(self._known.domains)

    def get(self, uuid: UUID) -> Domain | None:
        with self.locked():
            return self._get(uuid)

    def change(self, uuid: UUID, change: Callable[[Domain | None, float], Domain | None]) -> Domain | None:
        """Replace a domain by what `change(domain, now)` returns; None removes it. May raise: nothing is
        changed then. Returns the domain as it is after."""
        with self.locked():
            before = self._get(uuid)
            after = self._put(uuid, before, change(before, time.time()))
        if after is not before:
            self.on_change()
        return after

    def settle(self) -> float | None:
        """Make everything happen that is due; the clock of `time.time` at which the next thing is."""
        with self.locked():
            self._settle()
            waiting = (self._known.domains[uuid] for uuid in self._known.due)
            ours = (d for d in waiting if d.spec is not None and d.state is PowerState.RUNNING)
            return min((due.at for d in ours for due in d.due), default=None)

    def _settle(self) -> None:
        if not self._known.all:
            for name in [path.stem for path in (self.root / "domains").glob("*.json")]:
                self._get(UUID(name))
            self._known.all = True
        for uuid in tuple(self._known.due):
            self._get(uuid)

    def _get(self, uuid: UUID) -> Domain | None:
        stored = self._known.domains.get(uuid)
        if stored is None:
            stored = self._read(uuid)
        if stored is None or not stored.due:
            return stored
        try:
            return self._put(uuid, stored, life.settled(stored, time.time(), self.host))
        except NoCapacity:
            return stored  # on a full disk it stands still, and whoever looks at it isn't told of that

    def _read(self, uuid: UUID) -> Domain | None:
        if self._known.all:
            return None
        try:
            stored = Domain.model_validate_json(self._path(uuid).read_bytes())
        except FileNotFoundError:
            return None
        self._known.keep(uuid, stored)
        return stored

    def _put(self, uuid: UUID, before: Domain | None, after: Domain | None) -> Domain | None:
        if after is before or after == before:
            return before
        if after is not None and not after.persistent and after.live is None:
            lines, after = _lines(before, after), None
            lines += _lines(before, None)
        else:
            lines = _lines(before, after)
        after = after and after.model_copy(update={"changes": ()})
        self._plug(taps_of(before), taps_of(after), uuid)
        self._count()
        self._known.keep(uuid, self._write(uuid, before, after, lines))
        self._unplug(taps_of(before), taps_of(after))
        return self._known.domains.get(uuid)

    def _count(self) -> None:
        """Before the change itself: whoever is killed in it leaves a number that nobody knows."""
        self._known.number += 1
        self._write_number()

    def _write_number(self) -> None:
        os.pwrite(self._lock, b"%0*d" % (DIGITS, self._known.number), 0)

    def _write(self, uuid: UUID, before: Domain | None, after: Domain | None, lines: list[Line]) -> Domain | None:
        """As it can be read back: secrets of a new spec are masked in the file. On a full disk it is neither told
        nor done."""
        if after is None:
            self._tell(lines)
            self._path(uuid).unlink(missing_ok=True)
            return None
        text = after.model_dump_json()
        if before is None or before.spec is not after.spec:
            after = Domain.model_validate_json(text)
        with overwritten(self._path(uuid), text):
            self._tell(lines)
        return after

    def _tell(self, lines: list[Line]) -> None:
        with taking_room(self.root / "log"):
            append(self.root / "log", lines)

    def _unplug(self, before: dict[str, str], after: dict[str, str]) -> None:
        for gone in before.keys() - after.keys():
            self.remove_tap(gone)

    def _plug(self, before: dict[str, str], after: dict[str, str], uuid: UUID) -> None:
        for new in after.keys() - before.keys():
            self.make_tap(new, uuid, after[new])

    def make_tap(self, name: str, uuid: UUID, bridge: str) -> None:
        write(self.root / "taps" / name, json.dumps({"instance": str(uuid), "bridge": bridge}))

    def remove_tap(self, name: str) -> None:
        (self.root / "taps" / name).unlink(missing_ok=True)

    def _path(self, uuid: UUID) -> Path:
        return self.root / "domains" / f"{uuid}.json"


def tap_name(interface: AnyInterface) -> str | None:
    """The host's device of an interface; None for type user."""
    return None if interface.type == "user" else targets.tap_name(interface.port_id)


def bridge_of(interface: AnyInterface) -> str | None:
    """The bridge or network it is in."""
    match interface.type:
        case "bridge":
            return interface.bridge
        case "network":
            return interface.network
        case _:
            return None


def taps_of(domain: Domain | None) -> dict[str, str]:
    if domain is None or domain.live is None or not domain.active:
        return {}
    plugged = ((tap_name(i), bridge_of(i)) for i in domain.live.interfaces)
    return {tap: bridge for tap, bridge in plugged if tap and bridge}


def _lines(before: Domain | None, after: Domain | None) -> list[Line]:
    """What to tell of a change. Domains that are no agent's are no news."""
    known = after or before
    if known is None or known.spec is None:
        return []
    if after is None:
        return [Line(kind="gone", at=datetime.now(UTC), uuid=known.uuid, host=known.host)]
    told = [Line(kind="power", uuid=after.uuid, host=after.host, **dict(change)) for change in after.changes]
    return told or [Line(kind="touched", at=datetime.now(UTC), uuid=after.uuid, host=after.host)]


def write(path: Path, text: str) -> None:
    """Whole or not at all, whatever kills this process. Raises NoCapacity."""
    with written(path, text):
        pass


@contextmanager
def written(path: Path, text: str) -> Iterator[None]:
    """There is room for it, and it takes its place when all inside was done. Raises NoCapacity."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with taking_room(path):
            part.write_text(text)
        yield
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def overwritten(path: Path, text: str) -> Iterator[None]:
    """`written`, many times cheaper, for what is only read under the lock. One write within a page isn't divided
    by a kill, and the page is there; there may be line ends behind the text."""
    new, had = text.encode(), 0
    with suppress(FileNotFoundError):
        had = path.stat().st_size
    if not had or max(had, len(new)) > PAGE:
        with written(path, text):
            yield
        return
    yield
    with path.open("r+b", buffering=0) as file, taking_room(path):
        file.write(new.ljust(had, b"\n"))


@contextmanager
def taking_room(path: Path) -> Iterator[None]:
    """A full disk of the real host is one of the make-believe host too: NoCapacity."""
    try:
        yield
    except OSError as failure:
        if failure.errno == errno.ENOSPC:
            raise NoCapacity(f"there is no room for {path}") from failure
        raise
