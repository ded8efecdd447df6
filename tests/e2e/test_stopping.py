"""SIGTERM when nothing answers any more: the agent ends within what systemd gives it, and its next run goes on."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.daemon import LEAVE_S
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.service import DRAIN_S, FLUSH_S
from tests.e2e.daemon import Daemon
from tests.e2e.freeze import qemu, stopped
from tests.e2e.plain import PlainClient
from tests.rig import Rig

pytestmark = pytest.mark.timeout(280)

PATIENCE_S = 200.0
"""For answers that wait for a stop and a start."""
UNIT = Path(__file__).parents[2] / "deploy/systemd/compute-agent.service"


def stop_limit_s() -> float:
    """What the unit gives the agent from SIGTERM to SIGKILL."""
    found = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.M)
    assert found
    return float(found[1])


def test_the_agent_leaves_before_its_time_is_up() -> None:
    assert DRAIN_S + FLUSH_S < LEAVE_S < stop_limit_s() - 5


def test_what_hangs_for_ever_keeps_no_agent_from_leaving() -> None:
    hung = "import threading; threading.Thread(target=threading.Event().wait).start()"
    script = f"from agent.daemon import leave_after; {hung}; leave_after(0.1)"
    done = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "agent.left" in done.stdout + done.stderr


def spawning(name: str) -> dict[str, Any]:
    return {"instance": {"uuid": str(uuid4()), "name": name, "vcpus": 1, "memory_mb": 64}}


async def test_short_work_ends_and_is_answered_long_work_goes_on_at_the_next_start(
    fake_agent: Daemon, client: PlainClient
) -> None:
    short, long, late = (spawning(name) for name in ("short", "long", "late"))
    world = FakeWorld(fake_agent.state_dir)
    for args, fault in ((short, {"slow": 2.0}), (long, {"hang": True})):
        world.faults.add(Fault(call="domains.start", instance=UUID(args["instance"]["uuid"]), **fault))
    answers = [asyncio.create_task(client.call("spawn", args, timeout=PATIENCE_S)) for args in (short, long)]
    for args in (short, long):
        while not any(f.taken for f in world.faults.all() if str(f.instance) == args["instance"]["uuid"]):
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(asyncio.to_thread(fake_agent.stop, stop_limit_s()))
    await client.event("compute.host.stopping")
    unread = asyncio.create_task(client.call("spawn", late, timeout=PATIENCE_S))
    assert await stopping == 0
    assert (await answers[0])["power_state"] == "running"  # on its way since before the end
    assert not answers[1].done()
    assert not unread.done()
    world.faults.clear()
    await asyncio.to_thread(fake_agent.start)
    for answer in (answers[1], unread):
        assert (await answer)["power_state"] == "running"


@pytest.fixture
def stopping_agent(rig: Rig) -> Iterator[Daemon]:
    host = f"s-{uuid4().hex[:8]}"
    with Daemon(rig.directory / host, host, rig.environment) as daemon:
        yield daemon


async def test_it_ends_in_time_with_libvirtd_and_the_broker_frozen_amid_its_work(
    rig: Rig, stopping_agent: Daemon
) -> None:
    uuid = str(uuid4())
    instance = {"uuid": uuid, "name": f"vm-{uuid}", "vcpus": 1, "memory_mb": 64}
    async with PlainClient(rig.broker.url, stopping_agent.host) as client:
        await client.call("spawn", {"instance": instance})
        guest = qemu(uuid)
        with stopped(guest):
            await client.cast("pause", {"instance_uuid": uuid})
            begun = await client.event("compute.instance.pause.start")
            rig.libvirtd.freeze()
            rig.broker.freeze()
            try:
                began = time.monotonic()
                status = await asyncio.to_thread(stopping_agent.stop, stop_limit_s())
                took = time.monotonic() - began
            finally:
                rig.broker.thaw()
                rig.libvirtd.thaw()
        assert status == 0, stopping_agent.tail()
        assert took < stop_limit_s()
        assert Path(f"/proc/{guest}").exists()
    await asyncio.to_thread(stopping_agent.start)
    async with PlainClient(rig.broker.url, stopping_agent.host) as client:
        operation = {"operation_id": begun["data"]["operation_id"]}
        async with asyncio.timeout(PATIENCE_S):
            while (shown := (await client.call("get_operation", operation))["operation"])["ended_at"] is None:
                await asyncio.sleep(0.1)
        assert shown["status"] == "succeeded", shown
        assert await client.power_state(uuid) == "paused"
        await client.call("destroy", {"instance_uuid": uuid})
