"""A fake world on a disk that is full: `python -m tests.integration.fake_full_disk DIR`.

Mounts a tmpfs of 1 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.errors import NoCapacity
from agent.hypervisor.fake import life
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.world import World
from agent.spec import DiskFormat, ImageDisk, ImageSource, InstanceSpec, PluggedDisk
from tests.integration.small_disk import fill_up, mount

GUEST = UUID(int=1)
LONG_AGO = 1.0


def guest() -> Domain:
    """One that has come up long ago, if anybody had looked."""
    image = ImageDisk(id="root", image=ImageSource(url="file:///image", format=DiskFormat.QCOW2))
    spec = InstanceSpec(uuid=GUEST, name="guest", vcpus=1, memory_mb=64, disks=(image,))
    backing = {"type": "file", "path": "/root", "format": DiskFormat.QCOW2}
    disk = PluggedDisk.model_validate({"id": "root", "bus": "virtio", "backing": backing})
    off = Domain(uuid=GUEST, name="guest", spec=spec, disks=(disk,))
    return life.started(off, LONG_AGO, life.Pace(), None).model_copy(update={"changes": ()})


def refused(work: Callable[[], object]) -> bool:
    with suppress(NoCapacity):
        work()
        return False
    return True


def main(root: Path) -> dict[str, Any]:
    mount(root, 1)
    world, ballast = World(root / "world"), root / "ballast"
    path = root / "world" / "domains" / f"{GUEST}.json"
    # As an agent left it that was killed in that moment.
    path.write_text(guest().model_dump_json())
    news = world.follow()
    fill_up(ballast)
    told: dict[str, Any] = {
        "seen when full": [str(uuid) for uuid in world.all()],
        "up when full": guest_is_up(world),
        "refused": refused(
            lambda: world.change(GUEST, lambda had, now: had and life.paused(had, now)),
        ),
        "told when full": len(news.more()),
    }
    ballast.unlink()
    told["up after"] = guest_is_up(world)
    told["state after"] = str(world.all()[GUEST].state)
    told["told after"] = [line.kind for line in news.more()]
    told["left half made"] = [part.name for part in (root / "world" / "domains").glob(".*")]
    return told


def guest_is_up(world: World) -> bool:
    found = world.get(GUEST)
    return found is not None and found.answers


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
