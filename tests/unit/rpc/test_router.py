"""Which method may be asked where, and who is turned away at the door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agent.errors import Expired, InvalidRequest
from agent.journal.records import Caller
from agent.names import Names
from agent.rpc.desk import Call, Request, Source
from agent.rpc.router import Router, UnknownMethod, UnsupportedVersion
from agent.rpc.schema import METHODS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = Names(host="h1")


def route(method: str, source: Source = Source.COMMANDS, *, shared_spawn: bool = False, **changes: Any) -> Call:
    values: dict[str, Any] = {
        "method": method,
        "version": "1.0",
        "args": ARGS.get(method, {"instance_uuid": str(uuid4())}),
        "caller": Caller(),
        "identity": "m1",
        "scope": "/",
        "address": None,
    }
    return Router(NAMES, shared_spawn).route(Request(**{**values, **changes}), source, NOW)


ARGS: dict[str, dict[str, Any]] = {
    "spawn": {"instance": {"uuid": str(uuid4()), "name": "vm", "vcpus": 1, "memory_mb": 64}},
    "cancel_operation": {"operation_id": str(uuid4())},
    "retry_operation": {"operation_id": str(uuid4())},
    "get_operation": {"operation_id": str(uuid4())},
    "ping": {},
    "get_host": {},
    "list_instances": {},
    "list_operations": {},
    "replay_events": {"from_sequence": 1},
    "plan": {"method": "stop"},
}
READS = [name for name, method in METHODS.items() if method.kind == "read"]


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("source", Source)
def test_a_read_is_taken_everywhere(name: str, source: Source) -> None:
    assert route(name, source).method.name == name


@pytest.mark.parametrize("name", ["spawn", "stop", "retry_operation"])
@pytest.mark.parametrize("source", [Source.QUERIES, Source.SHARED, Source.FANOUT])
def test_a_change_is_taken_from_the_hosts_own_queue_only(name: str, source: Source) -> None:
    assert route(name).method.name == name
    with pytest.raises(InvalidRequest, match=r"compute\.h1"):
        route(name, source)


def test_cancel_gets_through_while_commands_are_paused() -> None:
    assert route("cancel_operation", Source.QUERIES).method.name == "cancel_operation"
    with pytest.raises(InvalidRequest):
        route("cancel_operation", Source.FANOUT)


def test_spawn_alone_is_taken_from_the_shared_queue_and_only_when_that_is_on() -> None:
    assert route("spawn", Source.SHARED, shared_spawn=True).method.name == "spawn"
    for method, source in (("stop", Source.SHARED), ("spawn", Source.FANOUT), ("spawn", Source.QUERIES)):
        with pytest.raises(InvalidRequest):
            route(method, source, shared_spawn=True)


@pytest.mark.parametrize("version", ["1.0", "1.00"])
def test_this_version_is_spoken(version: str) -> None:
    assert route("ping", version=version)


@pytest.mark.parametrize(
    "version", ["", "1", "1.1", "0.9", "2.0", "1.0.0", "a.b", "1.-1", "9" * 50, "1.0\n", "\u0661.\u0660"]
)
def test_another_version_is_not(version: str) -> None:
    with pytest.raises(UnsupportedVersion, match=r"1\.0"):
        route("ping", version=version)


def test_an_unknown_method_is_told_the_nearest() -> None:
    with pytest.raises(UnknownMethod, match="did you mean 'spawn'"):
        route("spwan")
    with pytest.raises(UnknownMethod, match="known: spawn"):
        route("frobnicate")
    with pytest.raises(UnknownMethod) as caught:
        route("x" * 250)
    assert len(str(caught.value)) < 700


def test_a_change_needs_an_identity_and_a_read_does_not() -> None:
    assert route("ping", identity=None)
    with pytest.raises(InvalidRequest, match="message_id"):
        route("stop", identity=None)
    args = {"instance_uuid": str(uuid4()), "idempotency_key": "k"}
    assert route("stop", identity=None, args=args)


def test_a_late_read_is_expired_and_a_late_change_the_desks_to_judge() -> None:
    late, early = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    assert route("ping", deadline=early)
    with pytest.raises(Expired):
        route("ping", deadline=late)
    with pytest.raises(Expired):
        route("ping", deadline=NOW)
    assert route("stop", deadline=late)


def test_the_arguments_are_checked() -> None:
    with pytest.raises(InvalidRequest, match="instance_uuid: is missing"):
        route("stop", args={})
