"""What is parked has no secret, wherever it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import Conflict, InvalidRequest
from agent.journal.records import Answer
from agent.names import Names
from agent.rpc import dead_letters, wire
from agent.rpc.dead_letters import Cast, Refused, parked
from agent.rpc.message import Outgoing, Properties
from agent.rpc.redact import redact
from agent.rpc.schema.envelope import PLACEHOLDER

SECRET = "hunter2"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def clean(document: Any) -> dict[str, Any]:
    redacted = redact(json.dumps(document).encode())
    assert redacted is not None
    return dict(json.loads(redacted.body))


def spawn(**more: Any) -> dict[str, Any]:
    instance = {"uuid": str(uuid4()), "name": "vm", "vcpus": 2, "memory_mb": 64, **more}
    return {"method": "spawn", "version": "1.0", "args": {"instance": instance}, "context": {"request_id": "r"}}


VOLUME = {"driver_volume_type": "iscsi", "data": {"auth_password": SECRET, "auth_username": "me", "target_lun": 1}}

PLACES: dict[str, dict[str, Any]] = {
    "where the schema has it": spawn(config_drive={"admin_pass": SECRET, "hostname": "a"}),
    "in a file": spawn(config_drive={"files": [{"path": "/a", "content": SECRET}]}),
    "in a volume's connection": spawn(disks=[{"kind": "volume", "connection_info": VOLUME}]),
    "in a variant that can't be told": spawn(disks=[{"connection_info": VOLUME}]),
    "one level too high": spawn(admin_pass=SECRET),
    "at the top": {"method": "spawn", "admin_pass": SECRET},
    "under a misspelt name": spawn(config_drive={"admin_pasword": SECRET}),
    "under a name that nobody could know": spawn(config_drive={"zzz": SECRET}),
    "under camel case": spawn(config_drive={"adminPass": SECRET}),
    "under a dash": spawn(config_drive={"user-data": SECRET}),
    "of an unknown method": {"method": "frob", "args": {"deep": [{"password": SECRET}]}},
    "where args should be": {"method": "spawn", "params": {"user_data": SECRET}},
    "an object instead of a text": spawn(config_drive={"user_data": {"a": [SECRET, {"b": SECRET}]}}),
    "a token in the context": {"method": "ping", "context": {"auth_token": SECRET}},
    "a login in a URL": spawn(disks=[{"kind": "image", "image": {"url": f"https://me:{SECRET}@h/i"}}]),
    "a signature in a URL": spawn(disks=[{"kind": "image", "image": {"url": f"https://h/i?a=1&X-Sig={SECRET}"}}]),
    "in oslo's envelope": {
        "oslo.version": "2.0",
        "oslo.message": json.dumps(spawn(config_drive={"admin_pass": SECRET})),
    },
    "in an envelope that can't be read": {"oslo.version": "2.0", "oslo.message": f"{{{SECRET}"},
    "in oslo's context": {"oslo.message": json.dumps({"_context_auth_token": SECRET})},
}


@pytest.mark.parametrize("document", PLACES.values(), ids=PLACES.keys())
def test_a_secret_goes_wherever_it_is(document: dict[str, Any]) -> None:
    redacted = redact(json.dumps(document).encode())
    assert redacted is not None
    assert SECRET.encode() not in redacted.body
    assert redacted.removed
    assert SECRET not in str(redacted.removed)


def test_a_telling_argument_in_the_value_of_another_goes_with_it() -> None:
    assert clean({"a": "?token=b?sig=c d"}) == {"a": f"?token={PLACEHOLDER} d"}


def test_what_is_not_secret_stays_as_it_was() -> None:
    document = spawn(
        disks=[{"kind": "image", "image": {"url": "https://h/i?a=1", "checksum": "sha256:00"}, "size_mb": 10}],
        interfaces=[{"type": "bridge", "bridge": "br0", "fixed_ips": [{"address": "192.0.2.5/24"}]}],
        metadata={"role": "web"},
        config_drive={"public_keys": {"me": "ssh-ed25519 AAAA"}, "hostname": "a"},
    )
    assert clean(document) == document


def test_the_structure_stays_so_that_it_can_be_filled_in() -> None:
    document = spawn(
        config_drive={"admin_pass": SECRET, "user_data": None, "files": [{"path": "/a", "content": "x"}]}
    )
    drive = clean(document)["args"]["instance"]["config_drive"]
    assert drive == {
        "admin_pass": PLACEHOLDER,
        "user_data": None,
        "files": [{"path": "/a", "content": PLACEHOLDER}],
    }


def test_the_removed_places_are_named_as_a_caller_writes_them() -> None:
    redacted = redact(json.dumps(spawn(config_drive={"files": [{"path": "/a", "content": "x"}]})).encode())
    assert redacted is not None
    assert redacted.removed == ("args.instance.config_drive.files[0].content",)


@pytest.mark.parametrize("body", [b"", b"hunter2", b"[]", b"\xff", b'"x"', b"{"])
def test_a_body_that_is_no_object_is_not_kept(body: bytes) -> None:
    assert redact(body) is None


def test_a_body_of_more_values_than_a_request_needs_is_not_kept() -> None:
    broad = json.dumps({"a": ["v"] * 10_000})
    assert redact(broad.encode()) is None
    assert clean({"oslo.message": broad}) == {"oslo.message": PLACEHOLDER}


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=20,
)


@given(json_values, st.sampled_from(["password", "user_data", "authToken", "my-secret", "admin_pass"]))
def test_a_secret_under_a_telling_name_goes_from_any_document(value: Any, name: str) -> None:
    document = {"method": "spawn", "args": {"any": value, "deep": [{name: {"a": [SECRET, value]}}]}}
    redacted = redact(json.dumps(document).encode())
    assert redacted is not None
    assert SECRET.encode() not in redacted.body


def park(body: bytes, *, max_bytes: int = 1000, method: str | None = "stop", **properties: Any) -> Outgoing:
    refused = Refused(
        properties=Properties(**properties),
        body=body,
        queue="compute.h1",
        method=method,
        error=Conflict("m" * 5000),
    )
    return parked(refused, Names(host="h1"), NOW, max_bytes=max_bytes)


def test_a_parked_request_keeps_its_identity_and_says_why_it_is_there() -> None:
    message = park(b'{"method": "stop"}', message_id="m1", user_id="u", app_id="a", headers={"x-token": SECRET})
    assert message.message_id == "m1"
    assert message.exchange == "compute.dead"
    assert message.persistent
    assert message.mandatory
    headers = dict(message.headers)
    assert len(str(headers.pop("x-error-message"))) == 1000
    assert headers == {
        "x-error-code": "conflict",
        "x-original-queue": "compute.h1",
        "x-method": "stop",
        "x-host": "h1",
        "x-time": NOW.isoformat(),
        "x-original-user-id": "u",
        "x-original-app-id": "a",
        "x-body": "redacted",
        "x-body-length": 18,
    }


def test_the_headers_name_what_was_taken_out_and_none_is_long() -> None:
    files = [{"path": "/a", "content": "x"}] * 100
    message = park(json.dumps(spawn(config_drive={"files": files})).encode(), max_bytes=10_000, method="m" * 5000)
    removed = str(message.headers["x-removed"])
    place = "args.instance.config_drive.files"
    assert removed.startswith(f"{place}[0].content, {place}[1].content, ")
    assert len(removed) == len(str(message.headers["x-method"])) == 1000


def test_no_digest_stands_beside_a_redacted_body() -> None:
    """With the rest of the body at hand it would let a weak password be guessed."""
    assert "x-body-sha256" not in park(b'{"password": "1234"}').headers


@pytest.mark.parametrize("body", [b"not json hunter2", b'{"a": "' + b"x" * 2000 + b'"}'])
def test_a_body_that_cannot_be_cleaned_is_known_by_length_and_digest_only(body: bytes) -> None:
    message = park(body, method=None)
    assert message.body == b""
    assert message.headers["x-body"] == "omitted"
    assert message.headers["x-body-length"] == len(body)
    assert len(str(message.headers["x-body-sha256"])) == 64
    assert "x-method" not in message.headers
    assert message.message_id


def test_what_was_parked_is_refused_until_it_is_filled_in() -> None:
    message = park(json.dumps(spawn(config_drive={"admin_pass": SECRET})).encode())
    opened = wire.opened(Properties(content_type="application/json"), message.body, max_bytes=10_000)
    with pytest.raises(InvalidRequest, match="fill in"):
        opened.request(None, NOW)


def test_an_accepted_cast_has_a_parking_place_without_its_secrets() -> None:
    body = json.dumps(spawn(config_drive={"admin_pass": SECRET})).encode()
    cast = Cast(properties=Properties(message_id="m1"), body=body, queue="compute.h1", method="spawn")
    place = dead_letters.address(cast, Names(host="h1"), NOW)
    assert SECRET not in place.model_dump_json()
    assert place.only_failures
    message = wire.encode(place, Answer(error={"code": "operation_failed", "message": "no" * 1000}), "reply-7")
    assert (message.exchange, message.message_id) == ("compute.dead", "m1")
    assert message.headers["x-error-code"] == "operation_failed"
    assert message.headers["x-error-message"] == "no" * 500
    assert message.headers["x-original-queue"] == "compute.h1"
    assert json.loads(message.body)["args"]["instance"]["config_drive"] == {"admin_pass": PLACEHOLDER}
