"""The published schema of a request and the agent's own check say the same.

The agent takes a little more: it reads "4" as a number. It never refuses what the schema takes, but where the
schema has no word for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from agent.errors import InvalidRequest
from agent.rpc.schema import METHODS
from agent.rpc.schema.asyncapi.examples import examples_of
from agent.rpc.validation import validate
from tests.unit.rpc.test_every_field import PAIRS, UUID
from tests.unit.schema.validators import validator

REQUESTS = [(name, shown["name"]) for name in METHODS for shown in examples_of(name)]
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    1.5,
    10**30,
    "",
    "a",
    "a b",
    "/a",
    "a\tb",
    "a" * 3000,
    [],
    ["a"],
    {},
    {"a": "b"},
)
WITHOUT_WORDS = {"address", "destination", "not_after"}
"""Texts whose form JSON schema can't tell, or `jsonschema` doesn't look at."""

Path = tuple[str | int, ...]


def request(method: str, name: str) -> dict[str, Any]:
    (shown,) = (one for one in examples_of(method) if one["name"] == name)
    found: dict[str, Any] = copy.deepcopy(shown["payload"])
    return found


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Of everything in a document, itself too."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from places(one, (*path, step))


def with_odd(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    here: Any = made
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return made


def taken(method: str, args: dict[str, Any]) -> bool:
    try:
        validate(METHODS[method], args)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize("field", PAIRS, ids=".".join)
def test_the_schema_takes_each_field_that_means_something(field: tuple[str, str]) -> None:
    for fields in PAIRS[field]:
        instance = {"uuid": UUID, "name": "vm1", "vcpus": 1, "memory_mb": 64, **fields}
        body: Any = {"method": "spawn", "args": {"instance": instance}}
        assert [error.message for error in validator("spawn").iter_errors(body)] == []


@pytest.mark.parametrize(("method", "name"), REQUESTS)
def test_the_agent_takes_whatever_else_the_schema_takes_in_the_place_of_something(method: str, name: str) -> None:
    body, checked = request(method, name), validator(method)
    refused = 0
    for path in places(body.get("args", {})):
        if not path or WITHOUT_WORDS & set(path):
            continue
        for value in ODD:
            odd = with_odd(body, ("args", *path), value)
            if checked.is_valid(odd):
                assert taken(method, odd["args"]), (path, value)
            else:
                refused += 1
    assert refused or not body.get("args")


@pytest.mark.parametrize(("method", "name"), REQUESTS)
def test_a_field_that_does_not_exist_is_refused_by_both_or_by_none(method: str, name: str) -> None:
    body, checked = request(method, name), validator(method)
    for path in places(body.get("args", {})):
        here: Any = body.get("args", {})
        for step in path:
            here = here[step]
        if isinstance(here, dict):
            odd = with_odd(body, ("args", *path, "no_such_field"), "a") if "args" in body else body
            assert checked.is_valid(odd) is taken(method, odd.get("args", {})), path
