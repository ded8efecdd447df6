"""The format of oslo.messaging, both ways; the frames are those that the library itself sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AgentError, Conflict, InvalidRequest
from agent.journal.records import Address, Answer
from agent.operations.outcome import error_body
from agent.rpc import wire
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.router import UnknownMethod, UnsupportedVersion

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
CALL = {"_msg_id": "m1", "_reply_q": "reply_1", "_timeout": None, "_unique_id": "u1"}


def enveloped(inner: Any, version: object = "2.0") -> bytes:
    message = inner if isinstance(inner, str) else json.dumps(inner)
    return json.dumps({"oslo.version": version, "oslo.message": message}).encode()


def opened(body: bytes, **properties: Any) -> wire.Opened:
    given = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
    return wire.opened(Properties(**given), body, max_bytes=10_000)


def decode(inner: dict[str, Any], **properties: Any) -> Request:
    letter = opened(enveloped(inner), **properties)
    return letter.request(letter.address("compute.replies"), NOW)


def refused(body: bytes, **properties: Any) -> InvalidRequest:
    letter = opened(body, **properties)
    with pytest.raises(InvalidRequest) as caught:
        letter.request(letter.address("compute.replies"), NOW)
    return caught.value


def path_of(error: AgentError) -> str:
    return str(error.details["fields"][0]["path"])


def inner_of(message: Outgoing) -> dict[str, Any]:
    outer = json.loads(message.body)
    assert set(outer) == {"oslo.version", "oslo.message"}
    assert outer["oslo.version"] == "2.0"
    inner = json.loads(outer["oslo.message"])
    assert isinstance(inner, dict)
    return inner


def test_a_cast_has_no_address_and_its_unique_id_is_its_identity() -> None:
    request = decode({"method": "stop", "args": {"a": 1}, "_unique_id": "u1"})
    assert request.address is None
    assert (request.method, request.version, request.args, request.identity) == ("stop", "1.0", {"a": 1}, "u1")


def test_an_identity_is_that_of_the_user_whom_the_broker_vouches_for() -> None:
    senders: list[dict[str, Any]] = [{}, {"user_id": "nova"}, {"app_id": "nova"}, {"user_id": "other"}]
    assert len({decode({"method": "stop"}, **sender).scope for sender in senders}) == len(senders)


def test_a_call_is_answered_through_the_default_exchange_to_its_reply_queue() -> None:
    request = decode({"method": "stop", **CALL}, expiration=60.0)
    assert request.address == Address(format="oslo", reply_to="reply_1", correlation_id="m1", exchange="")
    assert request.deadline == NOW + timedelta(seconds=60)


def test_a_delivery_that_comes_again_has_the_same_address() -> None:
    monitored = {"method": "stop", **CALL, "_timeout": 60}
    first, again = (decode(monitored, expiration=60.0).address for _ in range(2))
    assert first == again


def test_a_bare_message_is_the_librarys_version_one() -> None:
    letter = opened(json.dumps({"method": "ping", **CALL}).encode())
    address = letter.address("r")
    assert address is not None
    assert address.format == "oslo"
    assert letter.request(address, NOW).method == "ping"


def test_an_argument_that_its_call_has_a_parameter_for_has_another_name() -> None:
    request = decode({"method": "plan", "args": {"method_": "spawn", "args": {"method_": 1}}})
    assert request.args == {"method": "spawn", "args": {"method_": 1}}


def test_what_the_library_ignores_is_ignored() -> None:
    assert decode({"method": "ping", "_new": 1, "trace": {}, "_context_traceparent": "00-1"}).method == "ping"


@pytest.mark.parametrize(
    ("context", "caller"),
    [
        ({"request_id": "r", "global_request_id": "g", "user_id": "u", "project_id": "p"}, ("r", "g", "u", "p")),
        ({"user": "u", "tenant": "p"}, (None, None, "u", "p")),
        ({"user": "u", "project": "p"}, (None, None, "u", "p")),
        ({"user_id": None, "user": "u"}, (None, None, "u", None)),
        ({"request_id": 7, "user_id": {"a": []}, "project_id": ["p"]}, (None, None, None, None)),
        ({"request_id": "a\nb", "user_id": "x" * 256, "project_id": ""}, (None, None, None, None)),
    ],
)
def test_a_context_of_any_shape_is_taken_and_only_texts_of_it(
    context: dict[str, Any], caller: tuple[str | None, ...]
) -> None:
    request = decode({"method": "ping", **{f"_context_{key}": value for key, value in context.items()}})
    names = ("request_id", "global_request_id", "user_id", "project_id")
    assert tuple(getattr(request.caller, name) for name in names) == caller


@pytest.mark.parametrize("version", ["2.1", "3.0", "1.0", "", None, 2, {}])
def test_another_envelope_version_is_refused_and_its_caller_can_be_told(version: object) -> None:
    body = enveloped({"method": "ping", **CALL}, version)
    letter = opened(body)
    address = letter.address("r")
    assert address is not None
    assert address.reply_to == "reply_1"
    assert path_of(refused(body)) == "oslo.version"


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-msgpack"])
def test_another_content_type_is_refused_and_its_caller_can_be_told(content_type: str | None) -> None:
    body = enveloped({"method": "ping", **CALL})
    assert opened(body, content_type=content_type).address("r") is not None
    assert path_of(refused(body, content_type=content_type)) == "content_type"


def test_a_compressed_body_is_refused_with_the_option_that_made_it() -> None:
    error = refused(b"\x1f\x8b", headers={"compression": "application/x-gzip"})
    assert path_of(error) == "headers.compression"
    assert "kombu_compression" in error.message


@pytest.mark.parametrize(
    ("inner", "path"),
    [
        ({}, "method"),
        ({"method": None}, "method"),
        ({"method": {"a": 1}}, "method"),
        ({"method": "ping", "args": []}, "args"),
        ({"method": "ping", "version": 1.0}, "version"),
        ({"method": "ping", "namespace": 7}, "namespace"),
        ({"method": "ping", "_unique_id": 7}, "_unique_id"),
        ({"method": "ping", "_unique_id": "x" * 129}, "_unique_id"),
        ({"method": "ping", "_msg_id": "m"}, "_reply_q"),
        ({"method": "ping", "_msg_id": "m", "_reply_q": ""}, "_reply_q"),
        ({"method": "ping", "_msg_id": "m", "_reply_q": "é" * 128}, "_reply_q"),
        ({"method": "ping", "_msg_id": 7, "_reply_q": "q"}, "_msg_id"),
        ("{", "oslo.message"),
        ("[]", "oslo.message"),
        ('"x"', "oslo.message"),
        ('{"a": NaN}', "oslo.message"),
    ],
)
def test_what_is_wrong_around_the_args_is_named(inner: Any, path: str) -> None:
    assert path_of(refused(enveloped(inner))) == path


@pytest.mark.parametrize("message", [None, 7, {"method": "ping"}, ["x"]])
def test_a_message_that_is_no_string_is_refused(message: object) -> None:
    body = json.dumps({"oslo.version": "2.0", "oslo.message": message}).encode()
    assert path_of(refused(body)) == "oslo.message"


def test_a_namespace_is_a_version_that_is_not_spoken() -> None:
    assert isinstance(refused(enveloped({"method": "ping", "namespace": "baseapi"})), UnsupportedVersion)


def test_the_servers_ping_is_our_ping_and_answered_as_the_library_answers_it() -> None:
    request = decode({"method": "oslo_rpc_server_ping", "args": {"arg": 1}, **CALL})
    assert (request.method, request.args) == ("ping", {})
    assert request.address is not None
    reply = inner_of(wire.encode(request.address, Answer(result={"host": "h1"}), "r1"))
    assert reply["result"] == "pong"


ADDRESS = Address(format="oslo", reply_to="reply_1", correlation_id="m1")


def test_an_answer_is_one_message_that_ends_the_call() -> None:
    message = wire.encode(ADDRESS, Answer(result={"a": None}), "11-22")
    assert (message.exchange, message.routing_key) == ("", "reply_1")
    assert (message.content_type, message.mandatory, message.persistent) == ("application/json", True, True)
    assert inner_of(message) == {
        "result": {"a": None},
        "failure": None,
        "ending": True,
        "_msg_id": "m1",
        "_unique_id": "1122",
    }


def test_a_failure_carries_our_class_and_what_makes_it_again() -> None:
    error = Conflict("taken", details={"operation_id": "o"}, incident="i")
    reply = inner_of(wire.encode(ADDRESS, Answer(error=error_body(error)), "r1"))
    failure = json.loads(reply["failure"])
    assert reply["result"] is None
    assert (failure["class"], failure["module"], failure["message"]) == ("Conflict", "agent.errors", "taken")
    assert json.loads(failure["tb"][0]) == error_body(error)
    again = Conflict(*failure["args"], **failure["kwargs"])
    assert error_body(again) == error_body(error)


def test_a_code_of_a_later_version_is_a_failure_too() -> None:
    reply = inner_of(wire.encode(ADDRESS, Answer(error={"code": "new", "message": "?"}), "r1"))
    assert json.loads(reply["failure"])["class"] == "Internal"


@pytest.mark.parametrize(
    ("refusal", "name", "begin"),
    [
        (UnknownMethod("x"), "NoSuchMethod", "Endpoint does not support RPC method"),
        (UnsupportedVersion("x"), "UnsupportedVersion", "Endpoint does not support RPC version"),
        (InvalidRequest("x"), "InvalidRequest", "x"),
    ],
)
def test_a_refusal_is_said_with_the_librarys_class_where_it_has_one(
    refusal: AgentError, name: str, begin: str
) -> None:
    reply = wire.refuse(ADDRESS, refusal, "r1")
    failure = json.loads(inner_of(reply)["failure"])
    assert failure["class"] == name
    assert not reply.persistent  # nothing was begun, so nothing is owed
    assert failure["message"].startswith(begin)
    assert failure["module"] == ("agent.errors" if name == "InvalidRequest" else "oslo_messaging.rpc.dispatcher")


@pytest.mark.parametrize(
    ("timeout", "every"),
    [
        *[(60, 30), (2, 1), ("9", 4.5), (3.9, 1.5), (1e300, 12 * 3600)],
        *[(1, None), (0, None), (-4, None), (None, None), (True, None)],
        *[("x", None), ("9" * 5000, None), ([], None), ({}, None)],
    ],
)
def test_signs_of_life_are_sent_at_half_the_callers_patience(timeout: object, every: float | None) -> None:
    """What oslo's own server takes for no number gets none."""
    monitor = wire.monitor(decode({"method": "stop", **CALL, "_timeout": timeout}, expiration=90.0).address)
    assert monitor == (None if every is None else wire.Monitor(every, 90.0))


def test_a_cast_and_a_plain_call_get_none() -> None:
    assert wire.monitor(None) is None
    assert wire.monitor(decode({"method": "stop", "_timeout": 60}).address) is None
    assert wire.monitor(Address(format="plain", reply_to="q", extra={"monitor_s": 7})) is None


def test_a_sign_of_life_holds_nothing_ends_nothing_and_is_worth_nothing_later() -> None:
    address = decode({"method": "stop", **CALL, "_timeout": 60}).address
    assert address is not None
    message = wire.heartbeat(address, "h1")
    assert inner_of(message) == {
        "result": None,
        "failure": None,
        "ending": False,
        "_msg_id": "m1",
        "_unique_id": "h1",
    }
    assert (message.expiration, message.persistent, message.mandatory) == (60.0, False, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_whatever_stands_in_the_fields_is_taken_or_named(value: Any) -> None:
    for key in ("_msg_id", "_reply_q", "_timeout", "_unique_id", "_context_request_id", "version", "namespace"):
        letter = opened(enveloped({"method": "ping", **CALL, key: value}))
        assert _outcome(letter) in ("taken", key)


def _outcome(letter: wire.Opened) -> str:
    try:
        letter.request(letter.address("r"), NOW)
    except InvalidRequest as error:
        return path_of(error)
    return "taken"
