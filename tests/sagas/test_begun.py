"""Killed after its start was told and before its first step: it was begun, and no mark says so."""

from __future__ import annotations

import pytest

from agent.journal.records import Accepted, Caller, NewOperation, Status
from agent.operations import TABLE
from agent.operations.outcome import event
from tests.sagas.cases import CASES
from tests.sagas.ground import picture
from tests.sagas.trial import Stage


@pytest.mark.parametrize("method", TABLE)
async def test_it_tells_its_start_once_and_its_own_generation_is_no_conflict(method: str, stage: Stage) -> None:
    expected = await stage.model(method)
    async with stage.ready(method) as (inside, _):
        state = CASES[method].asked(inside.directory)
        generation = await inside.journal.generation(state.instance_uuid)
        new = NewOperation(
            identity="begun",
            fingerprint="same",
            method=method,
            saga=TABLE[method].saga.name,
            saga_version=TABLE[method].saga.version,
            state=state,
            instance_uuid=state.instance_uuid,
            caller=Caller(),
            address=None,
            if_generation=generation,
        )
        accepted = await inside.journal.accept(new)
        assert isinstance(accepted, Accepted)
        operation = accepted.operation
        start = event(operation, "start", {})
        assert await inside.journal.begin_change(operation.id, state.instance_uuid, [start]) == generation + 1
    async with stage.restarted(method) as after:
        record = await after.ended(operation.id)
        assert record.status is Status.SUCCEEDED, record.error
        assert picture(after) == expected.after
        told = [e for e in await after.journal.events_from(1, 1000) if e.data["operation_id"] == str(operation.id)]
        assert [e.type for e in told] == [f"compute.instance.{method}.start", f"compute.instance.{method}.end"]
        assert told[0].data["generation"] == generation + 1
