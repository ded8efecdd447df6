"""Journals of earlier releases, and one of this tree, opened by today's agent: what they had under way is resumed,
undone or kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.journal.records import Caller, NewOperation, OperationRecord, Repeated, Status
from agent.operations import TABLE
from tests.journals.left import CASES, SECRET, Case, uuid_of
from tests.journals.record import HERE, put_back, record
from tests.unit.operations.conftest import ENDED, Inside

RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "journal.sql").exists())
TODAY = "today"
"""What an agent of this tree leaves, written anew each time: what the next one will find."""


@dataclass(frozen=True)
class Reopened:
    """`kept`: what it is made of. `left` is what the journal said before anything was done; `events` and `replies`
    what was unsent then."""

    kept: Path
    inside: Inside
    left: dict[str, OperationRecord]
    events: list[Any]
    replies: list[Any]

    def of(self, name: str) -> OperationRecord:
        return self.left[f"recorded/{name}"]


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = tmp_path_factory.mktemp("journals") / TODAY
    record(kept)
    return kept


@pytest.fixture(params=[*RELEASES, TODAY])
async def reopened(request: pytest.FixtureRequest, tmp_path: Path, today: Path) -> AsyncIterator[Reopened]:
    kept = today if request.param == TODAY else HERE / request.param
    put_back(kept, tmp_path)
    inside = await Inside.open(tmp_path)
    journal = inside.journal
    left = {record.identity: record for record in await journal.operations(limit=1000)}
    yield Reopened(kept, inside, left, await journal.unsent_events(1000), await journal.unsent_replies(1000))
    await inside.close()


async def recovered(here: Reopened) -> None:
    await here.inside.operations.recover()
    for name in CASES:
        await here.inside.ended(here.of(name).id)


def test_a_release_is_recorded() -> None:
    assert RELEASES
    for release in RELEASES:
        assert sum(path.stat().st_size for path in (HERE / release).iterdir()) < 200_000


async def test_every_case_is_in_the_journal_as_it_was_left(reopened: Reopened) -> None:
    assert {name: reopened.of(name).status for name in CASES} == {name: c.left for name, c in CASES.items()}
    begun = {name for name, case in CASES.items() if case.left is Status.RUNNING}
    assert all(reopened.of(name).steps for name in begun)
    assert all(fault.taken == 0 for fault in reopened.inside.world.faults.all())


async def test_everything_under_way_comes_to_its_end(reopened: Reopened) -> None:
    await recovered(reopened)
    inside = reopened.inside
    domains, connected = inside.world.domains(), len(list((inside.directory / "world" / "volumes").iterdir()))
    for name, case in CASES.items():
        record = await inside.journal.operation(reopened.of(name).id)
        assert record.status is case.status, (name, record.error)
        domain = domains.get(uuid_of(name))
        assert (domain.state if domain else None) == case.power, name
        if case.power is None:
            assert inside.leftovers(uuid_of(name)) == [], name
    assert connected == sum(case.volumes for case in CASES.values())


async def test_each_that_ended_now_is_answered_and_told_once(reopened: Reopened) -> None:
    await recovered(reopened)
    journal = reopened.inside.journal
    events, replies = await journal.unsent_events(1000), await journal.unsent_replies(1000)
    # What was waiting waits still, the same.
    assert events[: len(reopened.events)] == reopened.events
    assert replies[: len(reopened.replies)] == reopened.replies
    assert [e.sequence for e in await journal.events_from(1, 1000)] == list(range(1, events[-1].sequence + 1))
    unfinished = [name for name, case in CASES.items() if case.left not in ENDED]
    ids = {str(reopened.of(name).id) for name in unfinished}
    told = [e.data["operation_id"] for e in events[len(reopened.events) :]]
    assert sorted(told) == sorted(ids)
    assert len(replies) - len(reopened.replies) == len(unfinished)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.left in ENDED])
async def test_who_repeats_a_request_of_then_gets_the_answer_of_then(reopened: Reopened, name: str) -> None:
    case, first = CASES[name], reopened.of(name)
    acceptance = await reopened.inside.operations.accept(request(name, case))
    assert isinstance(acceptance, Repeated)
    assert acceptance.answer is not None
    assert (acceptance.answer.result, acceptance.answer.error) == (first.result, first.error)


async def test_what_is_stuck_is_undone_when_it_is_retried(reopened: Reopened) -> None:
    await recovered(reopened)
    retried = await reopened.inside.control("retry_operation", reopened.of("attach-stuck").id)
    assert retried.status is Status.SUCCEEDED, retried.error
    assert (await reopened.inside.journal.operation(reopened.of("attach-stuck").id)).status is Status.CANCELLED


async def test_every_instance_takes_the_next_change(reopened: Reopened) -> None:
    await recovered(reopened)
    for name in CASES:
        record = await reopened.inside.do(
            "destroy",
            CASES["destroying-late"].state("destroying-late").model_copy(update={"instance_uuid": uuid_of(name)}),
        )
        assert record.status is Status.SUCCEEDED, record.error
        assert reopened.inside.leftovers(uuid_of(name)) == []
    assert list((reopened.inside.directory / "world" / "volumes").iterdir()) == []


async def test_no_secret_is_in_what_was_kept(reopened: Reopened) -> None:
    for path in reopened.kept.iterdir():
        assert SECRET not in path.read_text()
    await recovered(reopened)
    for path in reopened.inside.directory.rglob("*"):
        if path.is_file() and "instances" not in path.parts:
            assert SECRET.encode() not in path.read_bytes()


def request(name: str, case: Case) -> NewOperation:
    saga = TABLE[case.method].saga
    return NewOperation(
        identity=f"recorded/{name}",
        fingerprint="same",
        method=case.method,
        saga=saga.name,
        saga_version=saga.version,
        state=case.state(name),
        instance_uuid=uuid_of(name),
        caller=Caller(),
        address=None,
    )
