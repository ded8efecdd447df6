"""Runs story.py, restarts the broker when it says so, and waits for its end."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.oslo.library import PYTHON
from tests.rig.broker import Broker

STORY = Path(__file__).with_name("story.py")
LONGEST_S = 280


async def tell(
    broker: Broker,
    exchange: str,
    host: str,
    guest: dict[str, Any],
    volume: dict[str, Any],
    log: Path,
    **options: str,
) -> list[str]:
    """The lines that the story printed. Raises AssertionError when it didn't come to its end."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    url = broker.url.replace("amqp://", "rabbit://", 1) + (f"?{query}" if query else "")
    with log.open("ab") as errors:
        story = await asyncio.create_subprocess_exec(
            PYTHON,
            str(STORY),
            *(url, exchange, host, json.dumps(guest), json.dumps(volume)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    try:
        async with asyncio.timeout(LONGEST_S):
            lines = await _listen(story, broker)
            status = await story.wait()
    finally:
        if story.returncode is None:
            story.kill()
            await story.wait()
    assert status == 0, f"after {lines}:\n{log.read_text()[-4000:]}"
    return lines


async def _listen(story: asyncio.subprocess.Process, broker: Broker) -> list[str]:
    assert story.stdout is not None
    assert story.stdin is not None
    lines: list[str] = []
    async for line in story.stdout:
        lines.append(line.decode().strip())
        if lines[-1] == "RESTART":
            story.stdin.write(b"\n")
            await story.stdin.drain()
            await asyncio.to_thread(broker.restart)
    return lines
