"""Several agents in one process: `python -m tests.fleet.agents DIRECTORY HOST...`

Each is the whole service with its own name, state directory and connections; what they share is the interpreter,
so that hundreds fit on a small machine. Ends at SIGTERM.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path

import uvloop

from agent.daemon import COLLECTED
from agent.hypervisor.fake.world import HostConfig
from agent.logs import configure, secrets_in
from agent.service import Service
from agent.settings import Settings


async def serve(directory: Path, hosts: list[str]) -> None:
    services = [Service(_settings(directory, host)) for host in hosts]

    def stop() -> None:
        for service in services:
            service.stop()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    async with asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(service.run())


def _settings(directory: Path, host: str) -> Settings:
    """The broker is in the environment."""
    state_dir = directory / host
    world = state_dir / "world"
    world.mkdir(parents=True, exist_ok=True)
    (world / "host.json").write_text(HostConfig().model_dump_json())
    return Settings(host=host, state_dir=state_dir, hypervisor={"driver": "fake"})


def main() -> None:
    directory, hosts = Path(sys.argv[1]), sys.argv[2:]
    url = Settings().amqp.url.get_secret_value()
    configure("warning", "json", known_secrets=set(secrets_in(url)))
    gc.set_threshold(*COLLECTED)
    uvloop.run(serve(directory, hosts))


if __name__ == "__main__":
    main()
