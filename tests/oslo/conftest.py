"""A broker, agents with the fake driver as processes of their own, and the library beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.daemon import Daemon
from tests.oslo.library import Oslo
from tests.rig.broker import Broker
from tests.rig.places import rig_directory


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with rig_directory() as directory, Broker(directory) as running:
        yield running


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """It is restarted: that is nothing for others."""
    with rig_directory() as directory, Broker(directory) as running:
        yield running


def environment(broker: Broker, topic: str, **settings: str) -> dict[str, str]:
    return {
        "COMPUTE_AGENT_AMQP__URL": broker.url,
        "COMPUTE_AGENT_AMQP__RECONNECT_S": "0.3",
        "COMPUTE_AGENT_RPC__EXCHANGE": topic,
        "COMPUTE_AGENT_RPC__TOPIC": topic,
        # What the library's clients declare when nothing is set there.
        "COMPUTE_AGENT_RPC__EXCHANGE_DURABLE": "false",
        "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
        **{f"COMPUTE_AGENT_{name.upper()}": value for name, value in settings.items()},
    }


@pytest.fixture(scope="module")
def topic() -> str:
    """Names of this file's own, so that files share a broker and nothing else."""
    return f"o-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def agent(broker: Broker, topic: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Ready; one for all tests of a file."""
    with Daemon(tmp_path_factory.mktemp("agent"), "h1", environment(broker, topic)) as daemon:
        yield daemon


@pytest.fixture
async def oslo(broker: Broker, topic: str, agent: Daemon, tmp_path: Path) -> AsyncIterator[Oslo]:
    async with Oslo(broker.url, tmp_path / "oslo.log", exchange=topic, topic=topic) as library:
        yield library
