"""Commands on a real broker: taken in order, once, and refused so that somebody hears of it."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pamqp.commands import Basic
from pydantic_core import to_json

from agent.errors import Conflict, Unavailable
from agent.rpc.reception import Bounds
from tests.integration.rpc_ground import (
    body_of,
    edge_on,
    eventually,
    make_edge,
    new_names,
    peer_on,
    soon,
    stop_args,
)
from tests.rig.broker import Broker

PING = {"method": "ping", "args": {}}


async def test_a_change_is_accepted_with_all_it_came_with(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        uuid = uuid4()
        document = stop_args(uuid, timeout_s=5) | {
            "context": {"request_id": "req-1", "user_id": "u", "roles": ["x"]}
        }
        await peer.send(
            document, message_id="m1", reply_to="somewhere", correlation_id="c1", app_id="sched", user_id="rig"
        )
        await edge.desk.until(lambda: bool(edge.desk.accepted))
    (call,) = edge.desk.accepted
    assert call.method.name == "stop"
    assert call.params.model_dump()["instance_uuid"] == uuid
    assert call.request.identity == "m1"
    assert call.request.scope == "rig/sched"
    assert call.request.caller.request_id == "req-1"
    assert call.request.address is not None
    assert call.request.address.reply_to == "somewhere"


async def test_a_read_is_answered_on_each_of_its_queues(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        for queue in (edge.names.commands, edge.names.queries, edge.names.shared):
            assert (await peer.ask(PING, queue))["result"]["host"] == "h1"
        answer = await peer.ask(PING, "", exchange=edge.names.fanout)
    assert answer["result"]["host"] == "h1"


async def test_an_answer_goes_to_the_exchange_that_was_asked_for(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.replies(bound=True) as (name, got):
            headers = {"x-reply-exchange": edge.names.replies}
            await peer.send(PING, edge.names.queries, reply_to=name, correlation_id="c7", headers=headers)
            message = await soon(got.get())
    assert message.exchange == edge.names.replies
    assert message.correlation_id == "c7"


async def test_an_answer_is_never_published_to_a_foreign_exchange(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        headers = {"x-reply-exchange": edge.names.exchange}
        await peer.send(stop_args(), reply_to="compute.h2", correlation_id="c1", headers=headers, message_id="m1")
        letter = await peer.dead_letter()
    assert letter.headers["x-error-code"] == "invalid_request"
    assert "x-reply-exchange" in str(letter.headers["x-error-message"])
    assert edge.desk.accepted == []


@pytest.mark.parametrize("queue", ["queries", "shared"])
async def test_a_change_on_a_queue_of_reads_is_told_where_it_belongs(broker: Broker, queue: str) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        answer = await peer.ask(stop_args(), getattr(edge.names, queue), message_id="m1")
    assert answer["error"]["code"] == "invalid_request"
    assert edge.names.commands in answer["error"]["message"]


async def test_spawn_is_taken_from_the_shared_queue_when_that_is_on(broker: Broker) -> None:
    async with edge_on(broker.url, shared_spawn=True) as edge, peer_on(broker.url, edge.names) as peer:
        instance = {"uuid": str(uuid4()), "name": "vm", "vcpus": 1, "memory_mb": 64}
        await peer.send({"method": "spawn", "args": {"instance": instance}}, edge.names.shared, message_id="m1")
        await edge.desk.until(lambda: bool(edge.desk.accepted))
        answer = await peer.ask(stop_args(), edge.names.shared, message_id="m2")
    assert answer["error"]["code"] == "invalid_request"


async def test_commands_on_one_instance_are_accepted_in_order(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names):
        pass
    async with peer_on(broker.url, names) as peer:
        uuids = [uuid4() for _ in range(3)]
        for number in range(90):
            await peer.send(stop_args(uuids[number % 3]), message_id=f"m{number:02}")
        async with edge_on(broker.url, names) as edge:
            await edge.desk.until(lambda: len(edge.desk.accepted) == 90)
    for uuid in uuids:
        own = [c.request.identity for c in edge.desk.accepted if c.params.model_dump()["instance_uuid"] == uuid]
        assert own == sorted(own, key=str)
        assert len(own) == 30


async def test_commands_are_handed_in_side_by_side_but_one_instance_waits_for_itself(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.hold.clear()
        one, other = uuid4(), uuid4()
        for number, uuid in enumerate([one, one, other]):
            await peer.send(stop_args(uuid), message_id=f"m{number}")
        await edge.desk.until(lambda: len(edge.desk.begun) == 2)
        assert [call.request.identity for call in edge.desk.begun] == ["m0", "m2"]
        edge.desk.hold.set()
        await edge.desk.until(lambda: len(edge.desk.accepted) == 3)


async def test_a_command_that_is_not_accepted_yet_comes_again_after_a_lost_connection(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names) as edge:
        edge.desk.hold.clear()
        async with peer_on(broker.url, names) as peer:
            await peer.send(stop_args(), message_id="m1")
        await edge.desk.until(lambda: len(edge.desk.begun) == 1)
        before = edge.consumer._link.connection
        await asyncio.to_thread(broker.rabbitmqctl, "close_all_connections", "a test")
        await eventually(lambda: edge.consumer._link.connection is not before)
        edge.desk.hold.set()
        await edge.desk.until(lambda: len(edge.desk.accepted) == 2)
        assert edge.desk.identities() == ["m1", "m1"]  # the journal knows the second
    async with peer_on(broker.url, names) as peer:
        assert await peer.depth(names.commands) == 0


async def test_a_connection_that_dies_under_many_acknowledgements_keeps_no_instance_waiting(
    broker: Broker,
) -> None:
    names, uuids = new_names(), [uuid4() for _ in range(200)]
    async with edge_on(broker.url, names, prefetch=len(uuids)) as edge:
        edge.desk.hold.clear()
        async with peer_on(broker.url, names) as peer:
            for number, uuid in enumerate(uuids):
                await peer.send(stop_args(uuid), message_id=f"first-{number}")
        await edge.desk.until(lambda: len(edge.desk.begun) == len(uuids))
        # Not in a thread: the loop finds all of them accepted and the connection gone at the same moment.
        broker.rabbitmqctl("close_all_connections", "a test")
        edge.desk.hold.set()
        async with peer_on(broker.url, names) as peer:
            for number, uuid in enumerate(uuids):
                await peer.send(stop_args(uuid), message_id=f"second-{number}")
        await edge.desk.until(lambda: len(set(edge.desk.identities())) == 2 * len(uuids))
        async with peer_on(broker.url, names) as peer:  # those that came again too
            await peer.until_depth(names.commands, 0)
        await eventually(lambda: edge.consumer.health().in_hand.count == 0)
    async with peer_on(broker.url, names) as peer:
        assert await peer.depth(names.commands) == 0


async def test_no_command_is_lost_and_none_overtakes_another_over_lost_connections(broker: Broker) -> None:
    names = new_names()
    uuids = [uuid4() for _ in range(4)]
    edge = make_edge(broker.url, names, prefetch=8)
    await edge.declare()
    async with peer_on(broker.url, names) as peer:
        for number in range(400):
            await peer.send(stop_args(uuids[number % 4]), message_id=f"m{number:03}")
    edge.desk.slow = 0.01
    await edge.start()
    try:
        while len(edge.desk.accepted) < 400:
            await asyncio.to_thread(broker.rabbitmqctl, "close_all_connections", "a test")
            seen = len(edge.desk.accepted) + 40
            await edge.desk.until(lambda seen=seen: len(edge.desk.accepted) >= min(400, seen))  # type: ignore[misc]
        await edge.desk.until(lambda: len(set(edge.desk.identities())) == 400)
    finally:
        await edge.stop()
    for uuid in uuids:
        own = [c.request.identity for c in edge.desk.accepted if c.params.model_dump()["instance_uuid"] == uuid]
        # A command that came again is known by its identity: what counts is when it came first.
        first = list(dict.fromkeys(own))
        assert first == sorted(first, key=str)
        assert len(first) == 100


async def test_a_refused_call_is_answered(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.refuse["stop"] = Conflict("no", details={"state": "off"})
        answer = await peer.ask(stop_args(), message_id="m1")
        assert await peer.depth(edge.names.dead_letters) == 0
    assert answer["error"] == {
        "code": "conflict",
        "message": "no",
        "retryable": False,
        "details": {"state": "off"},
        "incident": None,
    }


async def test_a_refused_cast_is_parked_without_its_secrets(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.refuse["attach_volume"] = Unavailable("storage is down")
        info = {
            "driver_volume_type": "local",
            "data": {"device_path": "/dev/vdb", "auth_password": "hunter2", "auth_username": "me"},
            "serial": "vol-1",
        }
        args = {"instance_uuid": str(uuid4()), "connection_info": info}
        await peer.send({"method": "attach_volume", "args": args}, message_id="m1", user_id="rig")
        letter = await peer.dead_letter()
        await edge.desk.until(lambda: len(edge.desk.refused) == 1)
    assert b"hunter2" not in letter.body
    body = body_of(letter)
    assert body["args"]["connection_info"]["data"]["auth_username"] == "me"
    assert body["args"]["instance_uuid"] == args["instance_uuid"]
    assert letter.message_id == "m1"
    assert letter.headers["x-error-code"] == "unavailable"
    assert letter.headers["x-error-message"] == "storage is down"
    assert letter.headers["x-original-queue"] == edge.names.commands
    assert letter.headers["x-method"] == "attach_volume"
    assert letter.headers["x-host"] == "h1"
    assert letter.headers["x-removed"] == "args.connection_info.data.auth_password"
    ((request, error),) = edge.desk.refused
    assert request.method == "attach_volume"
    assert isinstance(error, Unavailable)


async def test_a_bug_is_answered_with_an_incident_and_kills_nothing(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.refuse["stop"] = KeyError("secret thing")
        edge.desk.refuse["ping"] = ZeroDivisionError()
        answers = [await peer.ask(stop_args(), message_id="m1"), await peer.ask(PING, edge.names.queries)]
        del edge.desk.refuse["ping"]
        assert "result" in await peer.ask(PING, edge.names.queries)
    for answer in answers:
        assert answer["error"]["code"] == "internal"
        assert answer["error"]["incident"] in answer["error"]["message"]
        assert "secret thing" not in str(answer)


@pytest.mark.parametrize(
    ("body", "properties", "where"),
    [
        (b"{", {}, "(body)"),
        (b"\xff\xfe", {}, "(body)"),
        (b"[]", {}, "(body)"),
        (b'{"method": NaN}', {}, "(body)"),
        (b"[" * 5000 + b"]" * 5000, {}, "(body)"),
        (b"{}", {}, "method"),
        (b'{"method": "ping"}', {"content_type": "text/plain"}, "content_type"),
        (b'{"method": "ping"}', {"content_encoding": "gzip"}, "content_encoding"),
        (b'{"method": "ping", "args": []}', {}, "args"),
        (b'{"method": "ping", "version": "2.0"}', {}, "version"),
        (b'{"method": "ping", "headers": {"x": 1}}', {}, "headers"),
        (b'{"method": "ping"}', {"headers": {"x-deadline": "tomorrow"}}, "headers.x-deadline"),
        (b'{"method": "stop", "args": {}}', {"message_id": "x" * 129}, "message_id"),
    ],
)
async def test_a_bad_request_is_answered_with_the_field_to_mend(
    broker: Broker, body: bytes, properties: dict[str, object], where: str
) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        answer = await peer.ask(body, edge.names.queries, **properties)
    assert answer["error"]["code"] == "invalid_request"
    assert answer["error"]["details"]["fields"][0]["path"] == where


async def test_a_message_of_10_mb_is_refused_unread(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        big = b'{"method": "stop", "args": {"x": "' + b"a" * 10_000_000 + b'"}}'
        answer = await peer.ask(big, message_id="m1")
        assert "10000" in answer["error"]["message"]
        await peer.send(big, message_id="m2")
        letter = await peer.dead_letter()
    assert letter.body == b""
    assert letter.headers["x-body"] == "omitted"
    assert letter.headers["x-body-length"] == len(big)
    assert len(str(letter.headers["x-body-sha256"])) == 64


async def test_poison_stops_nobody(broker: Broker) -> None:
    async with edge_on(broker.url, prefetch=4) as edge, peer_on(broker.url, edge.names) as peer:
        for number in range(40):
            await peer.send(b"\x00poison", message_id=f"p{number}", content_type="application/json")
        await peer.send(stop_args(), message_id="good")
        await edge.desk.until(lambda: edge.desk.identities() == ["good"])


async def test_a_change_without_an_identity_is_refused(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        # aiormq would give each message an id.
        only_json = Basic.Properties(content_type="application/json").marshal()
        await peer.send_raw(to_json(stop_args()), only_json)
        letter = await peer.dead_letter()
        await peer.send_raw(to_json(stop_args(idempotency_key="k1")), only_json)
        await edge.desk.until(lambda: len(edge.desk.accepted) == 1)
    assert "message_id: is missing" in str(letter.headers["x-error-message"])


async def test_a_read_past_its_deadline_is_not_done(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        answer = await peer.ask(PING, edge.names.queries, headers={"x-deadline": past})
    assert answer["error"]["code"] == "expired"
    assert edge.desk.reading == 0


async def test_a_change_past_its_deadline_is_the_desks_to_judge(broker: Broker) -> None:
    """It may have been accepted in time and come again: then "nothing was begun" would be wrong."""
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await peer.send(stop_args(), message_id="m1", headers={"x-deadline": past.isoformat()})
        await edge.desk.until(lambda: len(edge.desk.accepted) == 1)
    assert edge.desk.accepted[0].request.deadline == past


async def test_a_call_whose_reply_queue_is_gone_is_done_with(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.refuse["stop"] = Conflict("no")
        await peer.send(stop_args(), message_id="m1", reply_to="nowhere", correlation_id="c1")
        await peer.send(PING, edge.names.queries, reply_to="nowhere", correlation_id="c1")
        await peer.send(PING, edge.names.queries)
        assert "result" in await peer.ask(PING, edge.names.queries)
        assert await peer.depth(edge.names.dead_letters) == 0


async def test_more_reads_than_the_bound_are_busy(broker: Broker) -> None:
    async with edge_on(broker.url, bounds=Bounds(reads=2)) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.slow_reads.clear()
        async with peer.replies() as (name, got):
            for number in range(2):
                await peer.send(PING, edge.names.queries, reply_to=name, correlation_id=f"c{number}")
            await edge.desk.until(lambda: edge.desk.reading == 2)
            await peer.send(PING, edge.names.queries, reply_to=name, correlation_id="c2")
            busy = await soon(got.get())
            edge.desk.slow_reads.set()
            others = [await soon(got.get()), await soon(got.get())]
    assert body_of(busy)["error"]["code"] == "busy"
    assert busy.correlation_id == "c2"
    assert {message.correlation_id for message in others} == {"c0", "c1"}


async def test_without_room_commands_stay_in_the_broker_and_queries_go_on(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.most = 3
        uuid = uuid4()
        for number in range(10):
            await peer.send(stop_args(uuid), message_id=f"m{number}")
        await edge.desk.until(lambda: len(edge.desk.accepted) == 3)
        cancel = {"method": "cancel_operation", "args": {"operation_id": str(uuid4())}}
        assert "result" in await peer.ask(PING, edge.names.queries)
        await peer.send(cancel, edge.names.queries, message_id="cancel")
        await edge.desk.until(lambda: len(edge.desk.accepted) == 4)
        await eventually(lambda: edge.consumer.health().paused_since is not None)
        await peer.until_depth(edge.names.commands, 7)
        edge.desk.most = None
        edge.desk.room.set()
        await edge.desk.until(lambda: len(edge.desk.accepted) == 11)
        identities = [identity for identity in edge.desk.identities() if identity != "cancel"]
    assert identities == [f"m{number}" for number in range(10)]


async def test_stopping_hands_back_what_is_not_accepted(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names) as edge, peer_on(broker.url, names) as peer:
        edge.desk.hold.clear()
        uuid = uuid4()
        for number in range(5):
            await peer.send(stop_args(uuid), message_id=f"m{number}")
        await edge.desk.until(lambda: len(edge.desk.begun) == 1)
        stopping = asyncio.create_task(edge.consumer.stop_consuming())
        await eventually(lambda: not edge.consumer.health().consuming)
        edge.desk.hold.set()
        await soon(stopping)
        assert edge.desk.identities() == ["m0"]
        await peer.until_depth(names.commands, 4)
        async with edge_on(broker.url, names) as after:
            await after.desk.until(lambda: len(after.desk.accepted) == 4)
    assert after.desk.identities() == ["m1", "m2", "m3", "m4"]


async def test_a_second_agent_of_the_same_name_takes_nothing_and_says_why(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        second = make_edge(broker.url, edge.names)
        await second.start()
        await eventually(lambda: second.consumer.health().trouble is not None)
        for number in range(20):
            await peer.send(stop_args(), message_id=f"m{number}")
        await edge.desk.until(lambda: len(edge.desk.accepted) == 20)
        assert "'h1'" in str(second.consumer.health().trouble)
        assert second.desk.begun == []
        await edge.stop()
        await soon(second.consumer.consuming())  # its turn, once the first has gone
        await second.stop()


CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "headers"
BAD_PROPERTIES = {
    "a timestamp in nanoseconds": struct.pack(">HQ", 1 << 6, 1_700_000_000_000_000_000),
    "the latest timestamp of all": struct.pack(">HQ", 1 << 6, 2**64 - 1),
    "an id that isn't UTF-8": struct.pack(">H", 1 << 7) + b"\x03\xff\xfe\xfd",
    "tables within tables": (CORPUS / "found-nested-tables.bin").read_bytes()[12:],
}


@pytest.mark.parametrize("raw", BAD_PROPERTIES.values(), ids=BAD_PROPERTIES.keys())
async def test_properties_that_cannot_be_decoded_stop_nobody(broker: Broker, raw: bytes) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        await peer.send_raw(b'{"method": "ping"}', raw)
        await peer.send(stop_args(), message_id="good")
        await edge.desk.until(lambda: edge.desk.identities() == ["good"])
        letter = await peer.dead_letter()
    assert letter.headers["x-error-code"] == "invalid_request"


async def test_a_routing_key_that_cannot_be_decoded_stops_nobody(broker: Broker) -> None:
    """What is sent to all agents reaches them by any key."""
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        before = edge.consumer.health().link
        await peer.send_by(b"\xff\xfe", b'{"method": "ping"}', edge.names.fanout)
        assert "result" in await peer.ask({"method": "ping"}, edge.names.queries)
        await peer.send(stop_args(), message_id="good")
        await edge.desk.until(lambda: edge.desk.identities() == ["good"])
        assert edge.consumer.health().link == before
