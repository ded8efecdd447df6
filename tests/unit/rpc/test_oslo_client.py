"""What our client sends to the library's servers, and what it reads of their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from agent.rpc.message import Outgoing
from agent.rpc.oslo_client import answer, translated
from agent.rpc.schema.envelope import DEADLINE

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def request(**more: Any) -> Outgoing:
    plain = {"method": "stop", "version": "1.0", "args": {"instance_uuid": "u"}, "context": {"request_id": "r"}}
    return Outgoing("nova", "compute.h1", to_json(plain), "m1", **more)


def body(inner: object) -> bytes:
    return to_json({"oslo.version": "2.0", "oslo.message": to_json(inner).decode()})


def inner_of(message: Outgoing) -> dict[str, Any]:
    inner = from_json(from_json(message.body)["oslo.message"])
    assert isinstance(inner, dict)
    return inner


def test_a_call_says_where_its_answer_goes_and_a_cast_does_not() -> None:
    call = translated(request(reply_to="q", correlation_id="c1"), NOW)
    asked = {"method": "stop", "version": "1.0", "args": {"instance_uuid": "u"}, "_unique_id": "m1"}
    assert inner_of(call) == {
        **asked,
        "_context_request_id": "r",
        "_msg_id": "c1",
        "_reply_q": "q",
        "_timeout": None,
    }
    assert (call.reply_to, call.correlation_id) == (None, None)
    assert inner_of(translated(request(), NOW)) == {**asked, "_context_request_id": "r"}


def test_a_read_goes_to_the_one_queue_that_such_a_server_has() -> None:
    read = Outgoing("nova", "compute.h1.query", request().body, "m1")
    assert translated(read, NOW).routing_key == "compute.h1"


def test_a_change_that_nobody_waits_for_any_more_expires_on_its_way_as_the_librarys_own_does() -> None:
    headers = {DEADLINE: (NOW + timedelta(seconds=60)).isoformat()}
    change = request(reply_to="q", correlation_id="c1", headers=headers)
    assert translated(change, NOW).expiration == 60
    assert translated(change, NOW + timedelta(seconds=50)).expiration == 10  # sent again
    assert translated(change, NOW + timedelta(seconds=70)).expiration == 0
    assert translated(change, NOW).headers == headers  # an agent answers in time that it has expired
    assert translated(request(expiration=5.0), NOW).expiration == 5
    assert translated(request(), NOW).expiration is None


def test_a_sign_of_life_says_nothing() -> None:
    assert answer(body({"_msg_id": "c1", "ending": False, "result": None, "failure": None}), None) == (None, None)


@pytest.mark.parametrize("nonsense", [b"", b"[]", b"{}", body([]), body({"ending": True}), body(None)])
def test_what_is_no_answer_to_any_call_is_passed_over(nonsense: bytes) -> None:
    assert answer(nonsense, None) == (None, None)


@pytest.mark.parametrize(
    "inner",
    [
        {},
        {"result": "text", "failure": None},
        {"result": None, "failure": "no JSON"},
        {"result": None, "failure": "{}"},
        {"result": None, "failure": "[]"},
    ],
)
def test_an_answer_that_cannot_be_read_is_told_to_the_call_that_waits_for_it(inner: dict[str, Any]) -> None:
    call, reply = answer(body({"_msg_id": "c1", "ending": True, **inner}), None)
    assert call == "c1"
    assert reply is not None
    assert reply.error is not None
    assert (reply.error.code, reply.error.retryable) == ("internal", False)


@pytest.mark.parametrize(
    ("name", "code", "retryable"),
    [("NotFound", "not_found", False), ("Busy", "busy", True), ("ValueError", "ValueError", False)],
)
def test_what_a_server_of_another_make_raises_is_our_error_if_it_is_called_so(
    name: str, code: str, retryable: bool
) -> None:
    failure = {"class": name, "message": "m", "tb": ["Traceback (most recent call last):"]}
    inner = {"_msg_id": "c1", "ending": True, "result": None, "failure": to_json(failure).decode()}
    _, reply = answer(body(inner), None)
    assert reply is not None
    assert reply.error is not None
    assert (reply.error.code, reply.error.message, reply.error.retryable) == (code, "m", retryable)
