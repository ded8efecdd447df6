"""The journal can't be written while an operation of unknown outcome is to be undone before the next change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

import apsw

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Status
from agent.operations.base import State
from agent.operations.destroy import Destroy
from agent.operations.spawn import Spawn
from agent.spec import InstanceSpec, PowerState
from tests.unit.operations.conftest import Inside, spec

LOOK = Fault(call="domains.get", hang=True, times=1)
"""Whether an operation of unknown outcome can be seen."""
LAST = Fault(call="domains.undefine", when="after", hang=True, times=1)
"""All of the instance is gone."""


@contextmanager
def held(inside: Inside) -> Iterator[None]:
    """By another process, inside; it can be read."""
    other = apsw.Connection(str(inside.directory / "journal.db"))
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def spawning(asked: InstanceSpec) -> Spawn:
    return Spawn(instance_uuid=asked.uuid, spec=asked)


async def unknown(inside: Inside, asked: InstanceSpec) -> UUID:
    """A spawn that left something of which nothing can be seen."""
    inside.world.faults.add(Fault(call="domains.define", error="timed_out", times=1))
    record = await inside.do("spawn", spawning(asked))
    assert record.status is Status.UNKNOWN
    assert inside.leftovers(asked.uuid) != []
    return record.id


@asynccontextmanager
async def amid(inside: Inside, hanging: Fault, method: str, state: State) -> AsyncIterator[UUID]:
    """Inside, the operation couldn't write what comes after the call that hung."""
    inside.world.faults.clear()
    inside.world.faults.add(hanging)
    operation = await inside.submit(method, state)
    async with asyncio.timeout(30):
        while not any(fault.taken for fault in inside.world.faults.all()):
            await asyncio.sleep(0.005)
        with held(inside):
            inside.world.faults.clear()
            while inside.journal.trouble is None:
                await asyncio.sleep(0.005)
            yield operation


async def test_it_is_undone_as_soon_as_that_can_be_written_and_the_next_change_is_done(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, asked)
    async with amid(inside, LOOK, "spawn", spawning(asked)) as following:
        pass
    assert (await inside.ended(following)).status is Status.SUCCEEDED
    assert (await inside.ended(late)).status is Status.CANCELLED
    assert (await inside.hypervisor.domains.get(asked.uuid)).power_state is PowerState.RUNNING


async def test_it_is_undone_also_when_the_next_change_is_cancelled_meanwhile(inside: Inside) -> None:
    asked = spec()
    late = await unknown(inside, asked)
    async with amid(inside, LOOK, "spawn", spawning(asked)) as following:
        cancelling = asyncio.create_task(inside.instances.cancel(following, "a test asked for it"))
        await asyncio.wait({cancelling}, timeout=0.05)
    await cancelling
    assert (await inside.ended(following)).status is Status.CANCELLED
    assert (await inside.ended(late)).status is Status.CANCELLED
    assert inside.leftovers(asked.uuid) == []


async def test_a_destroy_waits_until_what_it_has_ended_can_be_written(inside: Inside) -> None:
    asked = spec()
    inside.world.faults.add(Fault(call="domains.define", when="after", error="timed_out", times=1))
    late = (await inside.do("spawn", spawning(asked))).id
    async with amid(inside, LAST, "destroy", Destroy(instance_uuid=asked.uuid)) as destroy:
        pass
    assert (await inside.ended(destroy)).status is Status.SUCCEEDED
    assert (await inside.ended(late)).status is Status.CANCELLED
