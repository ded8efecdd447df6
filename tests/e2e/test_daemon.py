"""The daemon as a process, on a real broker; the hypervisor is the fake one where nothing else matters."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.rig import Rig


def instance(**fields: Any) -> dict[str, Any]:
    return {"instance": {"uuid": str(uuid4()), "name": "vm1", "vcpus": 1, "memory_mb": 64, **fields}}


def uuid_of(args: dict[str, Any]) -> dict[str, str]:
    return {"instance_uuid": args["instance"]["uuid"]}


async def test_a_spawn_is_answered_and_told(fake_agent: Daemon, client: PlainClient) -> None:
    args = instance()
    result = await client.call("spawn", args)
    assert result["power_state"] == "running"
    await client.event("compute.instance.spawn.start", operation_id=result["operation_id"])
    await client.event("compute.instance.power_state", new="running", old="nostate")
    ended = await client.event("compute.instance.spawn.end", operation_id=result["operation_id"])
    assert ended["source"] == f"/compute/{client.host}"
    assert ended["subject"] == args["instance"]["uuid"]


async def test_a_scheduler_that_starts_later_finds_the_events_in_the_durable_queue(
    fake_agent: Daemon, client: PlainClient, rig: Rig
) -> None:
    args = instance()
    await client.call("spawn", args)
    await client.event("compute.instance.spawn.end")
    assert "compute.events" in rig.broker.rabbitmqctl("list_queues", "name", "durable", "messages")


async def test_what_happens_to_a_guest_by_itself_is_told(fake_agent: Daemon, client: PlainClient) -> None:
    args = instance()
    await client.call("spawn", args)
    await client.event("compute.instance.power_state", new="running")
    FakeWorld(fake_agent.state_dir).kill(UUID(args["instance"]["uuid"]))
    event = await client.event("compute.instance.power_state", new="crashed")
    assert event["data"]["old"] == "running"
    assert event["data"]["request_id"] is None


async def test_a_second_agent_of_the_same_state_directory_stops_with_a_clear_word(
    fake_agent: Daemon, rig: Rig
) -> None:
    twin = Daemon(fake_agent.directory, fake_agent.host, fake_agent.environment)
    with pytest.raises(RuntimeError, match=f"ended with 1(.|\n)*pid {fake_agent.pid}"):
        twin.start()


async def test_a_second_agent_of_the_same_host_name_stops_with_a_clear_word(fake_agent: Daemon, rig: Rig) -> None:
    environment = {**fake_agent.environment, "COMPUTE_AGENT_STATE_DIR": str(rig.directory / "second-state")}
    environment["COMPUTE_AGENT_AMQP__HEARTBEAT_S"] = "2"
    twin = Daemon(rig.directory / "second", fake_agent.host, environment)
    with pytest.raises(RuntimeError, match=f"ended with 1(.|\n)*host name '{fake_agent.host}'"):
        twin.start()


async def test_a_killed_agent_goes_on_where_it_was(fake_agent: Daemon, client: PlainClient) -> None:
    world = FakeWorld(fake_agent.state_dir)
    world.faults.add(Fault(call="domains.start", hang=True))
    args = instance()
    answer = asyncio.create_task(client.call("spawn", args))
    await client.event("compute.instance.spawn.start")
    while (await client.call("list_operations"))["operations"][0]["steps"][-1]["name"] != "start":
        await asyncio.sleep(0.01)
    fake_agent.kill()
    world.faults.clear()
    fake_agent.start()
    assert (await answer)["power_state"] == "running"
    assert await client.power_state(args["instance"]["uuid"]) == "running"


async def test_casts_survive_a_kill_in_the_middle(fake_agent: Daemon, client: PlainClient) -> None:
    asked = [instance(name=f"vm{n}") for n in range(50)]
    for args in asked:
        await client.cast("spawn", args)
    await client.event("compute.instance.spawn.end")
    fake_agent.kill()
    fake_agent.start()
    for args in asked:
        while not any(
            event["type"] == "compute.instance.spawn.end" and event["subject"] == args["instance"]["uuid"]
            for event in client.events
        ):
            client._more.clear()
            await asyncio.wait_for(client._more.wait(), 60)
    listed = (await client.call("list_instances"))["instances"]
    assert {item["uuid"] for item in listed} == {args["instance"]["uuid"] for args in asked}


async def test_events_have_no_gap_and_no_repeat_under_another_id(fake_agent: Daemon, client: PlainClient) -> None:
    for n in range(10):
        await client.call("spawn", instance(name=f"vm{n}"))
    last = await client.event("compute.instance.spawn.end")
    replayed = (await client.call("replay_events", {"from_sequence": 1, "limit": 1000}))["events"]
    assert [int(event["sequence"]) for event in replayed] == list(range(1, len(replayed) + 1))
    live = {event["id"]: event for event in client.events if event.get("sequence")}
    for event in replayed:
        if event["id"] in live:
            assert live[event["id"]]["data"] == event["data"]
    assert last["stream"] == replayed[0]["stream"]


async def test_sigterm_ends_it_cleanly_and_guests_go_on(fake_agent: Daemon, client: PlainClient) -> None:
    args = instance()
    await client.call("spawn", args)
    assert fake_agent.stop() == 0
    fake_agent.start()
    assert await client.power_state(args["instance"]["uuid"]) == "running"
    await client.event("compute.host.stopping")


async def test_every_log_line_of_a_request_names_it(fake_agent: Daemon, client: PlainClient) -> None:
    args = instance()
    await client.call("spawn", args)
    lines = [line for line in fake_agent.lines() if line["event"].startswith("operation.")]
    assert lines
    for line in lines:
        assert line["method"] == "spawn"
        assert line["instance"] == args["instance"]["uuid"]
        assert "request_id" in line


MALFORMED: list[tuple[bytes, dict[str, Any], str]] = [
    (b"{", {}, "JSON"),
    (b"[1]", {}, "object"),
    (b'{"args": {}}', {}, "method"),
    (b'{"method": "sapwn", "args": {}}', {}, "spawn"),
    (b'{"method": "spawn", "args": {}}', {}, "instance"),
    (b'{"method": "spawn", "version": "9.0", "args": {}}', {}, "version"),
    (b"<spawn/>", {"content_type": "text/xml"}, "content"),
    (b" " * 10_000_000, {}, "bytes"),
]


@pytest.mark.parametrize(("body", "properties", "word"), MALFORMED, ids=[word for *_, word in MALFORMED])
async def test_a_malformed_cast_is_parked_with_its_reason_and_the_agent_goes_on(
    fake_agent: Daemon, client: PlainClient, body: bytes, properties: dict[str, Any], word: str
) -> None:
    await client.send(body, message_id=str(uuid4()), **properties)
    parked = await client.dead_letter()
    assert parked.headers["x-error-code"] == "invalid_request"
    assert word.lower() in str(parked.headers["x-error-message"]).lower()
    assert (await client.call("ping"))["host"] == client.host


async def test_a_cast_that_is_accepted_and_then_fails_is_told_and_parked(
    fake_agent: Daemon, client: PlainClient
) -> None:
    args = instance()
    await client.call("spawn", args)
    other = {"instance": {**args["instance"], "vcpus": 2}}
    await client.cast("spawn", other)
    event = await client.event("compute.instance.spawn.error")
    assert event["data"]["error"]["code"] == "conflict"
    parked = await client.dead_letter()
    assert parked.headers["x-error-code"] == "conflict"
    assert args["instance"]["uuid"].encode() in parked.body


async def test_a_repeat_after_a_restart_gets_the_first_answer(fake_agent: Daemon, client: PlainClient) -> None:
    args = instance()
    first = await client.call("spawn", args, message_id="mine")
    fake_agent.kill()
    fake_agent.start()
    assert await client.call("spawn", args, message_id="mine") == first


def test_wrong_settings_are_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "--check-config"],
        env={"COMPUTE_AGENT_AMPQ__URL": "amqp://x/", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "COMPUTE_AGENT_AMQP__URL" in done.stderr


POWER = "compute.instance.power_state"


async def test_what_operations_do_to_the_power_state_is_told_as_theirs(
    fake_agent: Daemon, client: PlainClient
) -> None:
    asked = [instance(name=f"vm{n}") for n in range(10)]

    async def life(args: dict[str, Any]) -> None:
        await client.call("spawn", args)
        for method in ("pause", "unpause", "suspend", "resume"):
            await client.call(method, uuid_of(args))
        stopped = await client.call("stop", {**uuid_of(args), "graceful": False})
        # Nobody but these changed it: the answer's generation holds for the next.
        await client.call("start", {**uuid_of(args), "if_generation": stopped["generation"]})

    await asyncio.gather(*map(life, asked))
    async with asyncio.timeout(60):
        while len(told := [e["data"] for e in client.events if e["type"] == POWER]) < 7 * len(asked):
            await asyncio.sleep(0.05)
    assert all(data["request_id"] is not None for data in told)
