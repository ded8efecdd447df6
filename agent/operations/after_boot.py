"""Guests that ran when the host went down are started again, where a setting says so.

    another boot id ──> who should run is noted in the journal ──> hypervisor listed ──> started, a few at a time

Each start is an operation of the agent's own: in the journal, with events, refused where a caller's would be. It
is off by default: who sees that a host is gone may have the same guest running elsewhere by the time it is back.

"Should run" is what was last known before the host went down, seen or asked for, whichever is newer. An instance
whose operation isn't ended, or is stuck, is left to that operation.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog

from agent.errors import AgentError
from agent.instances import Instances
from agent.journal import UNFINISHED, Journal
from agent.journal.records import Accepted, Caller, NewOperation, OperationRecord, Status
from agent.operations.power import START, Power
from agent.operations.runner import RETRYABLE, Operations
from agent.spec import PowerState

log = structlog.get_logger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
AT_ONCE = 2
"""Starts under way: others want the hypervisor too."""
LOOKED_AT = 20
"""An instance's last operations among which one is that asked for a power state."""
AGAIN_S = 5.0

ASKED_TO_RUN: dict[str, bool] = {
    "spawn": True,
    "start": True,
    "reboot": True,
    "unpause": True,
    "resume": True,
    "stop": False,
    "pause": False,
    "suspend": False,
    "destroy": False,
}
"""What a method that succeeded asked for. One that was paused or suspended isn't made to run."""


def read_boot_id() -> str | None:
    """None where the kernel doesn't say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


def should_run(seen: str, seen_at: datetime, operations: list[OperationRecord]) -> bool:
    """`operations` of the instance, newest first."""
    if any(record.status in (*UNFINISHED, *RETRYABLE) for record in operations):
        return False
    done = (r for r in operations if r.method in ASKED_TO_RUN and r.status is Status.SUCCEEDED and r.ended_at)
    last = next(done, None)
    if last is not None and last.ended_at is not None and last.ended_at > seen_at:
        return ASKED_TO_RUN[last.method]
    return seen == PowerState.RUNNING


async def note_boot(journal: Journal, boot_id: str | None, *, resume: bool) -> int:
    """Before anything of this boot is recorded. How many are to be started; none when this is no other boot, or
    the first one of all."""
    last = await journal.last_boot()
    if boot_id is None or boot_id == last:
        return 0
    wanted = await _who_should_run(journal) if resume and last is not None else []
    await journal.begin_boot(boot_id, wanted)
    log.info("host.booted", boot_id=boot_id, to_start=len(wanted))
    return len(wanted)


async def _who_should_run(journal: Journal) -> list[UUID]:
    found = []
    for uuid, (seen, at) in (await journal.last_states()).items():
        if should_run(seen, at, await journal.operations(instance_uuid=uuid, limit=LOOKED_AT)):
            found.append(uuid)
    return found


class AfterBoot:
    """Starts those that wait; `run` once the hypervisor has told what is there, and cancel it to stop."""

    def __init__(
        self, journal: Journal, operations: Operations, instances: Instances, boot_id: str | None
    ) -> None:
        self._journal = journal
        self._operations = operations
        self._instances = instances
        self._boot_id = boot_id
        self._taking = asyncio.Lock()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._start_all())

    async def _start_all(self) -> None:
        while True:
            try:
                operation = await self._next()
            except AgentError as error:  # the journal's disk is full: they wait
                log.warning("after_boot.waiting", error=error.message)
                await asyncio.sleep(AGAIN_S)
                continue
            if operation is None:
                return
            await self._instances.ended(operation)

    async def _next(self) -> UUID | None:
        """The next one's start, accepted; None when there is none left."""
        async with self._taking:
            while (uuid := await self._journal.first_to_start()) is not None:
                acceptance = await asyncio.shield(self._operations.accept(self._start(uuid)))
                await self._journal.started(uuid)
                if isinstance(acceptance, Accepted):
                    return acceptance.operation.id
            return None

    def _start(self, uuid: UUID) -> NewOperation:
        """The same identity whenever it is asked for in this boot."""
        saga, state = START.saga, Power(instance_uuid=uuid)
        return NewOperation(
            identity=f"agent/boot-{self._boot_id}/{uuid}",
            fingerprint=self._journal.fingerprint(saga.name, str(uuid).encode()),
            method=saga.name,
            saga=saga.name,
            saga_version=saga.version,
            state=state,
            instance_uuid=uuid,
            caller=Caller(request_id=f"boot-{self._boot_id}"),
            address=None,
        )
