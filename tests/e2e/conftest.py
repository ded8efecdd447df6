"""Real parts: a broker, a libvirtd, a bridge, the guest image; agents as processes of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.rig import Rig, rig_directory


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    with rig_directory() as directory, Rig(directory) as started:
        yield started


@pytest.fixture
def host() -> str:
    """A host name of this test's own, so that tests share a broker and nothing else."""
    return f"h-{uuid4().hex[:8]}"


@pytest.fixture
def fake_agent(rig: Rig, host: str) -> Iterator[Daemon]:
    """An agent with the fake driver, ready."""
    environment = {**rig.environment, "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake"}
    with Daemon(rig.directory / host, host, environment) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def agent(rig: Rig) -> Iterator[Daemon]:
    """An agent with libvirt, ready; one for all tests of a file."""
    host = f"v-{uuid4().hex[:8]}"
    image = Path(rig.environment["RIG_GUEST_IMAGE"])
    environment = {
        **rig.environment,
        "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": f'["{image.parent}", "{rig.directory}"]',
        "COMPUTE_AGENT_HYPERVISOR__DETACH_TIMEOUT_S": "20",
        "COMPUTE_AGENT_LOG__LEVEL": "debug",
    }
    with Daemon(rig.directory / host, host, environment) as daemon:
        yield daemon


@pytest.fixture
async def client(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[PlainClient]:
    """Talks to whichever agent the test has."""
    name = "agent" if "agent" in request.fixturenames else "fake_agent"
    daemon: Daemon = request.getfixturevalue(name)
    async with PlainClient(rig.broker.url, daemon.host) as connected:
        yield connected
