"""The port `Remains` on the fake world. It has no secrets; its taps say whose they are by their instance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from agent.errors import Unavailable
from agent.hypervisor.fake.world import World, taps_of
from agent.hypervisor.remains import Inventory, Kind, Still, Thing
from agent.hypervisor.storage import remains as directories


class FakeRemains:
    def __init__(self, state_dir: Path, host: str) -> None:
        self._world = World(state_dir / "world", host)
        self._instances_dir = state_dir / "instances"

    async def inventory(self) -> Inventory:
        if self._world.down:
            raise Unavailable("the fake hypervisor is down")
        files = tuple(directories.find(self._instances_dir))
        domains = self._world.all().values()
        guests = [domain.uuid for domain in domains if self._world.is_ours(domain)]
        disks = [disk for one in domains for disk in (*one.disks, *(one.live.disks if one.live else ()))]
        return Inventory(
            things=(
                *(Thing(kind=Kind.DOMAIN, id=str(uuid), instance=uuid) for uuid in guests),
                *files,
                *self._taps(),
            ),
            guests=frozenset(guests),
            paths=frozenset(disk.backing.path for disk in disks if disk.backing.type != "nbd"),
            taps=frozenset(tap for domain in domains for tap in taps_of(domain)),
        )

    def _taps(self) -> Iterator[Thing]:
        for path in sorted((self._world.root / "taps").iterdir()):
            instance = UUID(json.loads(path.read_text())["instance"])
            yield Thing(kind=Kind.TAP, id=path.name, instance=instance, path=path)

    async def remove(self, thing: Thing, still: Still) -> bool:
        if thing.kind in (Kind.DIRECTORY, Kind.FILE):
            return await directories.remove(thing, still)
        if not await still():
            return False
        if thing.kind is Kind.TAP:
            self._world.remove_tap(thing.id)
        else:
            self._world.change(thing.instance, lambda had, _: None if self._world.is_ours(had) else had)
        return True

    async def close(self) -> None:
        """Nothing is open."""
