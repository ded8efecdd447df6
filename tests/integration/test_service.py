"""One agent from start to end, in this process: the fake driver, and no broker to be found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from pydantic import SecretStr

from agent.journal import StartRefused
from agent.rpc.tasks import end
from agent.service import Service
from agent.settings import Amqp, Hypervisor, Settings

PATIENCE_S = 120.0


def settings(directory: Path) -> Settings:
    return Settings(
        host="h1",
        state_dir=directory / "state",
        amqp=Amqp(url=SecretStr("amqp://guest:guest@127.0.0.1:9/"), reconnect_s=0.05),
        hypervisor=Hypervisor(driver="fake"),
    )


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    made = Service(settings(tmp_path))
    yield made
    made.stop()


async def begun(service: Service) -> asyncio.Task[None]:
    """Running until it waits for its broker."""
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(PATIENCE_S):
        while not running.done() and getattr(service, "consumer", None) is None:
            await asyncio.sleep(0.01)
        while not running.done() and service.consumer._task is None:
            await asyncio.sleep(0.01)
    return running


async def ended(running: asyncio.Task[None]) -> BaseException | None:
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({running})
    return running.exception()


async def test_an_agent_without_a_broker_stops_when_it_is_told(service: Service) -> None:
    running = await begun(service)
    service.stop()
    assert await ended(running) is None


async def test_an_agent_whose_consumer_dies_ends_instead_of_taking_nothing(service: Service) -> None:
    running = await begun(service)
    assert service.consumer._task is not None
    await end(service.consumer._task)
    death = await ended(running)
    assert isinstance(death, ExceptionGroup)
    assert "the consumer of commands has ended by itself" in str(death.exceptions)


@pytest.mark.parametrize("turns", range(4))
async def test_however_early_its_consumer_dies_it_ends(service: Service, turns: int) -> None:
    """What runs beside it is ended amid its first steps, each of which is over in a turn or two of the loop."""
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(PATIENCE_S):
        while getattr(service, "consumer", None) is None or service.consumer._task is None:
            await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    await end(service.consumer._task)
    assert isinstance(await ended(running), ExceptionGroup)


async def test_a_second_agent_in_one_state_directory_is_refused(service: Service, tmp_path: Path) -> None:
    running = await begun(service)
    with pytest.raises(StartRefused, match="one agent per host name and state directory"):
        await Service(settings(tmp_path)).run()
    service.stop()
    assert await ended(running) is None


async def test_a_journal_that_is_away_keeps_no_agent_from_stopping(service: Service, tmp_path: Path) -> None:
    running = await begun(service)
    other = apsw.Connection(str(tmp_path / "state" / "journal.db"))
    other.set_busy_timeout(60_000)  # the agent may be writing just now
    other.execute("BEGIN IMMEDIATE")
    service.stop()
    assert await ended(running) is None
    other.close()
