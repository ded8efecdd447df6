"""An agent's inside without its edge: real journal, fake hypervisor, operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.ports import Hypervisor
from agent.instances import Instances
from agent.journal import Journal
from agent.journal.records import Accepted, Address, Caller, NewOperation, OperationRecord, Repeated, Status
from agent.journal.sealing import KeyFile
from agent.operations import TABLE
from agent.operations.base import Operation
from agent.operations.control import CONTROL, Control
from agent.operations.runner import Operations
from agent.operations.turn import Limits
from agent.spec import BlankDisk, ConfigDrive, Frozen, InstanceSpec, UserInterface

ENDED = {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.UNKNOWN, Status.STUCK, Status.ABANDONED}


@dataclass
class Inside:
    """One agent without AMQP, on a directory; `again` is what a restart gives."""

    directory: Path
    journal: Journal
    hypervisor: Hypervisor
    instances: Instances
    operations: Operations
    world: FakeWorld
    table: Mapping[str, Operation[Any]] = field(default_factory=lambda: TABLE)

    @classmethod
    async def open(
        cls,
        directory: Path,
        max_pending: int = 1000,
        hangs_s: float = 5.0,
        table: Mapping[str, Operation[Any]] = TABLE,
        **driver: Any,
    ) -> Inside:
        """`driver`: what `fake_driver` takes, where it shall be otherwise than here."""
        key = KeyFile.load_or_create(directory / "journal.key")
        journal = await Journal.open(directory / "journal.db", key, host="h1")
        fast: dict[str, Any] = {"hostname": "h1", "poll": 0.02, "detach_timeout": 0.3}
        hypervisor = fake_driver(directory, **fast | driver)
        instances = Instances(max_waiting=4)
        limits = Limits(spawn_timeout_s=30, operation_timeout_s=30, max_pending=max_pending, hangs_s=hangs_s)
        operations = Operations(
            journal,
            hypervisor,
            instances,
            limits,
            lambda *_: None,
            CONTROL,
            table,
        )
        return cls(directory, journal, hypervisor, instances, operations, FakeWorld(directory), table)

    async def close(self) -> None:
        await self.operations.stop()
        await self.journal.close()

    async def again(self, **driver: Any) -> Inside:
        await self.close()
        return await Inside.open(self.directory, **driver)

    async def submit(self, method: str, state: Frozen, **given: Any) -> UUID:
        """Accept an operation and return its id, done or not."""
        saga = self.table[method].saga if method in self.table else CONTROL[method]
        asked: dict[str, Any] = {
            "identity": f"test/{uuid4()}",
            "fingerprint": "same",
            "method": method,
            "saga": saga.name,
            "saga_version": saga.version,
            "state": state,
            "instance_uuid": getattr(state, "instance_uuid", None),
            "caller": Caller(request_id="req-1"),
            "address": Address(format="plain", reply_to="answers"),
        }
        acceptance = await self.operations.accept(NewOperation(**{**asked, **given}))
        assert isinstance(acceptance, Accepted | Repeated)
        return acceptance.operation.id if isinstance(acceptance, Accepted) else acceptance.operation_id

    async def ended(self, operation_id: UUID) -> OperationRecord:
        async with asyncio.timeout(60):
            while (record := await self.journal.operation(operation_id)).status not in ENDED:
                await asyncio.sleep(0.005)
        return record

    async def do(self, method: str, state: Frozen, **given: Any) -> OperationRecord:
        return await self.ended(await self.submit(method, state, **given))

    async def control(self, method: str, operation_id: UUID) -> OperationRecord:
        return await self.do(method, Control(operation_id=operation_id))

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event.type, event.data) for event in await self.journal.events_from(1, 1000)]

    def leftovers(self, uuid: UUID) -> list[str]:
        """What there is of an instance, anywhere in the world."""
        left = ["domain"] if uuid in self.world.domains() else []
        return left + [str(path) for path in self.directory.rglob(f"*{uuid}*") if "journal" not in path.name]


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    opened = await Inside.open(tmp_path)
    yield opened
    await opened.close()


def spec(**fields: Any) -> InstanceSpec:
    uuid = fields.pop("uuid", uuid4())
    base: dict[str, Any] = {
        "uuid": uuid,
        "name": f"vm-{str(uuid)[:8]}",
        "vcpus": 1,
        "memory_mb": 64,
        "disks": (BlankDisk(id="disk0", size_mb=1),),
        "interfaces": (UserInterface(port_id=f"p-{str(uuid)[:8]}", mac_address="52:54:00:00:00:01"),),
        "config_drive": ConfigDrive(hostname="vm"),
    }
    return InstanceSpec(**{**base, **fields})
