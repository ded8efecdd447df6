"""Every operation, struck at each call that it makes: failing, stopped, cancelled, its outcome unknown.

Whatever strikes, the answer tells what is the case: success means that all of it is there, an error of what
can be undone that nothing is; and what has no undo gets there when it is asked again.
"""

from __future__ import annotations

import pytest

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import OperationRecord, Status
from agent.operations import TABLE
from tests.sagas.ground import Strike, picture
from tests.sagas.trial import (
    WHEN,
    Model,
    Stage,
    check_told,
    do,
    fail,
    hangs_or_ended,
    struck,
    submit,
    undo_calls,
    undone,
)
from tests.unit.operations.conftest import Inside

EVERY = pytest.mark.parametrize("method", TABLE)
EACH_WHEN = pytest.mark.parametrize("when", WHEN)
WITH_UNDO = pytest.mark.parametrize("method", [method for method in TABLE if undone(method)])


def check_truth(inside: Inside, expected: Model, record: OperationRecord) -> None:
    now = picture(inside)
    if record.status is Status.SUCCEEDED:
        assert now == expected.after
    elif undone(expected.method) or not record.steps:
        assert now == expected.before, record.error


async def check_again(inside: Inside, expected: Model) -> None:
    """A new request for the same finds its way from whatever was left."""
    again = await do(inside, expected.method)
    assert again.status is Status.SUCCEEDED, again.error
    assert picture(inside) == expected.after


@EACH_WHEN
@EVERY
async def test_a_failure_at_any_call_is_told_truly(method: str, when: str, stage: Stage) -> None:
    expected = await stage.model(method)
    hits = 0
    for at in range(len(expected.calls)):
        async with stage.ready(method, Strike(at, fail("no_capacity", when))) as (inside, _):
            record = await do(inside, method)
            hits += struck(inside)
            assert record.status in (Status.SUCCEEDED, Status.FAILED)
            check_truth(inside, expected, record)
            await check_told(inside, record)
            await check_again(inside, expected)
    assert hits or when == "half"


@EACH_WHEN
@EVERY
async def test_a_stop_at_any_call_is_followed_by_finishing(method: str, when: str, stage: Stage) -> None:
    expected = await stage.model(method)
    hang = Fault(call="*", when=when, hang=True)
    for at in range(len(expected.calls)):
        async with stage.ready(method, Strike(at, hang)) as (inside, _):
            operation = await submit(inside, method)
            await hangs_or_ended(inside, operation)
        async with stage.restarted(method) as after:
            record = await after.ended(operation)
            assert record.status is Status.SUCCEEDED, record.error
            assert picture(after) == expected.after
            await check_told(after, record)


@EACH_WHEN
@EVERY
async def test_an_unknown_outcome_at_any_call_is_settled(method: str, when: str, stage: Stage) -> None:
    expected = await stage.model(method)
    for at in range(len(expected.calls)):
        async with stage.ready(method, Strike(at, fail("timed_out", when))) as (inside, _):
            record = await do(inside, method)
            if record.status is Status.UNKNOWN:
                await check_told(inside, record)
                retry = await inside.control("retry_operation", record.id)
                assert retry.status is Status.SUCCEEDED, retry.error
                record = await inside.journal.operation(record.id)
                await check_told(inside, record, endings=2)
            else:
                # Not known how it was: nothing was begun. Not known how it is: all was done.
                assert record.status is (Status.FAILED if not record.steps else Status.SUCCEEDED)
            check_truth(inside, expected, record)
            await check_again(inside, expected)


@EACH_WHEN
@EVERY
async def test_cancelled_at_any_call_it_is_undone_or_done(method: str, when: str, stage: Stage) -> None:
    expected = await stage.model(method)
    hang = Fault(call="*", when=when, hang=True)
    for at in range(len(expected.calls)):
        async with stage.ready(method, Strike(at, hang)) as (inside, _):
            operation = await submit(inside, method)
            if await hangs_or_ended(inside, operation):
                await inside.control("cancel_operation", operation)
            record = await inside.ended(operation)
            assert record.status in (Status.SUCCEEDED, Status.CANCELLED)
            check_truth(inside, expected, record)
            await check_told(inside, record)
            await check_again(inside, expected)


@EACH_WHEN
@WITH_UNDO
async def test_an_undo_that_fails_at_any_call_is_stuck_until_it_is_retried(
    method: str, when: str, stage: Stage
) -> None:
    first, made = await undo_calls(method, stage)
    for at in range(first + 1, made):
        strikes = [Strike(first, fail("no_capacity", "after")), Strike(at, fail("operation_failed", when))]
        async with stage.ready(method, *strikes) as (inside, _):
            before = picture(inside)
            record = await do(inside, method)
            if record.status is Status.STUCK:
                retry = await inside.control("retry_operation", record.id)
                assert retry.status is Status.SUCCEEDED, retry.error
            else:
                assert record.status is Status.FAILED
                assert when == "half"
            assert picture(inside) == before


@EACH_WHEN
@WITH_UNDO
async def test_a_stop_while_undoing_is_followed_by_undoing(method: str, when: str, stage: Stage) -> None:
    first, made = await undo_calls(method, stage)
    for at in range(first + 1, made):
        hang = Strike(at, Fault(call="*", when=when, hang=True))
        async with stage.ready(method, Strike(first, fail("no_capacity", "after")), hang) as (inside, _):
            before = picture(inside)
            operation = await submit(inside, method)
            await hangs_or_ended(inside, operation)
        async with stage.restarted(method) as after:
            record = await after.ended(operation)
            assert record.status in (Status.FAILED, Status.CANCELLED)
            assert picture(after) == before
            await check_told(after, record)
