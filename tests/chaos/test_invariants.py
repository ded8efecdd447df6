"""Each invariant sees what it is there for: a story that holds, and the same with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.chaos import invariants
from tests.chaos.journal import Row, Written
from tests.chaos.load import Asked

UUID = "6f1c0f4e-5a0e-4c66-8a0b-0f3d5e9a1c11"
NONE: frozenset[str] = frozenset()


def row(number: int, method: str = "start", **changes: Any) -> Row:
    plain = Row(
        number=number,
        id=f"op-{number}",
        message_id=f"{method}-{number}",
        method=method,
        instance=UUID,
        status="succeeded",
        answer={"result": {"generation": number}, "error": None},
        steps={method: "done"},
    )
    return replace(plain, **changes)


def written(*rows: Row, **changes: Any) -> Written:
    return replace(Written(rows, (), 0, 0), **changes)


def asked(of: Row, *answers: dict[str, Any], **changes: Any) -> Asked:
    given = answers or ({"result": of.answer["result"]},)
    bodies = [json.dumps(answer).encode() for answer in given]
    return Asked(of.message_id, of.method, {}, UUID, bodies, **changes)


def unwritten(message: str = "the journal can't be written") -> dict[str, Any]:
    return {"error": {"code": "unavailable", "message": message}}


# One row, one final answer.


def test_an_answer_that_is_the_journals_holds_however_often_it_came() -> None:
    done = row(1)
    twice = asked(done, {"result": {"generation": 1}}, {"result": {"generation": 1}})
    assert invariants.answers([twice], written(done)) == []


def test_a_request_that_is_there_twice_is_seen() -> None:
    done = row(1)
    [found] = invariants.answers([asked(done)], written(done, replace(done, number=2)))
    assert "has 2 rows in the journal" in found


def test_a_request_that_was_lost_is_seen() -> None:
    [found] = invariants.answers([asked(row(1))], written())
    assert "has 0 rows in the journal" in found


def test_a_request_that_isnt_answered_is_seen() -> None:
    done = row(1)
    [found] = invariants.answers([replace(asked(done), answers=[])], written(done))
    assert "has no answer" in found


def test_an_answer_that_isnt_the_journals_is_seen() -> None:
    done = row(1)
    other = {"result": {"generation": 9}}
    [found] = invariants.answers([asked(done, {"result": {"generation": 1}}, other)], written(done))
    assert "was told" in found


def test_an_operation_that_never_ended_is_seen() -> None:
    [found] = invariants.answers([], written(row(1, status="running")))
    assert "is running" in found


def test_what_couldnt_be_written_down_may_be_refused_and_done_later() -> None:
    done = row(1)
    assert invariants.answers([asked(done, unwritten(), {"result": {"generation": 1}})], written(done)) == []
    assert invariants.answers([asked(row(1), unwritten())], written()) == []


def test_another_refusal_without_a_row_is_seen() -> None:
    assert invariants.answers([asked(row(1), unwritten("libvirt is away"))], written())


# not_after.

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()
RIGHT = (0.0, 0.0)
EXPIRED = {"error": {"code": "expired"}, "result": None}


def timed(of: Row, not_after: float | None, sent: float, answered: float) -> Asked:
    made = asked(of, first_sent_at=NOON + sent, answered_at=NOON + answered)
    if not_after is not None:
        made.args["not_after"] = datetime.fromtimestamp(NOON + not_after, UTC).isoformat()
    return made


def test_what_was_begun_after_its_time_is_seen() -> None:
    done = row(1)
    [found] = invariants.expiry([timed(done, -60, 0, 1)], written(done), RIGHT, NONE)
    assert "begun 60.0 s after" in found


def test_what_expired_before_its_time_is_seen() -> None:
    late = row(1, status="failed", answer=EXPIRED)
    [found] = invariants.expiry([timed(late, 60, 0, 1)], written(late), RIGHT, NONE)
    assert "expired 59.0 s before" in found


def test_a_clock_that_jumped_ahead_may_let_it_expire_and_one_that_jumped_back_may_let_it_begin() -> None:
    late, done = row(1, status="failed", answer=EXPIRED), row(2)
    assert invariants.expiry([timed(late, 60, 0, 1)], written(late), (0.0, 3600.0), NONE) == []
    assert invariants.expiry([timed(done, -60, 0, 1)], written(done), (-3600.0, 0.0), NONE) == []


def test_a_spawn_without_a_time_has_ten_minutes() -> None:
    late = row(1, "spawn", status="failed", answer=EXPIRED)
    assert invariants.expiry([timed(late, None, 0, 599)], written(late), RIGHT, NONE)
    assert invariants.expiry([timed(late, None, 0, 601)], written(late), RIGHT, NONE) == []


def taken_up(of: Row, at: float) -> dict[str, Any]:
    return {
        "event": "operation.resumed",
        "operation": of.id,
        "time": datetime.fromtimestamp(NOON + at, UTC).isoformat(),
    }


def test_what_was_gone_on_with_after_its_time_is_seen() -> None:
    done = row(1, "spawn")
    request = timed(done, 2, 0, 5)
    assert invariants.resumed([taken_up(done, 1)], [request], written(done)) == []
    [found] = invariants.resumed([taken_up(done, 3)], [request], written(done))
    assert "gone on with 1.0 s after" in found


def test_what_was_undone_after_its_time_or_cant_be_undone_holds() -> None:
    for late in (row(1, "spawn", status="failed", answer=EXPIRED), row(1, "start")):
        assert invariants.resumed([taken_up(late, 3)], [timed(late, 2, 0, 5)], written(late)) == []


# Events.


def event(number: int, kind: str = "compute.instance.start.end", **changes: Any) -> dict[str, Any]:
    plain = {"sequence": f"{number:020}", "type": kind, "stream": "s", "subject": UUID, "data": {}}
    return plain | changes


def told(number: int, operation: str, what: str, code: str = "no_capacity") -> dict[str, Any]:
    data: dict[str, Any] = {"operation_id": operation}
    if what == "error":
        data["error"] = {"code": code}
    return event(number, f"compute.instance.start.{what}", data=data)


def power(number: int, old: str, new: str) -> dict[str, Any]:
    return event(number, "compute.instance.power_state", data={"old": old, "new": new})


STREAM = [event(1), event(2), event(3)]
THREE = written(last_sequence=3)


def test_a_stream_without_a_gap_holds() -> None:
    assert invariants.stream(STREAM, THREE) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([event(1), event(3)], "never came"),
        ([event(1), event(2)], "never came"),
        ([event(1), event(3), event(2)], "came after a later one"),
        ([event(1), event(2), event(2), event(3)], "under several ids"),
        ([event(1), event(2), event(3, stream="t")], "2 streams"),
    ],
)
def test_a_stream_with_a_fault_is_seen(wrong: list[Mapping[str, Any]], said: str) -> None:
    found = invariants.stream(wrong, THREE)
    assert any(said in line for line in found)


def test_an_event_that_isnt_the_journals_is_seen() -> None:
    [found] = invariants.stream(STREAM, replace(THREE, events=((2, "compute.instance.stop.end"),)))
    assert "the journal has compute.instance.stop.end" in found


OP = row(1)
TOLD = [told(1, OP.id, "start"), told(2, OP.id, "end")]


def test_an_operation_that_told_its_start_and_its_end_holds() -> None:
    assert invariants.told(TOLD, written(OP), {}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        [*TOLD, told(3, OP.id, "end")],
        [*TOLD, told(3, OP.id, "error")],
        [*TOLD, told(3, OP.id, "start")],
        TOLD[:1],
        TOLD[1:],
        [],
    ],
)
def test_an_operation_that_told_too_much_or_too_little_is_seen(wrong: list[dict[str, Any]]) -> None:
    assert invariants.told(wrong, written(OP), {})


STUCK = told(2, OP.id, "error", "operation_stuck")


def test_a_stuck_operation_ends_again_when_it_is_retried_or_its_instance_destroyed() -> None:
    ended = [TOLD[0], STUCK, told(3, OP.id, "error", "cancelled")]
    assert invariants.told(ended, written(OP), {}) == []
    assert invariants.told([*ended, told(4, OP.id, "error", "cancelled")], written(OP), {})
    assert invariants.told([TOLD[0], STUCK], written(OP), {})


def test_one_that_is_left_stuck_has_no_other_end() -> None:
    left = replace(OP, status="abandoned")
    assert invariants.told([TOLD[0], STUCK], written(left), {}) == []
    assert invariants.told([TOLD[0], STUCK, told(3, OP.id, "end")], written(left), {})
    assert invariants.told([TOLD[0], STUCK, STUCK], written(left), {})
    assert invariants.told([TOLD[0], STUCK, STUCK], written(left), {OP.id: 1}) == []


def test_an_answer_that_isnt_final_may_come_before_the_one_that_is() -> None:
    ended = row(1, status="cancelled", answer={"error": {"code": "cancelled"}})
    open_, final = {"error": {"code": "operation_stuck"}}, {"error": {"code": "cancelled"}}
    assert invariants.answers([asked(ended, open_, final)], written(ended)) == []
    assert invariants.answers([asked(ended, open_)], written(ended)) == []
    assert invariants.answers([asked(ended, final, {"error": {"code": "no_capacity"}})], written(ended))


def test_two_changes_with_one_generation_are_seen() -> None:
    assert invariants.generations(written(row(1), row(2))) == []
    same = row(2, answer=row(1).answer)
    [found] = invariants.generations(written(row(1), same))
    assert "generation 1" in found


CHAIN = [power(1, "nostate", "running"), power(2, "running", "paused")]


def test_changes_of_power_that_make_a_chain_hold() -> None:
    assert invariants.power(CHAIN, {UUID: "paused"}) == []


def test_a_broken_chain_of_power_is_seen() -> None:
    [found] = invariants.power([CHAIN[0], power(2, "shutdown", "paused")], {UUID: "paused"})
    assert "was shutdown, and was told to be running" in found


def test_a_guest_that_isnt_where_its_last_event_says_is_seen() -> None:
    [found] = invariants.power(CHAIN, {UUID: "running"})
    assert "was last told to be paused" in found


def test_a_guest_that_nobody_told_of_is_seen() -> None:
    assert invariants.power([], {UUID: "running"})


def test_an_error_in_the_log_is_seen_and_the_librarys_lost_connection_isnt_one() -> None:
    assert invariants.log([{"level": "error", "logger": "agent.saga", "event": "saga.bug"}])
    assert invariants.log([{"level": "error", "logger": "aiormq.connection"}, {"level": "warning"}]) == []
