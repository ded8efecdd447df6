"""What a full disk does to each thing that is made.

    python -m tests.integration.storage_full_disk DIR IMAGE CHECKSUM

Mounts a tmpfs of 8 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from agent.hypervisor.storage.disks import DiskOptions, LocalDisks
from agent.hypervisor.storage.filesystems import make_filesystem
from agent.spec import ImageSource
from tests.integration.small_disk import fill_up, mount
from tests.integration.storage_ground import MIB, NO_WAIT, serving, silent
from tests.unit.hypervisor.storage.specs import spec


async def code_of(work: Coroutine[Any, Any, None]) -> str:
    try:
        await work
    except AgentError as error:
        return error.code
    return "done"


async def main(root: Path, image: Path, checksum: str) -> None:
    mount(root, 8)
    options = DiskOptions(allowed_directories=(image.parent,), bounds=NO_WAIT)
    disks = LocalDisks.open(root / "state", options)
    asked = ImageSource.model_validate({"url": str(image), "format": "qcow2", "checksum": checksum})
    found: dict[str, Any] = {"fetch": await code_of(disks.fetch(asked, silent))}
    async with serving(image.read_bytes()) as server:
        server.length = False
        remote = asked.model_copy(update={"url": f"{server.url}/a"})
        found["fetch of unknown length"] = await code_of(disks.fetch(remote, silent))

    # A sparse file fits, what is then written into it doesn't.
    sparse = root / "sparse"
    with sparse.open("wb") as file:
        file.truncate(4 * MIB)
    instance = spec(config_drive={"files": [{"path": "/a", "content": "eHh4" * MIB}]})
    await disks.make_directory(instance.uuid)
    fill_up(root / "filler")
    found["filesystem"] = await code_of(make_filesystem(sparse, "ext4", "label"))
    # Room to begin, not to end.
    os.truncate(root / "filler", (root / "filler").stat().st_size - MIB - MIB // 8)
    found["config drive"] = await code_of(disks.create_config_drive(instance))
    home = root / "state" / "instances" / str(instance.uuid)
    found["left"] = [path.name for path in [*home.iterdir(), *(root / "state" / "image-cache").iterdir()]]
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
