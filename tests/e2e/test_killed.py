"""A daemon killed amid each of its methods: started again it finishes the work, answers who waits, tells once.

`tests/sagas/test_killed` kills at every single call; here is the whole way, over a real broker.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault, When
from agent.operations import TABLE
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.rig import Rig

PLACES: dict[str, tuple[str, When]] = {
    "spawn": ("domains.start", "half"),
    "destroy": ("disks.remove", "half"),
    "attach_volume": ("domains.attach_disk", "half"),
    "detach_volume": ("domains.forget_volume", "before"),
    "attach_interface": ("domains.attach_interface", "after"),
    "detach_interface": ("domains.detach_interface", "before"),
    "start": ("domains.start", "after"),
    "stop": ("domains.power_off", "after"),
    "reboot": ("domains.reset", "before"),
    "pause": ("domains.pause", "after"),
    "unpause": ("domains.unpause", "before"),
    "suspend": ("domains.suspend", "half"),
    "resume": ("domains.start", "before"),
}
"""One call of each to die at."""
FIRST = {
    "spawn": (),
    "start": ("spawn", "stop"),
    "unpause": ("spawn", "pause"),
    "resume": ("spawn", "suspend"),
    "detach_volume": ("spawn", "attach_volume", "stop"),
    "detach_interface": ("spawn", "attach_interface", "stop"),
}
"""Before it; else a spawn. One that is off lets its devices go at once."""
POWER = {
    "stop": "shutdown",
    "detach_volume": "shutdown",
    "detach_interface": "shutdown",
    "pause": "paused",
    "suspend": "suspended",
    "destroy": None,
}


@pytest.fixture(scope="module")
def fake_agent(rig: Rig) -> Iterator[Daemon]:
    environment = {**rig.environment, "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake"}
    with Daemon(rig.directory / "killed", f"k-{uuid4().hex[:8]}", environment) as daemon:
        yield daemon


def args(method: str, uuid: UUID) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "attach_volume": {
            "connection_info": {
                "driver_volume_type": "nbd",
                "data": {"volume_id": str(uuid), "host": "storage.example", "port": 10809},
            }
        },
        "detach_volume": {"volume_id": str(uuid)},
        "attach_interface": {"vif": {"type": "bridge", "port_id": f"p-{str(uuid)[:8]}", "bridge": "br0"}},
        "detach_interface": {"port_id": f"p-{str(uuid)[:8]}"},
        "stop": {"graceful": False},
        "reboot": {"mode": "hard"},
    }
    if method == "spawn":
        return {"instance": {"uuid": str(uuid), "name": f"vm-{uuid}", "vcpus": 1, "memory_mb": 64}}
    return {"instance_uuid": str(uuid), **own.get(method, {})}


@pytest.mark.parametrize("method", TABLE)
async def test_a_daemon_killed_amid(fake_agent: Daemon, client: PlainClient, method: str) -> None:
    uuid = uuid4()
    for earlier in FIRST.get(method, ("spawn",)):
        await client.call(earlier, args(earlier, uuid))
    call, when = PLACES[method]
    FakeWorld(fake_agent.state_dir).faults.add(Fault(call=call, when=when, die=True, times=1))
    answer = asyncio.create_task(client.call(method, args(method, uuid)))
    assert await asyncio.to_thread(fake_agent.died) == -signal.SIGKILL
    assert not answer.done()
    await asyncio.to_thread(fake_agent.start)
    operation = (await answer)["operation_id"]
    assert await client.power_state(str(uuid)) == POWER.get(method, "running")
    await client.event(f"compute.instance.{method}.end", operation_id=operation)
    replayed = (await client.call("replay_events", {"from_sequence": 1, "limit": 1000}))["events"]
    assert [int(event["sequence"]) for event in replayed] == list(range(1, len(replayed) + 1))
    mine = [event["type"] for event in replayed if event["data"].get("operation_id") == operation]
    assert mine == [f"compute.instance.{method}.start", f"compute.instance.{method}.end"]


def test_every_method_has_a_place_to_die_at() -> None:
    assert PLACES.keys() == TABLE.keys()
