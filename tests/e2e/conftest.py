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


@pytest.fixture
def agent(rig: Rig, host: str) -> Iterator[Daemon]:
    """An agent with libvirt, ready."""
    image = Path(rig.environment["RIG_GUEST_IMAGE"])
    allowed = f'["{image.parent}", "{rig.directory}"]'
    environment = {**rig.environment, "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": allowed}
    with Daemon(rig.directory / host, host, environment) as daemon:
        yield daemon


@pytest.fixture
async def client(rig: Rig, host: str, request: pytest.FixtureRequest) -> AsyncIterator[PlainClient]:
    """Talks to whichever agent the test has."""
    for name in ("agent", "fake_agent"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    async with PlainClient(rig.broker.url, host) as connected:
        yield connected
