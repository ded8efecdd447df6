"""The plain format, both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from agent.errors import AgentError, InvalidRequest
from agent.journal.records import Address, Answer
from agent.rpc import wire
from agent.rpc.desk import Request
from agent.rpc.message import Properties
from agent.rpc.schema.envelope import PLACEHOLDER

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
JSON = "application/json"


def decode(document: Any, *, max_bytes: int = 10_000, **properties: Any) -> Request:
    body = document if isinstance(document, bytes) else to_json(document)
    given = Properties(**{"content_type": JSON, **properties})
    opened = wire.opened(given, body, max_bytes=max_bytes)
    return opened.request(opened.address("compute.replies"), NOW)


def path_of(error: AgentError) -> str:
    return str(error.details["fields"][0]["path"])


def test_a_cast_has_no_address() -> None:
    request = decode({"method": "stop"}, message_id="m1")
    assert request.address is None
    assert (request.method, request.version, request.args, request.identity) == ("stop", "1.0", {}, "m1")


def test_a_call_is_answered_where_it_says() -> None:
    assert decode({"method": "ping"}, reply_to="q", correlation_id="c").address == Address(
        format="plain", reply_to="q", correlation_id="c", exchange=""
    )
    headers = {"x-reply-exchange": "compute.replies"}
    request = decode({"method": "ping"}, reply_to="q", correlation_id="c", headers=headers)
    assert request.address is not None
    assert request.address.exchange == "compute.replies"


@pytest.mark.parametrize("exchange", ["compute", "amq.direct", "compute.events", 7, None])
def test_the_agent_is_no_tool_for_writing_into_other_exchanges(exchange: Any) -> None:
    with pytest.raises(InvalidRequest, match="x-reply-exchange"):
        decode({"method": "ping"}, reply_to="q", correlation_id="c", headers={"x-reply-exchange": exchange})


def test_a_call_needs_a_correlation_id_and_can_be_told_so() -> None:
    assert wire.opened(Properties(reply_to="q"), b"", max_bytes=10).address("r") == Address(
        format="plain", reply_to="q"
    )
    with pytest.raises(InvalidRequest) as caught:
        decode({"method": "ping"}, reply_to="q")
    assert path_of(caught.value) == "correlation_id"


def test_the_context_says_who_asks_and_may_hold_more() -> None:
    context = {"request_id": "req-1", "user_id": "u", "project_id": "p", "roles": ["admin"], "auth_token": "t"}
    request = decode({"method": "ping", "context": context})
    assert request.caller.model_dump() == {
        "request_id": "req-1",
        "global_request_id": None,
        "user_id": "u",
        "project_id": "p",
    }
    assert "auth_token" not in str(request)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "method"),
        ({"method": 7}, "method"),
        ({"method": "x" * 300}, "method"),
        ({"method": "ping", "args": None}, "args"),
        ({"method": "ping", "args": "x"}, "args"),
        ({"method": "ping", "context": {"request_id": "a\nb"}}, "context.request_id"),
        ({"method": "ping", "context": {"request_id": {"a": 1}}}, "context.request_id"),
        ({"method": "ping", "params": {}}, "params"),
    ],
)
def test_what_is_wrong_around_the_args_is_named(document: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(document)
    assert path_of(caught.value) == path


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"\xff",
        b"[1]",
        b'"x"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"{} x",
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert path_of(caught.value) == "(body)"


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="recursion"):
        decode(b'{"a":' * 100_000, max_bytes=1_000_000)


@pytest.mark.parametrize(
    "args", [{str(n): 1 for n in range(10_000)}, {"a": [[{}] * 5000, [{"b": 1}] * 2500]}, {"a": [[[]] * 9_998]}]
)
def test_more_values_than_a_request_needs_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="more than 10000 values") as caught:
        decode({"method": "ping", "args": args}, max_bytes=1_000_000)
    assert path_of(caught.value) == "(body)"


def test_ten_thousand_values_are_not_too_many() -> None:
    args = {str(n): 1 for n in range(9_998)}
    assert decode({"method": "ping", "args": args}, max_bytes=1_000_000).args == args


@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down(body: bytes) -> None:
    try:
        decode(body)
    except InvalidRequest:
        return
    assert isinstance(from_json(body), dict)


def test_a_large_message_is_refused_unread() -> None:
    with pytest.raises(InvalidRequest, match="10001 bytes; send at most 10000"):
        decode(b"x" * 10_001)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-json", "APPLICATION/xml"])
def test_another_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode({"method": "ping"}, content_type=content_type)
    assert path_of(caught.value) == "content_type"


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_may_be_said_in_several_ways(content_type: str) -> None:
    assert decode({"method": "ping"}, content_type=content_type).method == "ping"


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="content_encoding"):
        decode({"method": "ping"}, content_encoding="gzip")


def test_a_parked_request_that_was_not_filled_in_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="fill in"):
        decode({"method": "ping", "args": {"password": PLACEHOLDER}})


def test_an_identity_of_129_characters_is_refused() -> None:
    assert decode({"method": "ping"}, message_id="x" * 128).identity == "x" * 128
    with pytest.raises(InvalidRequest, match="message_id"):
        decode({"method": "ping"}, message_id="x" * 129)


def test_an_empty_identity_is_none() -> None:
    assert decode({"method": "ping"}, message_id="").identity is None


def test_scopes_of_different_senders_never_meet() -> None:
    senders: list[dict[str, Any]] = [
        {},
        {"user_id": "a"},
        {"app_id": "a"},
        {"user_id": "a", "app_id": "b"},
        {"user_id": "a/b"},
        {"app_id": "a/b"},
        {"user_id": "a%2Fb"},
    ]
    assert len({decode({"method": "ping"}, **sender).scope for sender in senders}) == len(senders)


def test_the_deadline_is_the_earlier_of_header_and_expiration() -> None:
    header = {"x-deadline": "2030-01-01T12:00:30+00:00"}
    at = NOW + timedelta(seconds=30)
    assert decode({"method": "ping"}).deadline is None
    assert decode({"method": "ping"}, headers=header).deadline == at
    assert decode({"method": "ping"}, headers=header, expiration=60.0).deadline == at
    assert decode({"method": "ping"}, headers=header, expiration=1.0).deadline == NOW + timedelta(seconds=1)
    assert decode({"method": "ping"}, headers={"x-deadline": "2030-01-01T14:00:30+02:00"}).deadline == at


def test_an_expiration_counts_from_when_the_message_was_sent() -> None:
    sent = NOW - timedelta(seconds=50)
    assert decode({"method": "ping"}, expiration=60.0, timestamp=sent).deadline == NOW + timedelta(seconds=10)
    ahead = NOW + timedelta(hours=1)
    assert decode({"method": "ping"}, expiration=60.0, timestamp=ahead).deadline == NOW + timedelta(seconds=60)
    assert decode({"method": "ping"}, expiration=1e300).deadline is None  # beyond the calendar


@pytest.mark.parametrize("header", ["tomorrow", "2030-01-01T12:00:00", "", 1893499200, None, {}, NOW])
def test_a_deadline_that_is_no_rfc_3339_time_is_refused(header: Any) -> None:
    if header is None:
        assert decode({"method": "ping"}, headers={"x-deadline": header}).deadline is None
        return
    with pytest.raises(InvalidRequest, match="x-deadline"):
        decode({"method": "ping"}, headers={"x-deadline": header})


def test_an_answer_is_result_or_error() -> None:
    to = Address(format="plain", reply_to="q", correlation_id="c", exchange="e")
    good = wire.encode(to, Answer(result={"a": None}), "m1")
    bad = wire.encode(to, Answer(error={"code": "busy"}), "m2", persistent=False)
    assert from_json(good.body) == {"result": {"a": None}}
    assert from_json(bad.body) == {"error": {"code": "busy"}}
    assert (good.exchange, good.routing_key, good.correlation_id, good.message_id) == ("e", "q", "c", "m1")
    assert good.mandatory
    assert good.persistent
    assert not bad.persistent


def test_an_address_in_a_format_of_a_later_version_is_answered_in_plain() -> None:
    to = Address(format="smoke-signals", reply_to="q")
    assert from_json(wire.encode(to, Answer(result={}), "m").body) == {"result": {}}
