"""What must hold after each round. Pure: evidence in, what doesn't hold out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.chaos.expected import UNDOABLE
from tests.chaos.journal import Row, Written
from tests.chaos.load import Asked

OPEN = ("operation_stuck", "timed_out")
"""Errors after which an operation may end again: retried, or undone with its instance."""
LEFT_OPEN = ("stuck", "unknown", "abandoned")
ENDINGS = ("end", "error")
LIBRARIES = ("aiormq", "aio_pika")
SPAWN_NOT_AFTER_S = 600.0
CONTROL = ("cancel_operation", "retry_operation", "abandon_operation")


def answers(asked: Iterable[Asked], written: Written) -> list[str]:
    """Every request has one row, one final answer, and that is the one given, however often. Before it may come
    one that isn't final: that an undo failed, or that the outcome is unknown."""
    rows: dict[str, list[Row]] = {}
    for row in written.rows:
        rows.setdefault(row.message_id, []).append(row)
    found = [f"operation {row.id} ({row.method}) is {row.status}" for row in written.unfinished]
    for request in asked:
        mine = rows.get(request.message_id, [])
        kept = _answer(mine[0]) if mine else {}
        refused, told = _told(request, kept)
        name = request.message_id
        if not mine and refused and not told:
            continue
        if len(mine) != 1:
            found.append(f"{name} has {len(mine)} rows in the journal, not 1; answers {told}")
        elif not told:
            found.append(f"{name} has no answer")
        elif {answer for answer in told if _is_final(json.loads(answer))} - {json.dumps(kept, sort_keys=True)}:
            found.append(f"{name} was told {told}, and the journal has {kept}")
    return found


def _told(request: Asked, kept: dict[str, Any]) -> tuple[int, set[str]]:
    """How often it was refused because it couldn't be written down, and its other answers, each once.

    Such a refusal is no first answer: the identity may be used again, and then it is done or not, once.
    """
    answers = [json.loads(body) for body in request.answers]
    refused = [answer for answer in answers if answer != kept and _unwritten(answer.get("error") or {})]
    return len(refused), {json.dumps(answer, sort_keys=True) for answer in answers if answer not in refused}


def _is_final(answer: Mapping[str, Any]) -> bool:
    return (answer.get("error") or {}).get("code") not in OPEN


def _unwritten(error: Mapping[str, Any]) -> bool:
    return error.get("code") == "unavailable" and "the journal" in str(error["message"])


def expiry(
    asked: Iterable[Asked], written: Written, clock: tuple[float, float], retried: frozenset[str]
) -> list[str]:
    """Nothing is begun after its `not_after`, and nothing expires before it, by the agent's clock. `clock`: how
    far that was from the real time in this round, at least and at most, in seconds."""
    rows = {row.message_id: row for row in written.rows if row.id not in retried}
    found = []
    for request in asked:
        row = rows.get(request.message_id)
        if row is None:
            continue
        name = request.message_id
        earliest, latest = request.first_sent_at + clock[0], request.answered_at + clock[1]
        # A spawn without one gets one, counted from its acceptance.
        limit = request.not_after or earliest + SPAWN_NOT_AFTER_S
        if _expired(row) and latest < limit:
            found.append(f"{name} expired {limit - latest:.1f} s before its not_after, or more")
        if row.status == "succeeded" and row.steps and earliest > limit:
            found.append(f"{name} was begun {earliest - limit:.1f} s after its not_after, or more")
    return found


def resumed(lines: Iterable[Mapping[str, Any]], asked: Iterable[Asked], written: Written) -> list[str]:
    """What a killed agent had begun isn't brought to its end after its `not_after`, if it can be undone. `lines`
    of the agent's log tell when it was taken up again, by its own clock."""
    limits = {request.message_id: request.not_after for request in asked}
    rows = {row.id: row for row in written.rows if row.method in UNDOABLE and row.status == "succeeded"}
    found = []
    for line in lines:
        row = rows.get(str(line.get("operation"))) if line.get("event") == "operation.resumed" else None
        limit = limits.get(row.message_id) if row is not None else None
        if row is not None and limit is not None and _at(line) > limit:
            found.append(f"{row.message_id} was gone on with {_at(line) - limit:.1f} s after its not_after")
    return found


def _at(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def _expired(row: Row) -> bool:
    return (row.answer.get("error") or {}).get("code") == "expired"


def _answer(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.answer.items() if value is not None}


def stream(events: Sequence[Mapping[str, Any]], written: Written) -> list[str]:
    """No gap, no repeat under another id, in order, one stream, and all that the journal has."""
    found = []
    numbers = [int(event["sequence"]) for event in events]
    if numbers != sorted(numbers):
        late = next(b for a, b in pairwise(numbers) if b < a)
        found.append(f"event {late} came after a later one, for the first time")
    repeated = [number for number, times in Counter(numbers).items() if times > 1]
    if repeated:
        found.append(f"events {repeated[:9]} came under several ids")
    if missing := sorted(set(range(1, written.last_sequence + 1)) - set(numbers)):
        found.append(f"events {missing[:9]} of {written.last_sequence} never came")
    if len(streams := {event["stream"] for event in events}) > 1:
        found.append(f"{len(streams)} streams: {streams}")
    types = dict(written.events)
    found += [
        f"event {number} came as {event['type']}, the journal has {types[number]}"
        for number, event in zip(numbers, events, strict=True)
        if types.get(number, event["type"]) != event["type"]
    ]
    return found


def told(events: Sequence[Mapping[str, Any]], written: Written, retries: Mapping[str, int]) -> list[str]:
    """Each operation began at most once, and ended once for good and that last. Before that it may be told to be
    stuck or unknown, once, and once more for each retry."""
    by_operation: dict[str, list[str]] = {}
    for event in events:
        if "operation_id" in event["data"]:
            by_operation.setdefault(event["data"]["operation_id"], []).append(_kind(event))
    found = []
    for row in written.rows:
        if row.method in CONTROL:
            continue
        seen = by_operation.get(row.id, [])
        if not _well_told(seen, row.status in LEFT_OPEN, retries.get(row.id, 0)):
            found.append(f"operation {row.id} ({row.method}, {row.status}) was told as {seen}")
        elif row.steps and "start" not in seen:
            found.append(f"operation {row.id} ({row.method}) did something and didn't tell its start")
    return found


def _kind(event: Mapping[str, Any]) -> str:
    """start, open or final."""
    word = event["type"].rsplit(".", 1)[-1]
    return word if word not in ENDINGS else "final" if _is_final(event["data"]) else "open"


def _well_told(seen: list[str], is_open: bool, retries: int) -> bool:
    ends = [kind for kind in seen if kind != "start"]
    finals = ends.count("final")
    if is_open:
        return finals == 0 and 1 <= len(ends) <= 1 + retries and seen.count("start") <= 1
    return finals == 1 and ends[-1] == "final" and len(ends) <= 2 + retries and seen.count("start") <= 1


def generations(written: Written) -> list[str]:
    """No two changes of an instance have the same generation."""
    used: dict[tuple[str | None, int], list[str]] = {}
    for row in written.rows:
        if row.status == "succeeded" and row.method not in CONTROL and not row.result.get("already"):
            used.setdefault((row.instance, row.result["generation"]), []).append(row.message_id)
    return [f"generation {key[1]} of {key[0]} is that of {names}" for key, names in used.items() if len(names) > 1]


def power(events: Sequence[Mapping[str, Any]], now: Mapping[str, str]) -> list[str]:
    """Changes of power make a chain from nostate, and it ends where the guest is."""
    last: dict[str, str] = {}
    found = []
    for event in events:
        if event["type"] != "compute.instance.power_state":
            continue
        old, uuid = event["data"]["old"], event["subject"]
        if old not in (last.get(uuid, "nostate"), "nostate"):
            found.append(f"event {event['sequence']}: {uuid} was {old}, and was told to be {last.get(uuid)}")
        last[uuid] = event["data"]["new"]
    for uuid, state in now.items():
        if last.get(uuid) != state:
            found.append(f"{uuid} is {state}, and was last told to be {last.get(uuid)}")
    return found


def log(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Nothing that only a bug would write. The AMQP library calls each lost connection an error; that is none."""
    return [
        f"the agent's log: {json.dumps(line)[:2000]}"
        for line in lines
        if line.get("level") in ("error", "critical") and not str(line.get("logger")).startswith(LIBRARIES)
    ]
