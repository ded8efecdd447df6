"""The fake world on disk: what a hypervisor's daemon would keep. It outlives the agent.

    <state_dir>/world/
        lock             held for the moment of a change, by whoever makes it
        host.json        how big the host is and how fast its guests are; yours to edit
        faults.json      what shall go wrong (see `faults`)
        down             while this file is there, the hypervisor can't be reached
        log              what happened (see `log`)
        domains/<uuid>.json
        taps/<name>      one for each bridge or network interface of a guest that is active
        volumes/<id>.json    volumes connected to this host

Everybody may change it, from any process: drivers, and whoever has `control.FakeWorld`. Domains change
under the lock and by whole files renamed into place, and each change is told to `log`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from agent.errors import NoCapacity
from agent.hypervisor import targets
from agent.hypervisor.fake import life
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.log import Follower, Line, append
from agent.hypervisor.owners import is_ours
from agent.spec import AnyInterface


class HostConfig(life.Pace):
    """`host.json`. Sizes in MiB, times in seconds; lists of names that exist, or null: every name does."""

    vcpus: int = 64
    memory_mb: int = 262_144
    disk_mb: int = 2_097_152
    cpu_model: str = "Fake-v1"
    bridges: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None


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

    @property
    def host(self) -> HostConfig:
        return HostConfig.model_validate_json((self.root / "host.json").read_bytes())

    @property
    def down(self) -> bool:
        return (self.root / "down").exists()

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
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def all(self) -> dict[UUID, Domain]:
        """Every domain as it is now, foreign ones too."""
        with self.locked():
            return self._all()

    def get(self, uuid: UUID) -> Domain | None:
        with self.locked():
            return self._get(uuid)

    def change(self, uuid: UUID, change: Callable[[Domain | None, float], Domain | None]) -> Domain | None:
        """Replace a domain by what `change(domain, now)` returns; None removes it. May raise: nothing is
        changed then. Returns the domain as it is after."""
        with self.locked():
            before = self._get(uuid)
            after = self._put(uuid, before, change(before, time.time()))
        if after != before:
            self.on_change()
        return after

    def _all(self) -> dict[UUID, Domain]:
        names = [p.stem for p in (self.root / "domains").glob("*.json")]
        found = [self._get(UUID(name)) for name in names]
        return {d.uuid: d for d in found if d is not None}

    def _get(self, uuid: UUID) -> Domain | None:
        try:
            stored = Domain.model_validate_json(self._path(uuid).read_bytes())
        except FileNotFoundError:
            return None
        now = life.settled(stored, time.time(), self.host) if stored.due else stored
        return self._put(uuid, stored, now)

    def _put(self, uuid: UUID, before: Domain | None, after: Domain | None) -> Domain | None:
        if after is not None and not after.persistent and after.live is None:
            lines, after = _lines(before, after), None
            lines += _lines(before, None)
        else:
            lines = _lines(before, after)
        if after == before:
            return after
        self._plug(_taps(before), _taps(after), uuid)
        if after is None:
            self._path(uuid).unlink(missing_ok=True)
        else:
            after = after.model_copy(update={"changes": ()})
            write(self._path(uuid), after.model_dump_json())
        append(self.root / "log", lines)
        return after

    def _plug(self, before: dict[str, str], after: dict[str, str], uuid: UUID) -> None:
        for gone in before.keys() - after.keys():
            self.remove_tap(gone)
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


def _taps(domain: Domain | None) -> dict[str, str]:
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
    """Whole or not at all, whatever kills this process."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with taking_room(path):
            part.write_text(text)
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def taking_room(path: Path) -> Iterator[None]:
    """A full disk of the real host is one of the make-believe host too: NoCapacity."""
    try:
        yield
    except OSError as failure:
        if failure.errno == errno.ENOSPC:
            raise NoCapacity(f"there is no room for {path}") from failure
        raise
