"""Each guest runs on exactly one host, whoever is killed in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import Broker, rig_directory
from tests.scheduler.trial import Result, Size, Trial, run


@pytest.fixture
def ground() -> Iterator[tuple[Path, Broker]]:
    with rig_directory() as directory, Broker(directory / "broker") as broker:
        yield directory, broker


def holds(result: Result, size: Size) -> None:
    assert len(result.hosts_of) == size.guests
    assert set(result.hosts_of.values()) == {1}
    assert result.states == Counter(running=size.guests)
    assert result.in_the_middle >= 2
    assert result.sent_twice >= 2  # those that the dead agent was amid
    assert result.too_early == 0
    assert result.kept >= 1  # a guest lives on without its agent
    assert max(result.per_host.values()) <= size.vcpus


@pytest.mark.timeout(900)
async def test_forty_guests_over_four_agents(ground: tuple[Path, Broker]) -> None:
    size = Size(hosts=4, guests=40, at_once=8)
    holds(await run(Trial(*ground, size, print)), size)


@pytest.mark.slow
@pytest.mark.timeout(1500)
async def test_two_hundred_guests_over_twenty_agents(ground: tuple[Path, Broker]) -> None:
    size = Size(hosts=20, guests=200, at_once=32)
    holds(await run(Trial(*ground, size, print)), size)
