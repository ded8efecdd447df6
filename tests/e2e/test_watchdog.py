"""What systemd hears of an agent when something is wrong with it or around it, and what becomes of it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent.health import Health
from agent.health_socket import ask, page
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import HANGING, Fault
from tests.chaos.proxy import Proxy
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.e2e.systemd import Systemd
from tests.rig import Rig

ALLOWED_S = 4.0
"""Seconds that systemd allows between two signs of life."""
PATIENCE_S = 60.0
"""Seconds that an answer may take, and whatever is waited for: the box may be busy."""
ENVIRONMENT = {
    "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
    "COMPUTE_AGENT_AMQP__RECONNECT_S": "0.2",
    "COMPUTE_AGENT_RPC__CHECK_INTERVAL_S": "0.3",
    "WATCHDOG_USEC": str(int(ALLOWED_S * 1_000_000)),
}


def daemon_of(rig: Rig, host: str, **more: str) -> Daemon:
    return Daemon(rig.directory / host, host, {**rig.environment, **ENVIRONMENT, **more})


@pytest.fixture
def fake_agent(rig: Rig, host: str) -> Iterator[Daemon]:
    with daemon_of(rig, host) as daemon:
        yield daemon


@asynccontextmanager
async def client_of(rig: Rig, daemon: Daemon) -> AsyncIterator[PlainClient]:
    async with PlainClient(rig.broker.url, daemon.host) as client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def healthy(daemon: Daemon, condition: Callable[[Health], bool]) -> Health:
    """The first health of which this is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition(health := await asyncio.to_thread(ask, daemon.state_dir, PATIENCE_S)):
            await asyncio.sleep(0.02)
    return health


async def shown(daemon: Daemon, name: str) -> tuple[int, str]:
    return await asyncio.to_thread(page, daemon.state_dir, name, PATIENCE_S)


def systemd_of(daemon: Daemon) -> Systemd:
    assert daemon.systemd is not None
    return daemon.systemd


async def fed(daemon: Daemon) -> None:
    """From now on."""
    now = time.monotonic()
    await until(lambda: systemd_of(daemon).fed > now)


def spawning(name: str) -> dict[str, Any]:
    return {"instance": {"uuid": str(uuid4()), "name": name, "vcpus": 1, "memory_mb": 64}}


async def test_a_well_agent_is_fed_and_says_what_it_does(fake_agent: Daemon) -> None:
    await fed(fake_agent)
    # Ready to take commands, it may not have looked at the hypervisor and heard itself yet.
    await until(lambda: systemd_of(fake_agent).status == f"Serving as {fake_agent.host}")
    health = await healthy(fake_agent, lambda health: health.broker.probe.heard_at is not None and health.ready)
    assert health.healthy
    assert (await shown(fake_agent, "/readyz"))[0] == 200


async def test_a_dead_broker_is_told_and_starves_nobody(fake_agent: Daemon, rig: Rig) -> None:
    systemd = systemd_of(fake_agent)
    await fed(fake_agent)
    down_at = time.monotonic()
    await asyncio.to_thread(rig.broker.stop)
    try:
        await until(lambda: "no connection to the broker" in systemd.status)
        assert systemd.status.startswith(f"Serving as {fake_agent.host}; ")
        assert " since 2" in systemd.status
        assert rig.broker.identity.password not in systemd.status
        # Longer than it takes to ask whether it is the agent's own fault, and to find that it isn't.
        while time.monotonic() < down_at + 3 * ALLOWED_S:
            await fed(fake_agent)
        status, text = await shown(fake_agent, "/readyz")
        assert status == 503
        assert [p["code"] for p in json.loads(text)["problems"]] == ["broker_away"]
        assert (await shown(fake_agent, "/healthz"))[0] == 200
        assert rig.broker.identity.password not in (await shown(fake_agent, "/health"))[1]
    finally:
        await asyncio.to_thread(rig.broker.start)
    await until(lambda: systemd.status == f"Serving as {fake_agent.host}")
    async with client_of(rig, fake_agent) as client:
        assert (await client.call("ping"))["host"] == fake_agent.host


async def test_a_deaf_agent_connects_anew_and_is_fed_meanwhile(rig: Rig, host: str) -> None:
    async with Proxy("127.0.0.1", rig.broker.identity.port) as link:
        through = rig.broker.url.replace(f":{rig.broker.identity.port}/", f":{link.port}/")
        daemon = daemon_of(rig, host, COMPUTE_AGENT_AMQP__URL=through)
        await asyncio.to_thread(daemon.start)
        try:
            await healthy(daemon, lambda health: health.broker.probe.heard_at is not None)
            link.drop([link.down])
            await until(lambda: any(line["event"].startswith("broker.deaf") for line in daemon.lines()))
            await fed(daemon)
            link.mend()
            async with client_of(rig, daemon) as client:
                assert (await client.call("ping"))["host"] == host
            await until(lambda: systemd_of(daemon).status == f"Serving as {host}")
            await fed(daemon)
        finally:
            await asyncio.to_thread(daemon.kill)


async def test_an_event_loop_that_hangs_is_not_fed_and_fed_again_when_it_turns(
    fake_agent: Daemon, rig: Rig
) -> None:
    """The fake driver reads its faults on the loop; a pipe that nobody writes into lets it hang."""
    async with client_of(rig, fake_agent) as client:
        await client.call("spawn", spawning("vm"))
        await fed(fake_agent)
        faults = FakeWorld(fake_agent.state_dir).faults._path
        faults.unlink(missing_ok=True)
        os.mkfifo(faults)
        hanging = asyncio.create_task(client.ask("spawn", spawning("hangs")))
        async with hanging_at(faults):
            systemd = systemd_of(fake_agent)
            mark = await asyncio.to_thread(systemd.mark)
            await until(lambda: systemd.heard(mark))
            before = systemd.fed
            await asyncio.sleep(ALLOWED_S)  # twice as long as between two signs of life
            assert systemd.fed == before
        await hanging
        await fed(fake_agent)


@asynccontextmanager
async def hanging_at(pipe: Path) -> AsyncIterator[None]:
    """Inside, somebody reads the pipe; after, he gets an empty table, and the next one finds no file."""
    async with asyncio.timeout(PATIENCE_S):
        while (end := opened(pipe)) is None:
            await asyncio.sleep(0.02)
    try:
        yield
    finally:
        pipe.unlink()
        os.write(end, b"[]")
        os.close(end)


def opened(pipe: Path) -> int | None:
    """To be written; None while nobody reads."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def test_the_watchdogs_signal_has_the_agent_say_where_it_is(fake_agent: Daemon) -> None:
    os.kill(fake_agent.pid, signal.SIGABRT)
    assert fake_agent.died() == -signal.SIGABRT
    said = fake_agent.tail(200)
    assert "Fatal Python error: Aborted" in said
    assert "in run_daemon" in said


async def test_an_agent_with_too_many_hanging_calls_stops_in_good_order_to_be_started_again(
    rig: Rig, host: str
) -> None:
    daemon = daemon_of(rig, host, COMPUTE_AGENT_HYPERVISOR__LONG_TIMEOUT_S="1")
    await asyncio.to_thread(daemon.start)
    systemd = systemd_of(daemon)
    async with client_of(rig, daemon) as client:
        FakeWorld(daemon.state_dir).faults.add(Fault(call="domains.start", hang=True))
        asked = [spawning(f"vm{n}") for n in range(HANGING)]
        answers = await asyncio.gather(*(client.ask("spawn", args) for args in asked))
        assert {answer["error"]["code"] for answer in answers} == {"timed_out"}
        assert await asyncio.to_thread(daemon.died, 120) == 70
        assert f"{HANGING} calls to the hypervisor hang" in systemd.status
        assert any(line["event"] == "agent.worn" for line in daemon.lines())
        assert not (daemon.state_dir / "journal.db-wal").exists(), "the journal was closed"
        assert not (daemon.state_dir / "agent.sock").exists()
        await client.event("compute.host.stopping")
        FakeWorld(daemon.state_dir).faults.clear()
        await asyncio.to_thread(daemon.start)
        assert len((await client.call("list_operations"))["operations"]) == HANGING
        assert daemon.stop() == 0


# --- the broker is down while work is under way ---

WORK = 50


async def outage(rig: Rig, daemon: Daemon, seconds: float) -> None:
    """50 operations under way; the broker goes, they end, it comes back."""
    world = FakeWorld(daemon.state_dir)
    world.faults.add(Fault(call="domains.start", hang=True))
    asked = {str(uuid4()): spawning(f"vm{n}") for n in range(WORK)}
    answers = f"answers-{uuid4().hex}"
    async with client_of(rig, daemon) as client:
        await client._channel.declare_queue(answers, durable=True, arguments={"x-expires": 600_000})
        for identity, args in asked.items():
            body = json.dumps({"method": "spawn", "args": args}).encode()
            await client.send(body, message_id=identity, reply_to=answers, correlation_id=identity)
        await until(lambda: all_begun(client, WORK))
    began = time.monotonic()
    await asyncio.to_thread(rig.broker.stop)
    world.faults.clear()
    await healthy(
        daemon,
        lambda health: (
            health.commands.pending == 0 and health.outbox.waiting >= 2 * WORK and not health.broker.commands.up
        ),
    )
    while time.monotonic() < began + seconds:
        await fed(daemon)
    await asyncio.to_thread(rig.broker.start)
    await told(rig, daemon, answers, set(asked))
    await healthy(daemon, lambda health: health.outbox.waiting == 0)
    await fed(daemon)
    assert not any(line["event"] == "watchdog.lets_go" for line in daemon.lines())


def all_begun(client: PlainClient, count: int) -> bool:
    return len([e for e in client.events if e["type"] == "compute.instance.spawn.start"]) == count


async def told(rig: Rig, daemon: Daemon, answers: str, asked: set[str]) -> None:
    """All answers have come, and all events are in the durable queue; none under two message ids."""
    async with client_of(rig, daemon) as client:
        ids: dict[str, set[str]] = {identity: set() for identity in asked}
        queue = await client._channel.get_queue(answers)
        async with asyncio.timeout(PATIENCE_S), queue.iterator(no_ack=True) as messages:
            async for message in messages:
                assert "result" in json.loads(message.body)
                ids[str(message.correlation_id)].add(str(message.message_id))
                if all(ids.values()):
                    break
        assert [own for own in ids.values() if len(own) != 1] == []
        replayed = (await client.call("replay_events", {"from_sequence": 1, "limit": 1000}))["events"]
        ends = [e for e in replayed if e["type"] == "compute.instance.spawn.end"]
        assert len(ends) == WORK
        await healthy(daemon, lambda health: health.outbox.waiting == 0)
        seen: dict[str, set[str]] = {}
        kept = await client._channel.get_queue("compute.events")
        while (found := await kept.get(no_ack=True, fail=False)) is not None:
            event = json.loads(found.body)
            if event["source"] == f"/compute/{daemon.host}":
                seen.setdefault(event["sequence"], set()).add(str(found.message_id))
        assert {e["sequence"] for e in replayed if "subject" in e} <= seen.keys()
        assert [own for own in seen.values() if len(own) != 1] == []


async def test_work_goes_on_without_a_broker_and_is_told_after(fake_agent: Daemon, rig: Rig) -> None:
    await outage(rig, fake_agent, seconds=2 * ALLOWED_S)


@pytest.mark.slow
async def test_work_goes_on_through_a_minute_without_a_broker_and_is_told_after(
    fake_agent: Daemon, rig: Rig
) -> None:
    await outage(rig, fake_agent, seconds=60)
