"""A power cut of the host as the agent finds it: its guests are off, and the kernel says it is another boot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import apsw
import pytest
from pydantic import SecretStr

from agent.hypervisor.fake.control import FakeWorld
from agent.journal.records import Accepted, Caller, NewOperation, Status
from agent.operations.spawn import SPAWN, Spawn
from agent.power import PowerStates
from agent.service import Service
from agent.settings import Amqp, Hypervisor, Operations, Settings
from agent.spec import PowerState
from tests.integration.libvirt_ground import spec
from tests.rig.libvirtd import Libvirtd
from tests.rig.places import rig_directory


@pytest.fixture
def place() -> Iterator[Path]:
    with rig_directory() as directory:
        yield directory


def settings(place: Path, hypervisor: Hypervisor, *, resume: bool = True) -> Settings:
    return Settings(
        host="h1",
        state_dir=place / "state",
        amqp=Amqp(url=SecretStr("amqp://guest:guest@127.0.0.1:9/"), reconnect_s=0.5),
        hypervisor=hypervisor,
        operations=Operations(resume_guests_after_boot=resume),
    )


@asynccontextmanager
async def agent(asked: Settings) -> AsyncIterator[Service]:
    """Running, and what its hypervisor told first is recorded."""
    service = Service(asked)
    running = asyncio.create_task(service.run())
    try:
        async with asyncio.timeout(60):
            while getattr(service, "consumer", None) is None:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            await service.power.resynced.wait()
        yield service
    finally:
        service.stop()
        await asyncio.wait({running})
    assert running.exception() is None


async def until(power: PowerStates, uuid: UUID, state: PowerState) -> None:
    async with asyncio.timeout(60):
        while power.last_known(uuid) is not state:
            await asyncio.sleep(0.01)


async def spawn(service: Service) -> UUID:
    asked = spec()
    new = NewOperation(
        identity="spawn",
        fingerprint="f",
        method="spawn",
        saga="spawn",
        saga_version=SPAWN.saga.version,
        state=Spawn(instance_uuid=asked.uuid, spec=asked),
        instance_uuid=asked.uuid,
        caller=Caller(),
        address=None,
    )
    acceptance = await service.operations.accept(new)
    assert isinstance(acceptance, Accepted)
    await service.instances.ended(acceptance.operation.id)
    assert (await service.journal.operation(acceptance.operation.id)).status is Status.SUCCEEDED
    await until(service.power, asked.uuid, PowerState.RUNNING)
    return asked.uuid


def other_boot(place: Path) -> None:
    """The journal's last boot isn't this one."""
    db = apsw.Connection(str(place / "state" / "journal.db"))
    db.execute("UPDATE journal SET boot_id = 'of a boot before'")
    db.close()


async def power_events(service: Service, uuid: UUID) -> list[tuple[str, str, str | None]]:
    events = await service.journal.events_from(1, 1000)
    told = [e for e in events if e.type == "compute.instance.power_state" and e.subject == uuid]
    return [(e.data["new"], e.data["observed"], e.data["request_id"]) for e in told]


async def test_on_make_believe_guests(place: Path) -> None:
    asked = settings(place, Hypervisor(driver="fake"))
    async with agent(asked) as service:
        uuid = await spawn(service)
    FakeWorld(place / "state").destroy(uuid)
    other_boot(place)
    async with agent(asked) as service:
        await until(service.power, uuid, PowerState.RUNNING)
        boot = f"boot-{await service.journal.last_boot()}"
        assert (await power_events(service, uuid))[-2:] == [
            ("shutdown", "resync", None),
            ("running", "live", boot),
        ]


async def test_on_make_believe_guests_without_the_setting_they_stay_off(place: Path) -> None:
    asked = settings(place, Hypervisor(driver="fake"), resume=False)
    async with agent(asked) as service:
        uuid = await spawn(service)
    FakeWorld(place / "state").destroy(uuid)
    other_boot(place)
    async with agent(asked) as service:
        await until(service.power, uuid, PowerState.SHUTDOWN)
        assert await service.journal.last_boot() != "of a boot before"
        assert await service.journal.first_to_start() is None


async def test_on_libvirt(place: Path, libvirtd: Libvirtd) -> None:
    asked = settings(place, Hypervisor(driver="libvirt", uri=libvirtd.uri, virt_type="qemu"))
    async with agent(asked) as service:
        uuid = await spawn(service)
    try:
        await asyncio.to_thread(libvirtd.virsh, "destroy", str(uuid))
        other_boot(place)
        async with agent(asked) as service:
            await until(service.power, uuid, PowerState.RUNNING)
            assert (await service.hypervisor.domains.get(uuid)).power_state is PowerState.RUNNING
    finally:
        await asyncio.to_thread(libvirtd.virsh, "destroy", str(uuid))
        await asyncio.to_thread(libvirtd.virsh, "undefine", str(uuid))
