"""Many guests over many agents, with two kills in the middle; in the end each guest runs on exactly one host.

    agents start -> scheduler starts -> a quarter is placed: spawns hang on one host, then its agent is killed
      -> half is placed: the scheduler is killed, and started again with its claims
      -> all are placed, those of the dead agent elsewhere -> the agent is started again -> census

Agents and scheduler are processes of their own. Who counts in the end asks the hosts themselves.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID, uuid4

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.hypervisor.fake.world import HostConfig
from agent.rpc.client import ComputeClient
from agent.rpc.schema.params import ListInstances, ListOperations
from tests.e2e.daemon import Daemon
from tests.rig import Broker

LOOK_S = 0.1
REPORT_S = 2.0
SILENT_S = 10.0
NOT_AFTER_S = 25.0
ANSWER_S = 5.0
SKEW_S = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """`at_once`: guests on their way at a time; few enough that most are still to come when the agent dies.
    `patience_s`: for any one part of the trial."""

    hosts: int
    guests: int
    at_once: int
    patience_s: float = 300.0

    @property
    def vcpus(self) -> int:
        """Of each host: all guests fit on all hosts but one, and then three in four places are taken."""
        return -(-self.guests * 4 // (3 * (self.hosts - 1)))


@dataclass(frozen=True, slots=True)
class Result:
    """`hosts_of`: on how many hosts each guest is. `under_way`: operations that haven't ended. `sent_twice`:
    guests that were sent to a second host."""

    hosts_of: Mapping[UUID, int]
    states: Counter[str]
    per_host: Mapping[str, int]
    under_way: int
    sent_twice: int
    in_the_middle: int
    """Spawns that the killed agent was amid."""
    kept: int
    """Guests that the killed agent had before, and has still."""
    too_early: int
    """Guests of the dead agent that were sent elsewhere while it might still have begun them."""
    seconds: float
    """From the first scheduler's start until all were placed."""


@dataclass
class Trial:
    directory: Path
    broker: Broker
    size: Size
    say: Callable[[str], None]
    agents: list[Daemon] = field(default_factory=list)

    @property
    def claims(self) -> Path:
        return self.directory / "claims.jsonl"

    def prepare(self) -> list[UUID]:
        """Writes the list of guests."""
        guests = [
            {"uuid": str(uuid4()), "name": f"g-{n}", "vcpus": 1, "memory_mb": 64} for n in range(self.size.guests)
        ]
        (self.directory / "wanted.json").write_text(json.dumps(guests))
        return [UUID(str(guest["uuid"])) for guest in guests]

    def agent(self, host: str) -> Daemon:
        daemon = Daemon(
            self.directory / host,
            host,
            {
                "COMPUTE_AGENT_AMQP__URL": self.broker.url,
                "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
                "COMPUTE_AGENT_REPORT_INTERVAL_S": str(REPORT_S),
            },
        )
        daemon.command = ["setpriv", "--pdeathsig", "KILL", *daemon.command]
        world = daemon.state_dir / "world"
        world.mkdir(parents=True)
        (world / "host.json").write_text(HostConfig(vcpus=self.size.vcpus).model_dump_json())
        return daemon

    def scheduler(self, log: TextIO) -> subprocess.Popen[bytes]:
        options = {
            "--claims": self.claims,
            "--silent-after": SILENT_S,
            "--not-after": NOT_AFTER_S,
            "--answer": ANSWER_S,
            "--skew": SKEW_S,
            "--at-once": self.size.at_once,
        }
        words = [str(word) for pair in options.items() for word in pair]
        words += [word for agent in self.agents for word in ("--host", agent.host)]
        wanted = str(self.directory / "wanted.json")
        return subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                sys.executable,
                "-m",
                "examples.scheduler",
                wanted,
                "--stay",
                *words,
            ],
            env={**os.environ, "COMPUTE_AGENT_AMQP__URL": self.broker.url},
            stdout=log,
            stderr=log,
        )

    def lines(self) -> list[dict[str, Any]]:
        """What the scheduler has written down, without a line that it is amid."""
        if not self.claims.exists():
            return []
        whole, _, _ = self.claims.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def placed(self, host: str | None = None) -> int:
        """On that host, or on all."""
        lines = self.lines()
        ends = {line["uuid"]: line.get("ended") for line in lines}
        hosts = {line["uuid"]: line["host"] for line in lines if "host" in line}
        return sum(end == "placed" and host in (None, hosts[uuid]) for uuid, end in ends.items())

    async def until(self, what: str, condition: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> None:
        """Raises AssertionError when it doesn't come, or one of `processes` ends."""
        end = time.monotonic() + self.size.patience_s
        while not condition():
            assert time.monotonic() < end, f"not within {self.size.patience_s} s: {what}; {self.placed()} placed"
            assert all(process.poll() is None for process in processes), f"the scheduler ended: {what}"
            await asyncio.sleep(LOOK_S)


async def run(trial: Trial) -> Result:
    with ExitStack() as ends:
        guests = trial.prepare()
        began = time.monotonic()
        trial.agents = [trial.agent(f"h{n:02}") for n in range(1, trial.size.hosts + 1)]
        for agent in trial.agents:
            await asyncio.to_thread(agent.start)
            ends.callback(agent.kill)
        trial.say(f"{len(trial.agents)} agents are ready after {time.monotonic() - began:.0f} s")
        log = ends.enter_context((trial.directory / "scheduler.log").open("w"))
        victim = trial.agents[len(trial.agents) // 2]
        began = time.monotonic()
        first = trial.scheduler(log)
        ends.callback(first.kill)
        middle = await _kill_agent(trial, victim, first)
        await trial.until("half is placed", lambda: trial.placed() * 2 >= trial.size.guests, first)
        first.kill()
        first.wait()
        trial.say(f"the scheduler is killed with {trial.placed()} placed, and started again")
        second = trial.scheduler(log)
        ends.callback(second.kill)
        await trial.until("all are placed", lambda: trial.placed() == trial.size.guests, second)
        seconds = time.monotonic() - began
        trial.say(f"all are placed after {seconds:.0f} s; {victim.host} is started again")
        await asyncio.to_thread(victim.start)
        async with asyncio.timeout(trial.size.patience_s):
            result = await _settled(trial, guests, (victim, middle, seconds))
        second.send_signal(signal.SIGTERM)
        assert second.wait(120) == 0
        return result


async def _kill_agent(trial: Trial, victim: Daemon, scheduler: subprocess.Popen[bytes]) -> int:
    """Amid some spawns; how many."""
    await trial.until(
        "a quarter is placed, and some of it there",
        lambda: trial.placed() * 4 >= trial.size.guests and trial.placed(victim.host) > 0,
        scheduler,
    )
    world = FakeWorld(victim.state_dir)
    world.faults.add(Fault(call="domains.start", hang=True))
    await trial.until("two spawns hang", lambda: world.faults.all()[0].taken >= 2, scheduler)
    await asyncio.to_thread(victim.kill)
    middle = world.faults.all()[0].taken
    world.faults.clear()
    trial.say(f"{victim.host} is killed amid {middle} spawns, with {trial.placed()} guests placed")
    return middle


async def _settled(trial: Trial, guests: list[UUID], so_far: tuple[Daemon, int, float]) -> Result:
    """Once nothing is under way and each guest is on one host; else what there is when time is up."""
    async with ComputeClient(trial.broker.url) as compute:
        while True:
            result = await _census(trial, compute, guests, so_far)
            if not result.under_way and set(result.hosts_of.values()) == {1}:
                return result
            trial.say(
                f"not settled yet: {sum(n != 1 for n in result.hosts_of.values())} guests on no or two hosts"
            )
            await asyncio.sleep(1)


async def _census(
    trial: Trial, compute: ComputeClient, guests: list[UUID], so_far: tuple[Daemon, int, float]
) -> Result:
    victim, middle, seconds = so_far
    found, states, per_host, under_way = Counter[UUID](), Counter[str](), dict[str, int](), 0
    for agent in trial.agents:
        listed = await compute.list_instances(agent.host, ListInstances())
        found.update(instance.uuid for instance in listed.instances)
        states.update(instance.power_state for instance in listed.instances)
        per_host[agent.host] = len(listed.instances)
        for status in ("queued", "running"):
            open_ = await compute.list_operations(agent.host, ListOperations(status=status))
            under_way += len(open_.operations)
    attempts = Counter(line["uuid"] for line in trial.lines() if "host" in line)
    return Result(
        hosts_of={uuid: found[uuid] for uuid in {*guests, *found}},
        states=states,
        per_host=per_host,
        under_way=under_way,
        sent_twice=sum(number > 1 for number in attempts.values()),
        in_the_middle=middle,
        kept=per_host[victim.host],
        too_early=too_early(trial.lines(), victim.host),
        seconds=seconds,
    )


def too_early(lines: list[dict[str, Any]], host: str) -> int:
    """Attempts after one on `host` that were begun before that one's time was up. Pure."""
    last, found = dict[str, tuple[str, datetime]](), 0
    for line in lines:
        if "host" in line:
            ends = datetime.fromisoformat(line["not_after"])
            before = last.get(line["uuid"])
            begun = ends - timedelta(seconds=NOT_AFTER_S)
            found += before is not None and before[0] == host and begun < before[1] + timedelta(seconds=SKEW_S)
            last[line["uuid"]] = (line["host"], ends)
    return found
