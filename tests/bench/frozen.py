"""What readers wait for while something that the agent relies on is stopped by SIGSTOP, and before that.

Reads are asked in a fixed rhythm, whether those before are answered or not: one that waits for seconds can't keep
the next ones from being counted. The floor is a bare server that echoes, in the same rhythm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from uuid import uuid4

import aio_pika

from tests.bench.answers import serve_echo
from tests.bench.bed import Bed
from tests.bench.figures import Figure, percentile
from tests.e2e.freeze import qemu, stopped
from tests.e2e.plain import PlainClient
from tests.e2e.story import small, uuid_of

SECONDS = 30.0
EVERY_S = 0.1
"""Seconds between two of the same read."""
GUESTS = 3
FLOOR = "floor: bare echo"
READS = ("ping", "list_instances", "get_instance", "get_host", "list_operations", FLOOR)
MS = 1000.0

Waits = dict[str, list[float]]


@dataclass(frozen=True)
class Asked:
    """Who is asked, and about which instance."""

    client: PlainClient
    floor: PlainClient
    sick: dict[str, str]


async def frozen_guest(bed: Bed) -> list[Figure]:
    """One of three guests of libvirt has its QEMU stopped for 30 s, and a change of it hangs."""
    async with _guests(bed) as asked:
        before, during = list[Waits](), list[Waits]()
        for _ in range(bed.repetitions):
            before.append(await _waits(asked, bed.part, nullcontext()))
            with stopped(qemu(asked.sick["instance_uuid"])):
                hanging = asyncio.create_task(asked.client.ask("pause", asked.sick))
                during.append(await _waits(asked, bed.part, nullcontext()))
            await hanging
            await asked.client.ask("unpause", asked.sick)
        return _figures(before, during)


async def frozen_libvirtd(bed: Bed) -> list[Figure]:
    """libvirtd is stopped for 30 s; what is read then is what was seen before, and says so."""
    async with _guests(bed) as asked:
        before, during = list[Waits](), list[Waits]()
        for _ in range(bed.repetitions):
            before.append(await _waits(asked, bed.part, nullcontext()))
            assert bed.libvirtd.pid is not None
            during.append(await _waits(asked, bed.part, stopped(bed.libvirtd.pid)))
            await _healed(asked.client)
        return _figures(before, during)


@asynccontextmanager
async def _guests(bed: Bed) -> AsyncIterator[Asked]:
    """Three that run and never boot; every read was asked once."""
    guests = [small() for _ in range(GUESTS)]
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(
            bed.agent({"HYPERVISOR__DRIVER": "libvirt", "HYPERVISOR__URI": bed.libvirtd.uri})
        )
        client = await stack.enter_async_context(PlainClient(bed.broker.url, agent.host))
        floor = await stack.enter_async_context(PlainClient(bed.broker.url, f"echo-{uuid4().hex[:8]}"))
        server = await aio_pika.connect(bed.broker.url)
        stack.push_async_callback(server.close)
        await serve_echo(server, f"compute.{floor.host}")
        asked = Asked(client, floor, {"instance_uuid": uuid_of(guests[0])})
        try:
            for args in guests:
                await client.call("spawn", args)
            for method in READS:
                await _ask(asked, method)
            yield asked
        finally:
            for args in guests:
                await client.ask("destroy", {"instance_uuid": uuid_of(args)})


async def _waits(asked: Asked, part: float, state: AbstractContextManager[None]) -> Waits:
    found: Waits = {method: [] for method in READS}

    async def one(method: str) -> None:
        began = time.monotonic()
        await _ask(asked, method)
        found[method].append((time.monotonic() - began) * MS)

    begun = []
    with state:
        ends = time.monotonic() + SECONDS * part
        while time.monotonic() < ends:
            for method in READS:
                begun.append(asyncio.create_task(one(method)))
                await asyncio.sleep(EVERY_S / len(READS))
        await asyncio.gather(*begun)
    return found


async def _ask(asked: Asked, method: str) -> None:
    if method == FLOOR:
        await asked.floor.call("ping")
    else:
        await asked.client.call(method, asked.sick if method == "get_instance" else {})


async def _healed(client: PlainClient) -> None:
    """Until all guests are seen again as they are."""
    async with asyncio.timeout(60):
        while {one["power_state"] for one in (await client.call("list_instances"))["instances"]} != {"running"}:
            await asyncio.sleep(0.1)


def _figures(before: list[Waits], during: list[Waits]) -> list[Figure]:
    return [
        Figure(f"{method}, {when}, p{percent}", "ms", tuple(percentile(w[method], percent / 100) for w in waits))
        for percent in (50, 99)
        for method in READS
        for when, waits in (("before", before), ("stopped", during))
    ]
