"""An agent that starts on a full disk: `python -m tests.integration.service_filler DIR`.

Mounts a tmpfs of 2 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agent.journal import StartRefused
from agent.service import Service
from tests.integration.small_disk import fill_up, mount
from tests.integration.test_service import begun, ended, settings


async def waits(service: Service) -> bool:
    """Whether it is still at the journal after a first try."""
    running = asyncio.create_task(service.run())
    await asyncio.wait({running}, timeout=1)
    waiting = not running.done() and not hasattr(service, "journal")
    service.stop()
    return waiting and isinstance(await ended(running), StartRefused)


async def main(directory: Path) -> dict[str, Any]:
    mount(directory, 2)
    # It has been here before, and closed its journal.
    first = Service(settings(directory))
    running = await begun(first)
    first.stop()
    await ended(running)
    ballast = directory / "ballast"
    fill_up(ballast)
    told: dict[str, Any] = {"waits until it is told to stop": await waits(Service(settings(directory)))}
    second = Service(settings(directory))
    starting = asyncio.create_task(begun(second))
    ballast.unlink()
    running = await starting
    told["starts when there is room"] = not running.done()
    second.stop()
    told["ends well"] = await ended(running) is None
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
