"""cancel_operation, retry_operation, abandon_operation: changes to operations, not to instances.

They are journaled and answered as every change, but hold no mailbox: what they act on may be waiting in one.
"""

from __future__ import annotations

from uuid import UUID

from agent.errors import OperationStuck
from agent.journal.records import Status
from agent.operations.runner import Operations
from agent.saga import Saga, Step
from agent.spec import Frozen


class Control(Frozen):
    operation_id: UUID
    ended_as: Status | None = None


async def cancel(operations: Operations, state: Control) -> Control:
    record = await operations.cancel(state.operation_id)
    return state.model_copy(update={"ended_as": record.status})


async def retry(operations: Operations, state: Control) -> Control:
    record = await operations.retry(state.operation_id)
    if record.status is Status.STUCK:
        raise OperationStuck(f"operation {record.id} is stuck again", details=record.error or {})
    return state.model_copy(update={"ended_as": record.status})


async def abandon(operations: Operations, state: Control) -> Control:
    record = await operations.abandon(state.operation_id)
    return state.model_copy(update={"ended_as": record.status})


# One step each and no undo: the operation acted on has its own.
CONTROL: dict[str, Saga[Operations, Control]] = {
    saga.name: saga
    for saga in (
        Saga("cancel_operation", Control, (Step("cancel", cancel),)),
        Saga("retry_operation", Control, (Step("retry", retry),)),
        Saga("abandon_operation", Control, (Step("abandon", abandon),)),
    )
}
