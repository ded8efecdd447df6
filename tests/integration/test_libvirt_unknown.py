"""Operations on a libvirtd that goes deaf in the midst of a start: whatever comes late, nobody is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent import deadline
from agent.hypervisor.doubts import QUIET_S
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.ports import Domains
from agent.instances import Instances
from agent.journal import Journal
from agent.journal.records import OperationRecord, Status
from agent.journal.sealing import KeyFile
from agent.operations.control import CONTROL
from agent.operations.destroy import Destroy
from agent.operations.runner import Operations
from agent.operations.spawn import Spawn
from agent.operations.turn import Limits
from agent.spec import InstanceSpec
from tests.integration.libvirt_ground import NOTICED_LATE, Ground, ground, spec
from tests.rig.libvirtd import Libvirtd
from tests.unit.operations.conftest import ENDED, Inside

CALL_S = 2.0
"""Seconds that the start may take: far less than keepalive needs to notice."""


@dataclass
class DeafAtStart:
    """The guests of a libvirtd that goes deaf at the next start once `armed`."""

    domains: Domains
    freeze: Callable[[], None]
    armed: bool = False
    deaf: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.domains, name)

    async def start(self, uuid: UUID) -> None:
        seconds = None
        if self.armed:
            self.armed, seconds = False, CALL_S
            self.freeze()
            self.deaf.set()
        with deadline.within(seconds):
            await self.domains.start(uuid)


@dataclass
class Stage:
    made: Ground
    inside: Inside
    guests: DeafAtStart

    async def spawn_into_deafness(self) -> tuple[InstanceSpec, UUID]:
        """A start opens the connections first; then one that libvirtd doesn't hear in time."""
        assert (await self._spawn(spec())).status is Status.SUCCEEDED
        self.guests.armed = True
        asked = spec()
        operation = await self.inside.submit("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
        await self.guests.deaf.wait()
        return asked, operation

    async def _spawn(self, asked: InstanceSpec) -> OperationRecord:
        return await self.inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))

    async def destroy(self, asked: InstanceSpec) -> UUID:
        return await self.inside.submit("destroy", Destroy(instance_uuid=asked.uuid))

    async def unended(self, operation: UUID) -> None:
        await asyncio.sleep(2 * CALL_S)  # nothing can be waited for: nothing shall come
        assert (await self.inside.journal.operation(operation)).status not in ENDED

    async def check_gone(self, asked: InstanceSpec) -> None:
        await asyncio.sleep(QUIET_S)  # nothing can be waited for: nothing more shall come
        assert str(asked.uuid) not in await self.made.virsh("list", "--all", "--uuid")
        assert not (self.inside.directory / "instances" / str(asked.uuid)).exists()


@pytest.fixture
async def stage(libvirtd: Libvirtd, tmp_path: Path) -> AsyncIterator[Stage]:
    """Guests are real, their disks are not."""
    fake = fake_driver(tmp_path, hostname="h1")
    async with ground(libvirtd, tmp_path / "instances", keepalive_s=NOTICED_LATE) as made:
        guests = DeafAtStart(made.domains, libvirtd.freeze)
        hypervisor = replace(fake, domains=guests)
        key = KeyFile.load_or_create(tmp_path / "journal.key")
        journal = await Journal.open(tmp_path / "journal.db", key, host="h1")
        instances = Instances(max_waiting=4)
        limits = Limits(spawn_timeout_s=60, operation_timeout_s=60, max_pending=100)
        operations = Operations(journal, hypervisor, instances, limits, lambda *_: None, CONTROL)
        inside = Inside(tmp_path, journal, hypervisor, instances, operations, FakeWorld(tmp_path))
        try:
            yield Stage(made, inside, guests)
        finally:
            libvirtd.thaw()
            await inside.close()


async def test_the_destroy_of_a_guest_that_starts_late_waits_for_it(stage: Stage, libvirtd: Libvirtd) -> None:
    asked, spawn = await stage.spawn_into_deafness()
    assert (await stage.inside.ended(spawn)).status is Status.UNKNOWN
    destroy = await stage.destroy(asked)
    await stage.unended(destroy)
    libvirtd.thaw()
    record = await stage.inside.ended(destroy)
    assert record.status is Status.SUCCEEDED, record.error
    await stage.check_gone(asked)


async def test_a_spawn_cancelled_in_its_start_is_undone_when_the_start_has_come_back(
    stage: Stage, libvirtd: Libvirtd
) -> None:
    asked, spawn = await stage.spawn_into_deafness()
    destroy = await stage.destroy(asked)
    await stage.unended(spawn)  # past the deadline of its call, too
    libvirtd.thaw()
    assert (await stage.inside.ended(spawn)).status is Status.CANCELLED
    record = await stage.inside.ended(destroy)
    assert record.status is Status.SUCCEEDED, record.error
    await stage.check_gone(asked)


async def test_a_spawn_that_was_late_may_be_asked_for_again_and_runs(stage: Stage, libvirtd: Libvirtd) -> None:
    asked, spawn = await stage.spawn_into_deafness()
    assert (await stage.inside.ended(spawn)).status is Status.UNKNOWN
    again = await stage.inside.submit("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    await stage.unended(again)
    libvirtd.thaw()
    record = await stage.inside.ended(again)
    assert record.result is not None
    assert (record.result["already"], record.result["power_state"]) == (True, "running")
