"""When the agent waits, when it mends, and when it lets go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from agent.health import Health
from agent.pulse import Pulse, Pulses
from agent.rpc.edge import EdgeState
from agent.rpc.tasks import end
from agent.watchdog import Act, Patience, Seen, Watchdog, judge
from tests.unit.web.well import WELL

PATIENCE = Patience(rebuild=30, ill=15, hopeless=90, works=30)

WELL_SEEN = Seen()
AWAY = Seen(ill_s=1000.0, tried_s=1.0)
DEAF = Seen(deaf=True, ill_s=1.0)
HOPELESS = Seen(deaf=True, ill_s=91.0, rebuilt_s=5.0, works_s=31.0, tried_s=1.0)


def but(seen: Seen, **fields: object) -> Seen:
    return Seen(**{name: getattr(seen, name) for name in Seen.__dataclass_fields__} | fields)


@pytest.mark.parametrize(
    ("seen", "fed", "act"),
    [
        (WELL_SEEN, True, Act.NOTHING),
        (Seen(ill_s=1.0), True, Act.NOTHING),
        (Seen(ill_s=16.0), True, Act.TRY),
        (AWAY, True, Act.NOTHING),
        (but(AWAY, tried_s=16.0), True, Act.TRY),
        (but(AWAY, works_s=29.0), True, Act.NOTHING),
        (but(AWAY, works_s=31.0), False, Act.NOTHING),
        (but(AWAY, works_s=31.0, ill_s=89.0), True, Act.NOTHING),
        (but(AWAY, works_s=31.0, excused=True), True, Act.NOTHING),
        (DEAF, True, Act.REBUILD),
        (but(DEAF, rebuilt_s=29.0), True, Act.NOTHING),
        (but(DEAF, rebuilt_s=31.0), True, Act.REBUILD),
        (but(DEAF, rebuilt_s=29.0, ill_s=16.0), True, Act.TRY),
        (but(DEAF, excused=True), True, Act.NOTHING),
        (HOPELESS, False, Act.NOTHING),
        (but(HOPELESS, works_s=None), True, Act.NOTHING),
        (but(HOPELESS, excused=True), True, Act.NOTHING),
        (Seen(stuck=("journal",)), False, Act.NOTHING),
        (but(AWAY, stuck=("journal",)), False, Act.NOTHING),
        (Seen(stuck=("journal",), excused=True), False, Act.NOTHING),
    ],
    ids=[
        "well",
        "just gone",
        "gone for a while: is it us?",
        "gone for very long, and a fresh connection doesn't work either",
        "asked again",
        "a fresh one works since just now",
        "a fresh one has worked for long: it is us",
        "the same, and there is time still",
        "another agent has the name, or the broker has an alarm",
        "deaf",
        "deaf, and just connected anew",
        "deaf again after that",
        "deaf for a while: is it us?",
        "deaf, and the broker has an alarm",
        "deaf for long, and a fresh connection works",
        "the same, and a fresh one doesn't",
        "the same, and the broker has an alarm",
        "a part is stuck",
        "the same, with no broker",
        "the same, with an alarm",
    ],
)
def test_what_is_seen_decides(seen: Seen, fed: bool, act: Act) -> None:
    verdict = judge(seen, PATIENCE)
    assert (verdict.feed, verdict.act) == (fed, act)
    assert (verdict.why is None) == fed


def test_a_part_that_is_stuck_is_named() -> None:
    assert "journal, events" in str(judge(Seen(stuck=("journal", "events")), PATIENCE).why)


def test_patience_leaves_time_to_mend_several_times_before_it_ends() -> None:
    patience = Patience.of(5)
    assert patience.ill == 15
    assert patience.hopeless >= 3 * patience.rebuild
    assert 60 < patience.works < patience.hopeless


def test_a_pulse_is_stuck_only_when_it_is_busy_without_a_step_for_too_long() -> None:
    pulse = Pulse("p", limit_s=60)
    assert not pulse.stuck(1e9)
    with pulse.busy():
        assert pulse.since is not None
        assert not pulse.stuck(pulse.since + 59)
        assert pulse.stuck(pulse.since + 61)
        with pulse.resting():
            assert not pulse.stuck(1e9)
        assert pulse.stuck(1e9)
    assert not pulse.stuck(1e9)


UP_EDGE = EdgeState(up=True, excused=False, deaf=False)
AWAY_EDGE = EdgeState(up=False, excused=False, deaf=False)
DEAF_EDGE = EdgeState(up=True, excused=False, deaf=True)


@dataclass
class Broker:
    """An edge that is as it is told to be."""

    edge: EdgeState = UP_EDGE
    heard: bool = True
    works: bool = True
    rebuilt: int = 0
    tried: int = 0
    hangs: bool = False

    def state(self) -> EdgeState:
        return self.edge

    def heard_since(self, moment: float) -> bool:
        return self.heard

    async def rebuild(self) -> None:
        self.rebuilt += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def works_afresh(self) -> bool:
        self.tried += 1
        return self.works


@dataclass
class Ground:
    broker: Broker
    dog: Watchdog
    told: list[str]

    def listen(self) -> list[str]:
        """What systemd was told since the last time."""
        told = self.told.copy()
        self.told.clear()
        return told

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.002)

    async def fed(self) -> None:
        self.listen()
        await self.until(lambda: "WATCHDOG=1" in self.listen())


@asynccontextmanager
async def watched(
    broker: Broker, pulses: Pulses | None = None, health: Health = WELL, works: float = 0.05
) -> AsyncIterator[Ground]:
    async def look() -> Health:
        return health.judged()

    told: list[str] = []
    patience = Patience(rebuild=0.1, ill=0.03, hopeless=0.2, works=works)
    dog = Watchdog(broker, pulses or Pulses(), patience, look, interval_s=0.01, tell=told.append)
    task = asyncio.create_task(dog.run())
    try:
        yield Ground(broker, dog, told)
    finally:
        await end(task)


async def test_systemd_is_told_how_the_agent_is_once_for_each_change() -> None:
    async with watched(Broker()) as ground:
        await ground.until(lambda: ground.told.count("WATCHDOG=1") > 5)
        assert [line for line in ground.told if line.startswith("STATUS")] == ["STATUS=Serving as h1"]


async def test_a_broker_that_is_away_starves_nobody() -> None:
    async with watched(Broker(AWAY_EDGE, heard=False, works=False)) as ground:
        await ground.until(lambda: ground.broker.tried > 10)
        assert ground.dog.verdict.feed
        await ground.fed()


async def test_a_deaf_connection_is_built_anew_and_fed_meanwhile() -> None:
    async with watched(Broker(DEAF_EDGE, heard=False, works=False)) as ground:
        await ground.until(lambda: ground.broker.rebuilt == 2)
        await ground.fed()
        ground.broker.edge, ground.broker.heard = UP_EDGE, True
        rebuilt = ground.broker.rebuilt
        for _ in range(3):
            await ground.fed()
        assert ground.broker.rebuilt <= rebuilt + 1, "one was under way at most"


async def test_a_mending_that_hangs_keeps_nobody_from_being_told() -> None:
    async with watched(Broker(DEAF_EDGE, heard=False, works=False, hangs=True)) as ground:
        await ground.until(lambda: ground.told.count("WATCHDOG=1") > 50)
        assert ground.broker.rebuilt == 1


async def test_it_lets_go_when_a_fresh_connection_works_and_its_own_does_not_for_long() -> None:
    async with watched(Broker(DEAF_EDGE, heard=False)) as ground:
        await ground.until(lambda: not ground.dog.verdict.feed)
        assert ground.broker.rebuilt >= 1
        ground.listen()
        ground.broker.edge, ground.broker.heard = UP_EDGE, True
        await ground.fed()


async def test_a_fresh_connection_that_worked_once_and_no_more_says_nothing_of_the_agent() -> None:
    async with watched(Broker(AWAY_EDGE, heard=False), works=0.5) as ground:
        await ground.until(lambda: ground.broker.tried == 1)
        ground.broker.works = False
        await ground.until(lambda: ground.broker.tried > 30)
        assert ground.dog.verdict.feed


def test_a_pulse_that_began_while_all_stood_still_isnt_ahead_of_its_time() -> None:
    pulses = Pulses()
    pulse = pulses.of("events", limit_s=5)
    pulse.beat()
    pulses.pass_over(3600)
    assert pulse.stuck(time.monotonic() + 6)


async def test_up_again_but_not_heard_yet_is_not_well() -> None:
    """Else one that is connected and deaf, again and again, would look well in between."""
    async with watched(Broker(AWAY_EDGE, heard=False)) as ground:
        await ground.until(lambda: ground.broker.tried > 0)
        ground.broker.edge = UP_EDGE
        await ground.until(lambda: not ground.dog.verdict.feed)


async def test_a_stuck_part_is_not_fed_and_fed_again_when_it_turns() -> None:
    pulses = Pulses()
    pulse = pulses.of("events", limit_s=0.05)
    async with watched(Broker(), pulses) as ground:
        await ground.fed()
        with pulse.busy():
            await ground.until(lambda: not ground.dog.verdict.feed)
            assert ground.dog.verdict.why == "stuck: events"
        await ground.fed()


async def test_a_process_that_stood_still_is_not_stuck_for_that() -> None:
    """As after SIGSTOP, or when its host slept."""
    pulses = Pulses()
    pulse = pulses.of("events", limit_s=0.4)
    async with watched(Broker(), pulses) as ground:
        ground.dog.late_s = 0.2
        await ground.fed()
        with pulse.busy():
            time.sleep(0.8)
            await ground.fed()
            await ground.until(lambda: not ground.dog.verdict.feed)


async def test_a_health_that_cannot_be_made_ends_nobody() -> None:
    async with watched(Broker()) as ground:

        async def bug() -> Health:
            raise RuntimeError("a bug")

        ground.dog.look = bug
        await ground.fed()
        await ground.fed()


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (WELL, "Serving as h1"),
        (WELL.model_copy(update={"stopping": True}), "Finishing work"),
        (
            WELL.model_copy(
                update={
                    "broker": WELL.broker.model_copy(
                        update={
                            "commands": WELL.broker.commands.model_copy(
                                update={"up": False, "error": "ConnectionRefusedError"}
                            )
                        }
                    )
                }
            ),
            "Serving as h1; no connection to the broker b:5672/: ConnectionRefusedError "
            "since 2026-01-01 12:00:00 UTC",
        ),
        (
            WELL.model_copy(update={"recovery": WELL.recovery.model_copy(update={"done": False})}),
            "Starting as h1",
        ),
    ],
)
def test_the_status_line_says_what_is_wrong_and_since_when(health: Health, status: str) -> None:
    assert health.judged().status == status
