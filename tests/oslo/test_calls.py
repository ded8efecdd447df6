"""Calls and casts of a real RPCClient, to an agent as it is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.e2e.daemon import Daemon
from tests.e2e.story import small, until, uuid_of
from tests.oslo.library import Oslo
from tests.rig.broker import Broker

ROOT = Path(__file__).resolve().parents[2]

H1: dict[str, Any] = {"server": "h1"}


async def test_a_call_gets_its_result(oslo: Oslo) -> None:
    pong = await oslo.call("ping", **H1)
    assert pong["host"] == "h1"


async def test_a_guest_is_spawned_looked_at_and_destroyed(oslo: Oslo) -> None:
    args = small()
    done = await oslo.call("spawn", args, **H1)
    assert (done["instance_uuid"], done["power_state"]) == (uuid_of(args), "running")
    got = await oslo.call("get_instance", {"instance_uuid": uuid_of(args)}, **H1)
    assert got["instance"]["power_state"] == "running"
    assert (await oslo.call("destroy", {"instance_uuid": uuid_of(args)}, **H1))["already"] is False


async def test_an_error_is_a_remote_error_with_our_class_and_all_that_it_says(oslo: Oslo) -> None:
    raised = await oslo.fail("stop", {"instance_uuid": str(uuid4())}, **H1)
    assert (raised.kind, raised.exc_type) == ("RemoteError", "NotFound")
    assert raised.value == "the instance isn't on this host"
    assert (raised.error["code"], raised.error["retryable"]) == ("not_found", False)
    raised = await oslo.fail("stop", {"instance_uuid": "x", "graceful": 7}, **H1)
    assert raised.exc_type == "InvalidRequest"
    assert [field["path"] for field in raised.error["details"]["fields"]] == ["instance_uuid", "graceful"]


async def test_an_unknown_method_and_version_and_namespace_are_said_as_oslo_says_them(oslo: Oslo) -> None:
    raised = await oslo.fail("spwan", {}, **H1)
    assert (raised.kind, raised.exc_type) == ("RemoteError", "NoSuchMethod")
    assert "did you mean 'spawn'" in (raised.value or "")
    wrongs: list[dict[str, Any]] = [{"version": "2.0"}, {"version": "1.9"}, {"namespace": "baseapi"}]
    for wrong in wrongs:
        raised = await oslo.fail("ping", {}, **H1, **wrong)
        assert (raised.kind, raised.exc_type) == ("RemoteError", "UnsupportedVersion"), wrong
    assert (await oslo.call("ping", **H1, version="1.0"))["host"] == "h1"


async def test_the_servers_ping_is_answered(oslo: Oslo) -> None:
    assert await oslo.call("oslo_rpc_server_ping", **H1) == "pong"
    assert await oslo.call("oslo_rpc_server_ping") == "pong"


async def test_the_shared_topic_takes_reads_and_names_the_queue_for_changes(oslo: Oslo, topic: str) -> None:
    assert (await oslo.call("ping"))["host"] == "h1"
    raised = await oslo.fail("stop", {"instance_uuid": str(uuid4())})
    assert raised.exc_type == "InvalidRequest"
    assert f"{topic}.h1" in (raised.value or "")


async def test_a_cast_is_done(oslo: Oslo, agent: Daemon) -> None:
    args = small()
    await oslo.cast("spawn", args, **H1)

    async def spawned() -> bool:
        listed = await oslo.call("list_instances", **H1)
        return uuid_of(args) in [instance["uuid"] for instance in listed["instances"]]

    await until(spawned, 60, "the guest")


async def test_a_broadcast_reaches_every_host_and_changes_nothing(oslo: Oslo, agent: Daemon, topic: str) -> None:
    uuid = str(uuid4())
    await oslo.cast("stop", {"instance_uuid": uuid}, fanout=True)
    await oslo.cast("ping", fanout=True)

    async def told() -> list[str]:
        return [line["queue"] for line in agent.lines() if line["event"] == "request.refused" and "code" in line]

    assert any(queue.startswith(f"{topic}_fanout_") for queue in await until(told, 60, "the refusal"))
    listed = await oslo.call("list_operations", {"instance_uuid": uuid}, **H1)
    assert listed["operations"] == []


async def test_who_asks_rides_into_the_log_the_operation_and_its_events(oslo: Oslo, agent: Daemon) -> None:
    ctxt = {
        "request_id": "req-7",
        "global_request_id": "req-g",
        "user_id": "u7",
        "tenant": "p7",
        "roles": ["admin"],
        "auth_token": "topsecret",
        "timestamp": None,
        "service_catalog": [{"a": {"b": 1}}],
    }
    args = small()
    done = await oslo.call("spawn", args, ctxt=ctxt, **H1)
    operation = await oslo.call("get_operation", {"operation_id": done["operation_id"]}, **H1)
    shown = operation["operation"]
    assert (shown["request_id"], shown["user_id"], shown["project_id"]) == ("req-7", "u7", "p7")
    events = (await oslo.call("replay_events", {"from_sequence": 1}, **H1))["events"]
    end = next(e for e in events if e["type"].endswith("spawn.end") and e["subject"] == uuid_of(args))
    names = ("request_id", "global_request_id", "user_id", "project_id")
    assert [end["data"][name] for name in names] == ["req-7", "req-g", "u7", "p7"]
    raised = await oslo.fail("stop", {"instance_uuid": "x"}, ctxt=ctxt, **H1)
    assert raised.exc_type == "InvalidRequest"
    refused = next(line for line in agent.lines() if line.get("request_id") == "req-7" and "code" in line)
    assert [refused[name] for name in names] == ["req-7", "req-g", "u7", "p7"]
    assert "topsecret" not in agent.log.read_text()


async def test_the_same_idempotency_key_gets_the_first_answer(oslo: Oslo) -> None:
    args = small() | {"idempotency_key": str(uuid4())}
    first = await oslo.call("spawn", args, **H1)
    assert await oslo.call("spawn", args, **H1) == first
    raised = await oslo.fail("spawn", small() | {"idempotency_key": args["idempotency_key"]}, **H1)
    assert raised.exc_type == "Conflict"


async def test_a_call_that_nobody_waits_for_any_more_begins_nothing(oslo: Oslo, agent: Daemon) -> None:
    """The library's timeout is the message's expiration."""
    args = small()
    await asyncio.to_thread(agent.kill)
    raised = await oslo.fail("spawn", args, timeout=1, **H1)
    await asyncio.to_thread(agent.start)
    assert raised.kind == "MessagingTimeout"
    assert (await oslo.call("list_operations", {"instance_uuid": uuid_of(args)}, **H1))["operations"] == []


async def test_where_the_agents_errors_are_known_the_caller_raises_them(
    broker: Broker, topic: str, tmp_path: Path, agent: Daemon
) -> None:
    """With `allowed_remote_exmods`, and the package beside the caller."""
    async with Oslo(
        broker.url, tmp_path / "log", exchange=topic, topic=topic, allowed=("agent.errors",), path=ROOT
    ) as oslo:
        raised = await oslo.fail("stop", {"instance_uuid": "x"}, **H1)
    assert raised.kind == "InvalidRequest_Remote"
    assert raised.details is not None
    assert raised.details["fields"][0]["path"] == "instance_uuid"


async def test_a_host_without_a_queue_is_told_at_once_if_the_caller_asks_for_that(oslo: Oslo) -> None:
    raised = await oslo.fail("ping", server="nowhere", at_least_once=True)
    assert raised.kind == "MessageUndeliverable"


async def test_a_request_that_comes_twice_is_done_once_and_has_the_same_answer(
    broker: Broker, topic: str, oslo: Oslo
) -> None:
    """As after a connection that was lost before the acknowledgement. The library knows the last 16 by itself."""
    args = small()
    call = {"_msg_id": uuid4().hex, "_unique_id": uuid4().hex, "_timeout": None}
    connection = await aio_pika.connect(broker.url)
    async with connection, connection.channel() as channel:
        replies = await channel.declare_queue(exclusive=True)
        got: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await replies.consume(got.put, no_ack=True)
        inner = {"method": "spawn", "args": args, "_reply_q": replies.name, **call}
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(inner)}).encode()
        exchange = await channel.get_exchange(topic, ensure=False)
        answers = []
        for _ in range(2):
            await exchange.publish(aio_pika.Message(body, content_type="application/json"), f"{topic}.h1")
            told = json.loads((await asyncio.wait_for(got.get(), 60)).body)
            answers.append(json.loads(told["oslo.message"]))
    assert answers[0]["result"] == answers[1]["result"]
    assert answers[0]["result"]["instance_uuid"] == uuid_of(args)
    listed = await oslo.call("list_operations", {"instance_uuid": uuid_of(args)}, **H1)
    assert len(listed["operations"]) == 1
