"""One world of each kind for the whole session, one booted guest in it, and a clean host after each test.

Everything here and every contract test runs in one loop: a driver belongs to the loop it was started in.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.errors import NotFound
from agent.spec import InstanceSpec, PowerState
from tests.contract.world import World, eventually, made

WORLDS = {"fake": "tests.contract.fake_world:FakeHost", "libvirt": "tests.contract.libvirt_world:LibvirtHost"}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=sorted(WORLDS))
async def host(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The world that all share; tests take `world`."""
    module, _, name = WORLDS[request.param].partition(":")
    new: World = getattr(importlib.import_module(module), name)()
    try:
        await new.start()
        yield new
    finally:
        await new.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def world(host: World) -> AsyncIterator[World]:
    """A host with nothing of other tests on it, but the booted guest when one of them asked for it."""
    yield host
    await host.clean()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(host: World) -> InstanceSpec:
    """Booting takes seconds: all tests that need a guest whose system is up take this one, as `booted`."""
    spec = host.bootable()
    host.keep.add(spec.uuid)
    await made(host, spec)
    return spec


@pytest_asyncio.fixture(loop_scope="session")
async def booted(world: World, shared: InstanceSpec) -> InstanceSpec:
    """A guest whose system is up, whatever the test before did to it."""
    domains = world.hypervisor.domains
    try:
        view = await domains.get(shared.uuid)
    except NotFound:
        await made(world, shared)
        view = await domains.get(shared.uuid)
    if view.power_state is PowerState.PAUSED:
        await domains.unpause(shared.uuid)
    else:
        await domains.start(shared.uuid)
    await world.wait_ready(shared.uuid)
    await eventually(world, lambda: is_heard_of(world, shared))
    for disk in view.disks:
        if disk.removable:
            await domains.detach_disk(shared.uuid, disk.id)
    return shared


async def is_heard_of(world: World, spec: InstanceSpec) -> bool:
    """What was done to it is observed, too: what is marked from now on sees nothing of that."""
    view = await world.hypervisor.domains.get(spec.uuid)
    return world.observed.last(spec.uuid) == (view.power_state, view.reason)
