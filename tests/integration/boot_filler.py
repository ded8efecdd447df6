"""Another boot of the host, found on a full disk: `python -m tests.integration.boot_filler DIR`.

Mounts a tmpfs of 4 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.errors import Unavailable
from agent.hypervisor.fake.control import FakeWorld
from agent.journal import Journal
from agent.journal.records import NewEvent
from agent.service import Service
from agent.settings import Hypervisor, Settings
from agent.spec import PowerState
from tests.integration.small_disk import fill_up, mount
from tests.integration.test_after_boot import agent, other_boot, settings, spawn, until
from tests.integration.test_service import begun, ended


class FullOnceOpen(Service):
    """The last room is taken right after its journal was opened."""

    def __init__(self, settings: Settings, ballast: Path) -> None:
        super().__init__(settings)
        self._ballast = ballast

    async def _open_journal(self) -> Journal:
        journal = await super()._open_journal()
        fill_up(self._ballast)
        # What has room already, in the files that are there, is taken too.
        with suppress(Unavailable):
            while True:
                await journal.append([NewEvent(type="compute.host.filled", subject=None, data={})])
        return journal


async def main(directory: Path) -> dict[str, Any]:
    mount(directory, 4)
    asked = settings(directory, Hypervisor(driver="fake"))
    async with agent(asked) as service:
        uuid = await spawn(service)
    FakeWorld(directory / "state").destroy(uuid)
    other_boot(directory)
    ballast = directory / "ballast"
    service = FullOnceOpen(asked, ballast)
    running = await begun(service)
    told = {"the boot can't be noted": await service.journal.last_boot() == "of a boot before"}
    ballast.unlink()
    async with asyncio.timeout(60):  # an agent that has died never gets there
        await service.power.resynced.wait()
    await until(service.power, uuid, PowerState.RUNNING)
    told["the guest is started when there is room"] = True
    service.stop()
    told["ends well"] = await ended(running) is None
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
