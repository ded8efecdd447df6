"""What several stories need: arguments of a guest that boots, and waiting for what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from tests.e2e.plain import PlainClient
from tests.rig import Rig

BOOT_S = 180
"""Seconds a guest may take to boot: its CPU is emulated and the box busy."""


def bootable(rig: Rig, **fields: Any) -> dict[str, Any]:
    """Arguments of a spawn whose guest writes GUEST-READY."""
    image = {"url": rig.environment["RIG_GUEST_IMAGE"], "format": "qcow2"}
    return small(disks=[{"kind": "image", "image": image}], memory_mb=128, **fields)


def small(**fields: Any) -> dict[str, Any]:
    """Arguments of a spawn whose guest has nothing to boot."""
    uuid = str(uuid4())
    return {"instance": {"uuid": uuid, "name": f"vm-{uuid[:8]}", "vcpus": 1, "memory_mb": 32, **fields}}


def uuid_of(args: dict[str, Any]) -> str:
    return str(args["instance"]["uuid"])


async def console(client: PlainClient, uuid: str) -> str:
    output = await client.call("get_console_output", {"instance_uuid": uuid})
    return str(output["output"])


async def writes(client: PlainClient, uuid: str, text: str, *, times: int = 1, timeout: float = BOOT_S) -> str:
    """Wait until the guest has written `text` that often; the whole console."""

    async def look() -> str | None:
        seen = await console(client, uuid)
        return seen if seen.count(text) >= times else None

    return str(await until(look, timeout, f"{text!r} on the console of {uuid}"))


async def until(look: Callable[[], Awaitable[Any]], timeout: float, what: str) -> Any:
    """Ask until the answer is true; the answer."""
    end = asyncio.get_running_loop().time() + timeout
    while not (answer := await look()):
        assert asyncio.get_running_loop().time() < end, f"{what}: not within {timeout} s"
        await asyncio.sleep(0.2)
    return answer


async def state(client: PlainClient, uuid: str) -> str:
    found = await client.call("get_instance", {"instance_uuid": uuid})
    return str(found["instance"]["power_state"])
