"""The edge and bodies of oslo.messaging, those too that the library itself would never send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic_core import from_json

from agent.errors import Busy
from agent.journal.records import Answer
from agent.settings import Notifications
from tests.integration.rpc_ground import Edge, Peer, edge_on, eventually, peer_on, soon
from tests.rig.broker import Broker

Replies = asyncio.Queue[AbstractIncomingMessage]


def body(method: str = "stop", version: object = "2.0", **inner: Any) -> dict[str, Any]:
    args = {} if method == "ping" else {"instance_uuid": str(uuid4())}
    message = {"method": method, "args": args, "_unique_id": uuid4().hex, **inner}
    return {"oslo.version": version, "oslo.message": json.dumps(message)}


def call(method: str, queue: str, **inner: Any) -> dict[str, Any]:
    return body(method, **{"_msg_id": "m1", "_reply_q": queue, "_timeout": None, **inner})


async def answer(got: Replies) -> dict[str, Any]:
    """The next that comes, unwrapped."""
    inner = from_json(from_json((await soon(got.get())).body)["oslo.message"])
    assert isinstance(inner, dict)
    return inner


def failure(inner: dict[str, Any]) -> dict[str, Any]:
    told = from_json(inner["failure"])
    assert isinstance(told, dict)
    return told


@pytest.fixture
async def edge(broker: Broker) -> AsyncIterator[Edge]:
    async with edge_on(broker.url) as running:
        yield running


@pytest.fixture
async def peer(broker: Broker, edge: Edge) -> AsyncIterator[Peer]:
    async with peer_on(broker.url, edge.names) as connected:
        yield connected


async def test_a_read_is_answered_and_a_change_handed_in(edge: Edge, peer: Peer) -> None:
    async with peer.replies() as (queue, got):
        await peer.send(call("ping", queue))
        inner = await answer(got)
        assert (inner["result"]["host"], inner["ending"], inner["_msg_id"]) == ("h1", True, "m1")
        await peer.send(call("stop", queue, _unique_id="u1"))
        await edge.desk.until(lambda: edge.desk.identities() == ["u1"])


async def test_the_answer_to_a_change_goes_out_of_the_outbox_in_its_format(edge: Edge, peer: Peer) -> None:
    async with peer.replies() as (queue, got):
        await peer.send(call("stop", queue))
        address = await edge.desk.asked_from()
        edge.outbox.add_reply(address, Answer(result={"done": 1}))
        assert (await answer(got))["result"] == {"done": 1}


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another envelope version": ({"version": "2.1"}, {}, "oslo.version"),
    "no content type": ({}, {"content_type": None}, "content_type"),
    "another content type": ({}, {"content_type": "text/plain"}, "content_type"),
    "arguments that are no object": ({"args": [1]}, {}, "args"),
    "an id that is no string": ({"_unique_id": 7}, {}, "_unique_id"),
}


@pytest.mark.parametrize(("inner", "properties", "path"), BAD.values(), ids=BAD.keys())
async def test_a_call_that_is_wrong_around_its_args_is_told_what(
    edge: Edge, peer: Peer, inner: dict[str, Any], properties: dict[str, Any], path: str
) -> None:
    """oslo's own server leaves some of these callers waiting until they time out."""
    async with peer.replies() as (queue, got):
        await peer.send(call("stop", queue, **inner), **{"content_type": "application/json", **properties})
        told = failure(await answer(got))
        assert told["class"] == "InvalidRequest"
        assert from_json(told["tb"][0])["details"]["fields"][0]["path"] == path
        await peer.send(call("ping", queue))
        assert (await answer(got))["result"]["host"] == "h1"
    assert edge.desk.accepted == []


@pytest.mark.parametrize(
    "cast",
    [
        body(version="3.0"),
        body(_msg_id="m1"),
        body(_msg_id="m1", _reply_q=""),
        body(_msg_id=["m1"], _reply_q="q"),
        body(namespace="baseapi"),
        body("spwan"),
        {"oslo.version": "2.0", "oslo.message": "{"},
        {"oslo.version": "2.0", "oslo.message": {"method": "stop"}},
    ],
)
async def test_what_nobody_can_be_told_is_parked_without_its_secrets(
    edge: Edge, peer: Peer, cast: dict[str, Any]
) -> None:
    if isinstance(cast["oslo.message"], str) and cast["oslo.message"] != "{":
        inner = json.loads(cast["oslo.message"]) | {"_context_auth_token": "topsecret"}
        cast = cast | {"oslo.message": json.dumps(inner)}
    await peer.send(cast)
    parked = await peer.dead_letter()
    assert b"topsecret" not in parked.body
    assert str(parked.headers["x-error-code"]) == "invalid_request"


async def test_a_context_of_any_shape_is_taken(edge: Edge, peer: Peer) -> None:
    context = {"_context_request_id": {"a": [1]}, "_context_user_id": 7, "_context_": None, "_context_x": [{}]}
    await peer.send(body("stop", **context))
    await edge.desk.until(lambda: len(edge.desk.accepted) == 1)
    assert edge.desk.accepted[0].request.caller.user_id is None


async def test_answers_wait_for_a_reply_queue_that_is_missing_and_comes_back(edge: Edge, peer: Peer) -> None:
    """As after a restart of the broker: the client declares its queue again."""
    name = f"reply_{uuid4().hex}"
    for number in range(3):
        await peer.send(call("ping", name, _msg_id=f"m{number}"))
    async with peer.replies() as (queue, got):
        await peer.send(call("ping", queue))
        await answer(got)  # what was asked before is answered by now, and nobody took it
    async with peer.connection.channel() as channel:
        queue_again = await channel.declare_queue(name, auto_delete=True)
        back: Replies = asyncio.Queue()
        await queue_again.consume(back.put, no_ack=True)
        ids = {(await answer(back))["_msg_id"] for _ in range(3)}
    assert ids == {"m0", "m1", "m2"}


async def test_callers_that_died_hold_nobody_up(edge: Edge, peer: Peer) -> None:
    """More of them than questions are answered at once."""
    for number in range(150):
        await peer.send(call("ping", f"reply_{number}"))
    async with peer.replies() as (queue, got):
        for number in range(150):
            await peer.send(call("ping", "reply_gone", _msg_id=str(number)))
        await peer.send(call("ping", queue))
        assert (await answer(got))["result"]["host"] == "h1"


@asynccontextmanager
async def monitored(edge: Edge, peer: Peer, **properties: Any) -> AsyncIterator[tuple[str, Replies]]:
    """A change under way whose caller wants a sign of life each second."""
    async with peer.replies() as (queue, got):
        await peer.send(call("stop", queue, _timeout=2), **properties)
        await edge.desk.until(lambda: len(edge.desk.accepted) == 1)
        yield queue, got


async def test_a_monitored_call_gets_signs_of_life_until_its_answer(edge: Edge, peer: Peer) -> None:
    async with monitored(edge, peer) as (_, got):
        for _ in range(2):
            alive = await answer(got)
            assert alive.pop("_unique_id")
            assert alive == {"result": None, "failure": None, "ending": False, "_msg_id": "m1"}
        address = await edge.desk.asked_from()
        edge.outbox.add_reply(address, Answer(result={}))
        while not (await answer(got))["ending"]:
            pass
        assert len(edge.heartbeats) == 0


async def test_a_refused_call_gets_none(edge: Edge, peer: Peer) -> None:
    edge.desk.refuse["stop"] = Busy("later")
    async with peer.replies() as (queue, got):
        await peer.send(call("stop", queue, _timeout=2))
        assert failure(await answer(got))["class"] == "Busy"
    assert len(edge.heartbeats) == 0


async def test_a_slow_read_gets_them_too(edge: Edge, peer: Peer) -> None:
    edge.desk.slow_reads.clear()
    async with peer.replies() as (queue, got):
        await peer.send(call("ping", queue, _timeout=2))
        assert (await answer(got))["ending"] is False
        edge.desk.slow_reads.set()
        while not (await answer(got))["ending"]:
            pass
    assert len(edge.heartbeats) == 0


async def test_a_caller_that_died_gets_no_more_after_a_while(edge: Edge, peer: Peer) -> None:
    async with monitored(edge, peer) as (_, got):
        await answer(got)
        assert len(edge.heartbeats) == 1
    # Its queue went with its consumer.
    await eventually(lambda: len(edge.heartbeats) == 0)


async def test_a_caller_whose_own_time_is_over_gets_no_more(edge: Edge, peer: Peer) -> None:
    async with monitored(edge, peer, expiration=8) as (_, got):
        assert (await answer(got))["ending"] is False
        assert len(edge.heartbeats) == 1
        await eventually(lambda: len(edge.heartbeats) == 0)


async def test_a_call_without_a_monitor_gets_none(edge: Edge, peer: Peer) -> None:
    """The library's client breaks when it gets one that it didn't ask for."""
    for timeout in (None, 0, 1, "x", -5):
        await peer.send(call("stop", "q", _timeout=timeout))
    await edge.desk.until(lambda: len(edge.desk.accepted) == 5)
    assert len(edge.heartbeats) == 0


async def test_an_event_is_a_notification_too_where_that_is_wanted(broker: Broker) -> None:
    async with edge_on(broker.url, notified=Notifications(enabled=True, topic=f"n{uuid4().hex}")) as edge:
        async with peer_on(broker.url, edge.names) as peer:
            sent = [edge.outbox.add_event(f"compute.instance.stop.{end}") for end in ("end", "error")]
            await edge.outbox.emptied()
            told = [await taken(peer, f"{topic_of(edge)}.{priority}") for priority in ("info", "error")]
    assert [inner["event_type"] for inner in told] == [record.type for record in sent]
    assert [int(inner["payload"]["sequence"]) for inner in told] == [1, 2]


async def test_a_queue_of_notifications_that_was_deleted_is_made_again_and_nothing_is_lost(
    broker: Broker,
) -> None:
    async with edge_on(broker.url, notified=Notifications(enabled=True, topic=f"n{uuid4().hex}")) as edge:
        async with peer_on(broker.url, edge.names) as peer:
            async with peer.connection.channel() as channel:
                await channel.queue_delete(f"{topic_of(edge)}.info")
            edge.outbox.add_event("compute.instance.stop.end")
            await edge.outbox.emptied()
            assert (await taken(peer, f"{topic_of(edge)}.info"))["event_type"] == "compute.instance.stop.end"


def topic_of(edge: Edge) -> str:
    return edge.topology._layout.notifications.topic


async def taken(peer: Peer, queue: str) -> dict[str, Any]:
    """The oldest notification of a queue."""
    async with peer.connection.channel() as channel:
        message = await (await channel.get_queue(queue)).get(no_ack=True)
        assert message is not None
        inner = from_json(from_json(message.body)["oslo.message"])
        assert isinstance(inner, dict)
        return inner
