"""A secret in a request never comes out again, wherever it was planted and whatever else is wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from agent.errors import AgentError
from agent.operations.outcome import error_body
from agent.redaction import Redactor
from agent.rpc.redact import redact
from tests.fuzz.mutations import corpus, documents, holder, places, spoiled, wild_documents
from tests.fuzz.test_requests import FRAGMENTS
from tests.fuzz.way_in import GOOD, take

SECRET = "hunter2"
DOCUMENTS = documents("requests")
NAMES = [
    "password",
    "adminPass",
    "user_data",
    "X-Auth-Token",
    "secret_key",
    "content",
    "auth_password",
    "credentials",
]
TOLD = {"method", "version", "driver_volume_type"}
WRAPPED = st.sampled_from(
    [lambda s: s, lambda s: [s], lambda s: {"a": {"b": [s, 1]}}, lambda s: s * 3, lambda s: [[{s: s}, s]]]
)


@st.composite
def planted(draw: st.DrawFn) -> dict[str, Any]:
    """A spoiled request with the secret under a telling name, in any of its objects."""
    document = draw(wild_documents(DOCUMENTS))
    ways = [(), *(way for way in places(document) if isinstance(_at(document, way), dict))]
    inside = _at(document, draw(st.sampled_from(ways)))
    # A secret that stands as a key is no value: names of fields are kept.
    inside[draw(st.sampled_from(NAMES))] = draw(
        WRAPPED.filter(lambda wrap: SECRET not in str(_keys(wrap(SECRET))))
    )(SECRET)
    return document


def _at(document: Any, way: tuple[str | int, ...]) -> Any:
    return holder(document, way)[way[-1]] if way else document


def _keys(value: Any) -> list[str]:
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [*(value if isinstance(value, dict) else ()), *(key for item in inside for key in _keys(item))]


@given(planted())
def test_what_is_parked_has_no_secret(document: dict[str, Any]) -> None:
    redacted = redact(json.dumps(document).encode())
    if redacted is not None:  # an integer may be too long for any reader
        assert SECRET.encode() not in redacted.body
        assert SECRET not in str(redacted.removed)


@given(planted())
def test_what_a_caller_is_told_has_no_secret(document: dict[str, Any]) -> None:
    assert SECRET.encode() not in told(document)


@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_secret_in_the_place_of_any_value_is_not_told_again(seed: dict[str, Any], data: st.DataObject) -> None:
    """Whoever mistakes the field isn't shown the value. Names of what there is and isn't are told."""
    document = deepcopy(seed)
    way = data.draw(st.sampled_from([way for way in places(document) if way[-1] not in TOLD]))
    holder(document, way)[way[-1]] = data.draw(
        st.sampled_from([{"a": SECRET}, SECRET, f"{SECRET} \x00", f"@{SECRET}["])
    )
    assert SECRET.encode() not in told(document)


def told(document: dict[str, Any]) -> bytes:
    """What its caller gets to read."""
    try:
        take(GOOD, json.dumps(document).encode())
    except AgentError as error:
        return to_json(error_body(error))
    return b""


@given(spoiled(list(corpus("requests").values())))
def test_any_bytes_are_cleaned_or_not_kept(body: bytes) -> None:
    redacted = redact(body)
    assert redacted is None or isinstance(json.loads(redacted.body), dict)


@given(FRAGMENTS)
def test_a_line_of_any_length_is_cleaned_in_no_time(fragment: str) -> None:
    text = fragment * (100_000 // len(fragment))
    assert SECRET not in Redactor([SECRET]).text(f"{text} password={SECRET} {text}")
    assert SECRET not in str(Redactor().value({f"{text}_password": SECRET}))
