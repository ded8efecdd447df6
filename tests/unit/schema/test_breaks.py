"""What breaks callers that were made for an earlier version, and what doesn't."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from agent.rpc.schema.asyncapi import document
from tests.asyncapi.breaks import Direction, breaks, schema_breaks

REQUEST, ANSWER = Direction.REQUEST, Direction.ANSWER
DOCUMENT = json.loads(json.dumps(document()))

Schema = dict[str, Any]


def thing(**fields: Any) -> Schema:
    return {"type": "object", "properties": fields}


def maybe(*kinds: Schema) -> Schema:
    return {"anyOf": [*kinds, {"type": "null"}]}


TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
DISK, NIC = thing(size=INTEGER) | {"title": "Disk"}, thing(mac=TEXT) | {"title": "Nic"}

# before, after, whether it breaks callers, whether it breaks readers
CASES: dict[str, tuple[Schema, Schema, bool, bool]] = {
    "nothing": (thing(a=TEXT), thing(a=TEXT), False, False),
    "other words": (thing(a=TEXT), thing(a=TEXT | {"description": "new"}), False, False),
    "a new field": (thing(a=TEXT), thing(a=TEXT, b=TEXT), False, False),
    "a new required field": (thing(a=TEXT), thing(a=TEXT, b=TEXT) | {"required": ["b"]}, True, False),
    "a field is gone": (thing(a=TEXT), thing(), True, True),
    "a field has another name": (thing(a=TEXT), thing(b=TEXT), True, True),
    "a field becomes required": (thing(a=TEXT), thing(a=TEXT) | {"required": ["a"]}, True, False),
    "a field may be missing": (thing(a=TEXT) | {"required": ["a"]}, thing(a=TEXT), False, True),
    "a wider type": (INTEGER, NUMBER, False, True),
    "a narrower type": (NUMBER, INTEGER, True, False),
    "another type": (TEXT, INTEGER, True, True),
    "any type": (TEXT, {}, False, True),
    "null too": (TEXT, maybe(TEXT), False, True),
    "null no more": (maybe(TEXT), TEXT, True, False),
    "one kind more": (maybe(DISK), maybe(DISK, NIC), False, True),
    "one kind less": (maybe(DISK, NIC), maybe(DISK), True, False),
    "a field inside of one kind is gone": (maybe(DISK, NIC), maybe(DISK, NIC | thing()), True, True),
    "one value more": ({"enum": ["a"]}, {"enum": ["a", "b"]}, False, True),
    "one value less": ({"enum": ["a", "b"]}, {"enum": ["a"]}, True, False),
    "a constant becomes one of several": ({"const": "a"}, {"enum": ["a", "b"]}, False, True),
    "any value": ({"enum": ["a"]}, {}, False, True),
    "a lower bound that is higher": (INTEGER | {"minimum": 1}, INTEGER | {"minimum": 2}, True, False),
    "a lower bound that is lower": (INTEGER | {"minimum": 2}, INTEGER | {"minimum": 1}, False, True),
    "an upper bound that is lower": (INTEGER | {"maximum": 9}, INTEGER | {"maximum": 8}, True, False),
    "an upper bound that is higher": (INTEGER | {"maximum": 8}, INTEGER | {"maximum": 9}, False, True),
    "a new bound": (TEXT, TEXT | {"maxLength": 9}, True, False),
    "no bound": (TEXT | {"maxLength": 9}, TEXT, False, True),
    "another pattern": (TEXT | {"pattern": "a"}, TEXT | {"pattern": "b"}, True, True),
    "a new format": (TEXT, TEXT | {"format": "uuid"}, True, False),
    "no format": (TEXT | {"format": "uuid"}, TEXT, False, True),
    "another default": (TEXT | {"default": "a"}, TEXT | {"default": "b"}, True, False),
    "further fields are refused": (thing(), thing() | {"additionalProperties": False}, True, False),
    "further fields are taken": (thing() | {"additionalProperties": False}, thing(), False, True),
    "elements of another type": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": INTEGER},
        True,
        True,
    ),
    "values of another type": (
        thing() | {"additionalProperties": TEXT},
        thing() | {"additionalProperties": INTEGER},
        True,
        True,
    ),
    "keys by another pattern": (
        thing() | {"patternProperties": {"a": TEXT}},
        thing() | {"patternProperties": {"b": TEXT}},
        True,
        True,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_breaks_who_it_breaks_and_nobody_else(case: str) -> None:
    old, new, callers, readers = CASES[case]
    assert bool(schema_breaks(old, new, REQUEST)) is callers
    assert bool(schema_breaks(old, new, ANSWER)) is readers


def test_a_break_says_which_field_and_what_and_why() -> None:
    old = thing(disks={"type": "array", "items": thing(size=INTEGER | {"maximum": 9})})
    new = thing(disks={"type": "array", "items": thing(size=INTEGER | {"maximum": 8})})
    (found,) = schema_breaks(old, new, REQUEST, "spawn")
    assert str(found) == (
        "spawn.disks[].size: maximum was 9, is 8; what callers made for the earlier version send is refused"
    )


def test_what_lies_behind_a_reference_is_looked_at() -> None:
    def holding(schema: Schema) -> Schema:
        inner = {"allOf": [{"$ref": "#/definitions/Inner"}], "description": "beside it"}
        return thing(inner=inner) | {"definitions": {"Inner": schema}}

    (found,) = schema_breaks(holding(thing(a=TEXT)), holding(thing()), ANSWER)
    assert found.where == "inner.a"


def test_a_constraint_that_it_does_not_know_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="multipleTo can't be compared yet"):
        schema_breaks(TEXT, TEXT | {"multipleTo": 2}, REQUEST)


# --- whole documents ---


def changed(*path: str, **to: Any) -> Schema:
    """The document with these keys put there; None takes one out."""
    made: Schema = copy.deepcopy(DOCUMENT)
    here = made
    for step in path:
        here = here[step]
    for key, value in to.items():
        here.pop(key) if value is None else here.update({key: value})
    return made


def test_a_document_breaks_nothing_of_itself() -> None:
    assert breaks(DOCUMENT, DOCUMENT) == []


@pytest.mark.parametrize(
    ("later", "where"),
    [
        (changed("components", "messages", ping=None), "ping"),
        (changed("components", "messages", "ping", contentType="text/plain"), "ping"),
        (changed("channels", commands=None), "channel commands"),
        (changed("channels", "commands", address="nova.{host}"), "channel commands"),
        (changed("channels", "commands", "bindings", "amqp", exchange={"name": "nova"}), "channel commands"),
        (changed("channels", "commands", "messages", spawn=None), "channel commands"),
        (changed("operations", ping=None), "operation ping"),
        (changed("operations", "ping", channel={"$ref": "#/channels/commands"}), "operation ping"),
        (changed("operations", "ping", messages=[]), "operation ping"),
        (changed("components", "messages", "error", "x-error-codes", busy=None), "error busy"),
        (changed("components", "messages", "error", "x-error-codes", "busy", retryable=False), "error busy"),
    ],
)
def test_what_is_gone_or_has_moved_breaks_who_uses_it(later: Schema, where: str) -> None:
    assert {found.where for found in breaks(DOCUMENT, later)} == {where}


def test_a_new_message_channel_operation_or_code_breaks_nobody() -> None:
    fact = {"retryable": False, "meaning": "new"}
    later = changed("components", "messages", "error", "x-error-codes", frozen=fact)
    for group in ("channels", "operations"):
        later[group]["new"] = copy.deepcopy(later[group]["ping" if group == "operations" else "commands"])
    later["components"]["messages"]["new"] = later["components"]["messages"]["ping"]
    assert breaks(DOCUMENT, later) == []
