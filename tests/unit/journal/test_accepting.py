from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from agent.errors import InvalidRequest, Unavailable
from agent.journal import (
    Accepted,
    Address,
    Answer,
    Caller,
    Different,
    Journal,
    Repeated,
    Status,
    operations,
)
from agent.secret import Secret
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import INSTANCE, Clock, State, accepted, address, event, reading, request


async def test_a_new_request_is_queued_as_it_was_sent(journal: Journal, clock: Clock) -> None:
    caller = Caller(request_id="req-7", user_id="u", project_id="p")
    not_after = clock.now + timedelta(minutes=10)
    record = await accepted(journal, "u:7", caller=caller, not_after=not_after, if_generation=3)
    assert record == await journal.operation(record.id)
    assert (record.identity, record.method, record.saga, record.saga_version) == ("u:7", "start", "start", 1)
    assert record.status is Status.QUEUED
    assert record.caller == caller
    assert record.instance_uuid == INSTANCE
    assert record.accepted_at == clock.now
    assert record.not_after == not_after
    assert record.if_generation == 3
    assert record.steps == ()
    assert (record.begun_at, record.ended_at, record.error, record.result) == (None, None, None, None)


async def test_accepted_requests_are_in_the_file(journal: Journal, tmp_path: Path) -> None:
    await asyncio.gather(*(journal.accept(request(f"u:{n}")) for n in range(500)))
    await journal.close()
    with reading(tmp_path / "journal.db") as db:
        kept = {row[0] for row in db.execute("SELECT identity FROM operations")}
        assert db.execute("PRAGMA integrity_check").get == "ok"
    assert kept == {f"u:{n}" for n in range(500)}


async def test_an_accepted_request_is_readable_by_others_before_anything_else_happens(
    journal: Journal, tmp_path: Path
) -> None:
    await journal.accept(request("u:1"))
    with reading(tmp_path / "journal.db") as db:
        assert db.execute("SELECT identity FROM operations").get == "u:1"


async def test_requests_handed_in_together_keep_their_order(journal: Journal) -> None:
    names = [f"u:{n}" for n in range(50)]
    await asyncio.gather(*(journal.accept(request(name)) for name in names))
    assert [record.identity for record in await journal.unfinished()] == names


async def test_a_repeat_under_way_waits_for_the_same_answer(journal: Journal) -> None:
    first = await accepted(journal)
    assert await journal.accept(request(address=address("again"))) == Repeated(first.id, None)
    await journal.finish(first.id, Status.SUCCEEDED, Answer(result={"ok": True}), [], {})
    replies = await journal.unsent_replies(10)
    assert {reply.address.correlation_id for reply in replies} == {"user:1", "again"}
    assert {str(reply.answer.result) for reply in replies} == {"{'ok': True}"}


async def test_a_delivery_that_comes_again_asks_no_second_answer(journal: Journal) -> None:
    first = await accepted(journal)
    for _ in range(3):
        assert await journal.accept(request()) == Repeated(first.id, None)
    await journal.finish(first.id, Status.SUCCEEDED, Answer(result={}), [], {})
    assert len(await journal.unsent_replies(10)) == 1


async def test_an_address_is_the_same_in_whatever_order_it_is_written(journal: Journal) -> None:
    first, again = (
        Address(format="oslo", reply_to="answers", correlation_id="1", extra=extra)
        for extra in ({"msg_id": "1", "timeout": 5}, {"timeout": 5, "msg_id": "1"})
    )
    record = await accepted(journal, address=first)
    await journal.accept(request(address=again))
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [], {})
    assert [reply.address for reply in await journal.unsent_replies(9)] == [first]


async def test_concurrent_requests_with_one_identity_make_one_operation(journal: Journal) -> None:
    taken = await asyncio.gather(*(journal.accept(request(address=address(str(n)))) for n in range(20)))
    assert sum(isinstance(acceptance, Accepted) for acceptance in taken) == 1
    assert await journal.pending() == 1


async def test_a_repeat_after_the_end_gets_the_first_answer(journal: Journal, open_journal: Open) -> None:
    first = await accepted(journal)
    answer = Answer(error={"code": "operation_failed", "message": "no"})
    await journal.finish(first.id, Status.FAILED, answer, [], {})
    await journal.close()
    later = await open_journal()
    assert await later.accept(request()) == Repeated(first.id, answer)
    assert await later.pending() == 0


@pytest.mark.parametrize("change", [{"fingerprint": "f2"}, {"method": "stop"}])
async def test_an_identity_taken_by_another_request_is_told(journal: Journal, change: dict[str, str]) -> None:
    first = await accepted(journal)
    assert await journal.accept(request(**change)) == Different(first.id)
    await journal.finish(first.id, Status.SUCCEEDED, Answer(result={}), [], {})
    assert await journal.accept(request(**change)) == Different(first.id)
    assert len(await journal.unsent_replies(10)) == 1


async def test_a_cast_waits_for_no_answer(journal: Journal) -> None:
    record = await accepted(journal, address=None)
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [], {})
    assert await journal.unsent_replies(10) == []


PARKING = Address(format="dead", reply_to="compute.dead", only_failures=True)


@pytest.mark.parametrize("status", sorted(operations.ENDS))
async def test_a_parking_place_is_told_of_failures_alone(journal: Journal, status: Status) -> None:
    record = await accepted(journal, address=PARKING)
    await journal.finish(record.id, status, Answer(result={}), [], {})
    told = [reply.address for reply in await journal.unsent_replies(9)]
    assert told == ([] if status in (Status.SUCCEEDED, Status.CANCELLED) else [PARKING])


async def test_a_parking_place_is_told_once_and_a_caller_beside_it_always(journal: Journal) -> None:
    record = await accepted(journal, address=PARKING)
    for other in (PARKING, PARKING.model_copy(update={"correlation_id": "2"}), address("caller")):
        assert await journal.accept(request(address=other)) == Repeated(record.id, None)
    await journal.finish(record.id, Status.FAILED, Answer(error={}), [], {})
    told = [reply.address for reply in await journal.unsent_replies(9)]
    assert sorted(told, key=lambda to: to.reply_to) == [address("caller"), PARKING]


@pytest.mark.parametrize("identity", ["", "x" * 641, "nul\0", "line\n", "half a pair \ud800"])
async def test_an_identity_too_long_or_not_printable_is_refused(journal: Journal, identity: str) -> None:
    with pytest.raises(InvalidRequest, match="identity"):
        await journal.accept(request(identity))
    assert await journal.pending() == 0


async def test_the_longest_identity_with_its_scope_is_taken(journal: Journal) -> None:
    assert (await accepted(journal, "x" * 640)).identity == "x" * 640


async def test_a_refused_request_fails_none_of_its_neighbours(journal: Journal) -> None:
    results = await asyncio.gather(
        *(journal.accept(request("" if n % 3 == 0 else f"u:{n}")) for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, InvalidRequest) for result in results) == 10
    assert await journal.pending() == 20


async def test_state_comes_back_with_its_secrets_after_a_restart(journal: Journal, open_journal: Open) -> None:
    state = State(admin_pass=Secret("opensesame"), made=("disk",))
    await accepted(journal, state=state)
    await journal.close()
    later = await open_journal()
    (record,) = await later.unfinished()
    assert later.load_state(record, State) == state


async def test_new_requests_are_unavailable_at_the_outboxs_bound(open_journal: Open) -> None:
    journal = await open_journal(outbox_limit=4)
    first, second = await accepted(journal, "u:1"), await accepted(journal, "u:2")
    await journal.finish(first.id, Status.SUCCEEDED, Answer(result={}), [event(), event()], {})
    await accepted(journal, "u:3")
    await journal.append([event()])
    with pytest.raises(Unavailable, match="4 answers and events wait"):
        await journal.accept(request("u:4"))
    # What is under way still ends, and a repeat adds nothing: nothing is dropped.
    await journal.finish(second.id, Status.SUCCEEDED, Answer(result={}), [event()], {})
    assert isinstance(await journal.accept(request("u:3")), Repeated)
    await journal.events_sent([1, 2, 2, 2])
    with pytest.raises(Unavailable):
        await journal.accept(request("u:4"))
    await journal.replies_sent([reply.id for reply in await journal.unsent_replies(1)] * 2)
    assert isinstance(await journal.accept(request("u:4")), Accepted)


async def test_the_outboxs_bound_holds_over_a_restart(open_journal: Open) -> None:
    journal = await open_journal()
    await journal.append([event() for _ in range(5)])
    await journal.close()
    later = await open_journal(outbox_limit=5)
    with pytest.raises(Unavailable):
        await later.accept(request())


async def test_fingerprints_are_equal_for_equal_calls_only(journal: Journal) -> None:
    first = journal.fingerprint("start", b"{}")
    assert first == journal.fingerprint("start", b"{}")
    assert len({first, journal.fingerprint("stop", b"{}"), journal.fingerprint("start", b'{"a":1}')}) == 3
    assert journal.fingerprint("start", b"x{}") != journal.fingerprint("startx", b"{}")


async def test_operations_are_found_newest_first_and_page_by_page(journal: Journal) -> None:
    elsewhere = uuid4()
    for n in range(6):
        await accepted(journal, f"u:{n}", instance_uuid=elsewhere if n % 2 else INSTANCE, method=f"m{n % 3}")
    done = await journal.operations(instance_uuid=elsewhere)
    assert [record.identity for record in done] == ["u:5", "u:3", "u:1"]
    assert [r.identity for r in await journal.operations(method="m0")] == ["u:3", "u:0"]
    page = await journal.operations(limit=4)
    rest = await journal.operations(limit=4, before=page[-1].id)
    assert [r.identity for r in page + rest] == [f"u:{n}" for n in (5, 4, 3, 2, 1, 0)]
    await journal.begin(page[0].id, [])
    assert [r.id for r in await journal.operations(statuses=[Status.RUNNING])] == [page[0].id]
    assert await journal.operations(statuses=[]) == []
    assert len(await journal.operations(statuses=[Status.RUNNING, Status.QUEUED])) == 6


async def test_who_waits_for_what_is_unfinished_can_be_looked_up(journal: Journal) -> None:
    first, again = address("first"), address("again")
    record = await accepted(journal, address=first)
    await journal.accept(request(address=again))
    waiting = await journal.waiting()
    assert {waits.reply_to for waits, _ in waiting} == {first.reply_to, again.reply_to}
    assert {since for _, since in waiting} == {record.accepted_at}
    await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [], {})
    assert await journal.waiting() == []
