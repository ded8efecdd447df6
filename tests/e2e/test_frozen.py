"""A guest's QEMU, and libvirtd itself, stopped by SIGSTOP: nobody else waits, what is old is marked, all heals.

Each is stopped for longer than libvirt's deadlines of a query and of a dead connection: a read that waits for one
of them fails the test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.freeze import qemu, stopped
from tests.e2e.plain import PlainClient
from tests.e2e.story import small, until, uuid_of
from tests.rig import Rig

pytestmark = pytest.mark.timeout(240)

FROZEN_S = 30.0
WAITED_S = 7.0
"""No read may wait for so long: libvirt's deadline is 10 seconds. They take a small part of one; the rest is for a
box that is busy."""
HEALED_S = 60.0


@asynccontextmanager
async def guests(client: PlainClient, number: int) -> AsyncIterator[list[dict[str, str]]]:
    asked = [small() for _ in range(number)]
    try:
        for args in asked:
            assert (await client.call("spawn", args))["power_state"] == "running"
        yield [{"instance_uuid": uuid_of(args)} for args in asked]
    finally:
        for args in asked:
            await client.ask("destroy", {"instance_uuid": uuid_of(args)})


async def timely(read: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    answer = await read
    assert time.monotonic() - began < WAITED_S
    return answer


async def states(client: PlainClient) -> dict[str, tuple[str, str | None]]:
    listed = await timely(client.call("list_instances"))
    return {one["uuid"]: (one["power_state"], one.get("last_known")) for one in listed["instances"]}


async def test_a_guest_whose_qemu_is_stopped_stops_nobody_else(agent: Daemon, client: PlainClient) -> None:
    async with guests(client, 2) as (sick, well):
        with stopped(qemu(sick["instance_uuid"])):
            hanging = asyncio.create_task(client.ask("pause", sick))

            async def both_run() -> bool:
                seen = await states(client)
                return seen[sick["instance_uuid"]] == seen[well["instance_uuid"]] == ("running", None)

            ends = time.monotonic() + FROZEN_S
            async with guests(client, 1):
                assert not hanging.done()
            while time.monotonic() < ends:
                await timely(client.call("ping"))
                # On a busy box a look may be late, and what it shows marked; the next one isn't.
                await until(both_run, FROZEN_S, "both seen to run")
                await timely(client.call("get_instance", sick))
                await client.call("pause", well)
                await client.call("unpause", well)
            assert not hanging.done()
        answer = await hanging
        assert answer["result"]["power_state"] == "paused", answer
        await client.call("unpause", sick)
        assert (await states(client))[sick["instance_uuid"]] == ("running", None)


async def test_a_guest_whose_qemu_is_stopped_and_lets_a_change_hang_can_be_destroyed(
    agent: Daemon, client: PlainClient
) -> None:
    async with guests(client, 1) as [sick]:
        with stopped(qemu(sick["instance_uuid"])):
            hanging = asyncio.create_task(client.ask("pause", sick))
            await client.event("compute.instance.pause.start")
            destroyed = await client.call("destroy", sick)
            assert not destroyed["already"]
            assert (await hanging)["error"]["code"] == "cancelled"
        assert sick["instance_uuid"] not in await states(client)


async def test_a_guest_on_which_a_change_hangs_since_an_earlier_run_can_be_destroyed(
    agent: Daemon, client: PlainClient, rig: Rig
) -> None:
    async with guests(client, 1) as [sick]:
        uuid = sick["instance_uuid"]

        async def caught() -> bool:
            return "ok" not in await asyncio.to_thread(rig.libvirtd.virsh, "domcontrol", uuid)

        with stopped(qemu(uuid)):
            hanging = asyncio.create_task(client.ask("pause", sick))
            await until(caught, HEALED_S, "libvirt waits for the guest")
            await asyncio.to_thread(agent.kill)
            await asyncio.to_thread(agent.start)
            destroyed = await client.call("destroy", sick)
            assert not destroyed["already"]
            assert (await hanging)["error"]["code"] == "cancelled"
        assert uuid not in await states(client)


async def test_a_libvirtd_that_is_stopped_keeps_no_read_waiting_and_what_it_shows_is_marked(
    agent: Daemon, client: PlainClient, rig: Rig
) -> None:
    async with guests(client, 2) as (one, other):
        uuid = one["instance_uuid"]
        there = (await client.call("get_host"))["instances"]
        libvirtd = rig.libvirtd.pid
        assert libvirtd is not None
        with stopped(libvirtd):
            stopped_at = datetime.now(UTC)
            caught = asyncio.create_task(client.ask("pause", other))
            ends = time.monotonic() + FROZEN_S
            marked = False
            while time.monotonic() < ends:
                await timely(client.call("ping"))
                assert (await timely(client.call("get_host")))["instances"] == there
                await timely(client.call("list_operations"))
                got = await timely(client.call("get_instance", one))
                listed = await timely(client.call("list_instances"))
                shown = {each["uuid"]: each for each in listed["instances"]}
                for each, at in ((got["instance"], got["observed_at"]), (shown[uuid], listed["observed_at"])):
                    if each["power_state"] == "unknown":
                        marked = True
                        assert each["last_known"] == "running"
                    else:
                        assert each["power_state"] == "running"
                    assert datetime.fromisoformat(at) <= stopped_at
                if time.monotonic() > ends - FROZEN_S / 2:
                    assert got["instance"]["power_state"] == shown[uuid]["power_state"] == "unknown"
            assert marked

        # What was caught has ended in a way that says what to do: its outcome isn't known, or it was done.
        answer = await caught
        assert "result" in answer or answer["error"]["code"] in ("timed_out", "unavailable"), answer

        async def healed() -> bool:
            answered = await client.ask("unpause", other)
            return "result" in answered and set((await states(client)).values()) == {("running", None)}

        await until(healed, HEALED_S, "all running, and seen to")
        for each in (one, other):
            await client.call("pause", each)
            await client.call("unpause", each)
