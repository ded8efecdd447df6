"""The client against an edge on a real broker."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aio_pika import Message
from pydantic import SecretStr

from agent.errors import Conflict, Internal, InvalidRequest, NotFound, TimedOut
from agent.journal.records import Answer
from agent.rpc.client import (
    BrokerUnreachable,
    ComputeClient,
    LoginRefused,
    UnknownError,
    UnknownRetryable,
    Unroutable,
    remote_error,
)
from agent.rpc.connection import connect
from agent.rpc.desk import Call
from agent.rpc.remote import Methods, Remote
from agent.rpc.schema import METHODS
from agent.rpc.schema.envelope import PLACEHOLDER
from agent.rpc.schema.params import AttachVolume, Destroy, Ping, Spawn, Stop
from agent.rpc.schema.results import Error
from agent.settings import Amqp
from tests.integration.rpc_ground import KILLABLE, SOON, Edge, client_of, edge_on, eventually, new_names, soon
from tests.integration.test_rpc_outbox import alarmed
from tests.rig.broker import Broker

OPERATION = UUID("00000000-0000-4000-8000-000000000001")


def answer_changes(edge: Edge) -> None:
    """Have each accepted call answered through the outbox, as a finished operation is."""

    async def accept(call: Call) -> None:
        await accepting(call)
        if call.request.address is not None:
            result = {"operation_id": str(OPERATION), "power_state": "shutdown", "generation": 3, "later": "field"}
            edge.outbox.add_reply(call.request.address, Answer(result=result))

    accepting = edge.desk.accept
    edge.reception.desk = Answering(edge, accept)


class Answering:
    """The desk of an edge, with another `accept`."""

    def __init__(self, edge: Edge, accept: Any) -> None:
        self.accept = accept
        self._desk = edge.desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)


def spawn_params() -> Spawn:
    instance = {
        "uuid": str(uuid4()),
        "name": "vm",
        "vcpus": 1,
        "memory_mb": 64,
        "config_drive": {"admin_pass": "hunter2"},
    }
    return Spawn.model_validate({"instance": instance})


async def test_a_change_is_called_and_its_result_typed(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        answer_changes(edge)
        uuid = uuid4()
        changed = await client.stop("h1", Stop(instance_uuid=uuid), context={"request_id": "req-7"})
    assert changed.operation_id == OPERATION
    assert changed.power_state == "shutdown"
    (call,) = edge.desk.accepted
    assert call.params == Stop(instance_uuid=uuid)
    # An agent of an earlier version may not know the others.
    assert call.params.model_fields_set == {"instance_uuid"}
    assert call.request.caller.request_id == "req-7"
    assert call.request.scope == "rig/"
    assert call.request.deadline is not None
    assert call.request.deadline > datetime.now(UTC) + timedelta(seconds=30)
    assert call.request.address is not None
    assert call.request.address.exchange == edge.names.replies


async def test_a_read_goes_to_the_queue_of_queries(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        edge.desk.room.clear()
        assert (await client.ping("h1", Ping())).host == "h1"
        assert (await client.call(METHODS["ping"], None, {}, timeout=SOON)).model_dump()["host"] == "h1"


async def test_a_spawn_carries_its_secrets_and_an_end(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        answer_changes(edge)
        await client.spawn("h1", spawn_params())
    params = edge.desk.accepted[0].params
    assert isinstance(params, Spawn)
    assert params.instance.config_drive is not None
    assert params.instance.config_drive.admin_pass is not None
    assert params.instance.config_drive.admin_pass.reveal() == "hunter2"
    assert params.not_after is not None
    assert timedelta(minutes=9) < params.not_after - datetime.now(UTC) < timedelta(minutes=11)
    assert edge.desk.accepted[0].request.deadline is None


async def test_errors_are_raised_as_their_classes(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        edge.desk.refuse["stop"] = Conflict("it is off", details={"state": "off"})
        with pytest.raises(Conflict, match="it is off") as caught:
            await client.stop("h1", Stop(instance_uuid=uuid4()))
    assert caught.value.details == {"state": "off"}


async def test_a_result_of_another_shape_is_an_error_of_the_call(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        calling = asyncio.create_task(client.stop("h1", Stop(instance_uuid=uuid4()), timeout=60))
        address = await edge.desk.asked_from()
        edge.outbox.add_reply(address, Answer(result={"operation_id": "none"}))
        with pytest.raises(Internal, match="isn't one of the contract"):
            await soon(calling)


def test_an_unknown_code_is_raised_by_whether_to_try_again() -> None:
    again = remote_error(Error(code="too_hot", message="m", retryable=True, incident="i1"))
    never = remote_error(Error(code="too_cold", message="m", retryable=False))
    assert isinstance(again, UnknownRetryable)
    assert again.retryable
    assert again.details == {"code": "too_hot"}
    assert again.incident == "i1"
    assert isinstance(never, UnknownError)
    assert not never.retryable


async def test_bad_arguments_never_leave_the_client(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        with pytest.raises(InvalidRequest, match="instance_uuid"):
            await client.call(METHODS["stop"], "h1", {"instance_uid": "x"}, timeout=5)
        with pytest.raises(InvalidRequest, match="Ping"):
            await client.call(METHODS["stop"], "h1", Ping(), timeout=5)
        with pytest.raises(InvalidRequest, match="host"):
            await client.call(METHODS["ping"], "dead", {}, timeout=5)
    assert edge.desk.begun == []


async def test_a_host_without_an_agent_is_told_apart(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        with pytest.raises(Unroutable, match="h2"):
            await client.stop("h2", Stop(instance_uuid=uuid4()))
        with pytest.raises(Unroutable, match="h2"):
            await client.stop.cast("h2", Stop(instance_uuid=uuid4()))


async def test_no_answer_in_time_leaves_the_outcome_unknown(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        with pytest.raises(TimedOut, match="unknown"):
            await client.stop("h1", Stop(instance_uuid=uuid4()), timeout=0.3)
        assert not client._replies._pending


async def test_a_cast_returns_the_identity_it_was_sent_with(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        identity = await client.destroy.cast("h1", Destroy(instance_uuid=uuid4()))
        assert await client.destroy.cast("h1", Destroy(instance_uuid=uuid4()), message_id="mine") == "mine"
        await edge.desk.until(lambda: len(edge.desk.accepted) == 2)
    assert set(edge.desk.identities()) == {identity, "mine"}
    assert all(call.request.address is None for call in edge.desk.accepted)


async def test_a_call_survives_a_restart_of_the_broker(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        calling = asyncio.create_task(client.stop("h1", Stop(instance_uuid=uuid4()), timeout=200))
        address = await edge.desk.asked_from()
        await asyncio.to_thread(broker.restart)
        edge.outbox.add_reply(address, Answer(result={"operation_id": str(OPERATION)}))
        assert (await calling).operation_id == OPERATION
        assert len(set(edge.desk.identities())) == 1


async def test_a_call_is_sent_again_under_its_identity_when_the_broker_lost_it(broker: Broker) -> None:
    """A queue that doesn't survive the broker's restart, and an agent that is away meanwhile."""
    names = new_names()
    async with (
        edge_on(broker.url, names, queue_type="classic", durable=False) as edge,
        client_of(edge, broker.url) as client,
    ):
        edge.desk.hold.clear()
        calling = asyncio.create_task(client.stop("h1", Stop(instance_uuid=uuid4()), timeout=200))
        await edge.desk.until(lambda: len(edge.desk.begun) == 1)
        await asyncio.to_thread(broker.kill)
        edge.desk.begun.clear()
        answer_changes(edge)
        await asyncio.to_thread(broker.start)
        edge.desk.hold.set()
        assert (await calling).operation_id == OPERATION
        assert len(set(edge.desk.identities())) == 1


async def test_an_answer_is_seen_while_the_broker_does_not_take_the_request_again(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        calling = asyncio.create_task(client.stop("h1", Stop(instance_uuid=uuid4()), timeout=120))
        address = await edge.desk.asked_from()
        async with alarmed(broker):
            await asyncio.to_thread(broker.rabbitmqctl, "close_all_connections", "a test")
            await eventually(client._publisher.blocked)
            async with await connect(edge.amqp, "a test") as connection:
                exchange = await (await connection.channel()).get_exchange(address.exchange, ensure=False)
                # Without a body: it is all that a broker takes that is out of memory.
                answer = Message(b"", correlation_id=address.correlation_id)
                await soon(exchange.publish(answer, address.reply_to))
                with pytest.raises(Internal, match="answer"):
                    await soon(calling)
            coroutines = [str(task.get_coro()) for task in asyncio.all_tasks()]
            assert not [name for name in coroutines if "ComputeClient." in name]


async def test_events_come_in_order_and_each_once(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        async with client.events() as events:
            first = edge.outbox.add_event("compute.instance.power_state", uuid4(), new="running")
            await edge.outbox.emptied()
            edge.outbox.events[1] = first  # the confirm was lost: it is sent again
            edge.outbox.add_event("compute.host.started")
            edge.outbox.add_event("compute.instance.stop.end", uuid4())
            await edge.outbox.emptied()
            got = [await soon(anext(events)) for _ in range(3)]
    assert [event.type for event in got] == [
        "compute.instance.power_state",
        "compute.host.started",
        "compute.instance.stop.end",
    ]
    assert [int(event.sequence or 0) for event in got] == [1, 2, 3]
    assert got[0].data == {"new": "running"}


async def test_events_are_not_missed_over_a_lost_connection(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        async with client.events() as events:
            for number in range(20):
                edge.outbox.add_event("compute.instance.power_state", uuid4())
                if number == 10:
                    await edge.outbox.emptied()
                    await asyncio.to_thread(broker.rabbitmqctl, "close_all_connections", "a test")
            got = [int((await soon(anext(events))).sequence or 0) for _ in range(20)]
    assert got == list(range(1, 21))


async def test_one_instances_events_and_progress(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        uuid = uuid4()
        async with client.events(instance=uuid) as events, client.progress(OPERATION) as progress:
            for subject in (uuid4(), uuid):
                edge.outbox.add_event("compute.instance.power_state", subject)
                edge.ephemeral.tell("compute.operation.progress", subject, {"operation_id": str(uuid4())})
                edge.ephemeral.tell("compute.operation.progress", subject, {"operation_id": str(OPERATION)})
            types = [(await soon(anext(events))).type for _ in range(3)]
            assert (await soon(anext(progress))).data == {"operation_id": str(OPERATION)}
    assert sorted(types) == ["compute.instance.power_state", *["compute.operation.progress"] * 2]


async def test_the_durable_queue_can_be_read_by_who_comes_late(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        edge.outbox.add_event("compute.instance.power_state", uuid4())
        await edge.outbox.emptied()
        async with client.events(queue=edge.names.events) as events:
            assert (await soon(anext(events))).type == "compute.instance.power_state"


async def test_parked_messages_are_read_mended_and_sent_again(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        edge.desk.refuse["attach_volume"] = Conflict("not now")
        info = {"driver_volume_type": "local", "data": {"device_path": "/dev/vdb", "auth_password": "hunter2"}}
        args = AttachVolume.model_validate({"instance_uuid": str(uuid4()), "connection_info": info})
        identity = await client.attach_volume.cast("h1", args)
        await client.stop.cast("h1", Stop(instance_uuid=uuid4()))
        await edge.desk.until(lambda: len(edge.desk.refused) == 1)
        (letter,) = await client.parked()
        assert letter == (await client.parked())[0]  # looking takes nothing away
        assert (letter.id, letter.code, letter.method, letter.host) == (
            identity,
            "conflict",
            "attach_volume",
            "h1",
        )
        assert letter.removed == ("args.connection_info.data.auth_password",)
        assert letter.body is not None
        assert letter.body["args"]["connection_info"]["data"]["auth_password"] == PLACEHOLDER
        with pytest.raises(InvalidRequest, match="fill in"):
            await client.resend(letter, letter.body)
        edge.desk.refuse.clear()
        letter.body["args"]["connection_info"]["data"]["auth_password"] = "hunter2"
        await client.resend(letter, letter.body)
        await edge.desk.until(lambda: identity in edge.desk.identities())
        assert await client.parked() == ()
        with pytest.raises(NotFound):
            await client.drop(letter)


async def test_a_parked_message_can_be_dropped_and_the_others_stay_in_order(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        edge.desk.refuse["stop"] = Conflict("not now")
        uuid = uuid4()
        for number in range(5):
            await client.stop.cast("h1", Stop(instance_uuid=uuid), message_id=f"m{number}")
        await edge.desk.until(lambda: len(edge.desk.refused) == 5)
        letters = await client.parked()
        ids = [letter.id for letter in letters]
        assert sorted(ids) == ["m0", "m1", "m2", "m3", "m4"]
        await client.drop(letters[2])
        assert [letter.id for letter in await client.parked()] == ids[:2] + ids[3:]
        assert [letter.id for letter in await client.parked(2)] == ids[:2]


async def test_nothing_is_left_on_the_broker_by_a_client_that_leaves_and_nobody_is_warned(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge_on(broker.url) as edge, client_of(edge, broker.url) as client:
        async with client.events():
            before = await asyncio.to_thread(broker.rabbitmqctl, "list_queues", "name")
    after = await asyncio.to_thread(broker.rabbitmqctl, "list_queues", "name")
    assert client._replies._name in before
    assert "compute-client-events" in before
    assert client._replies._name not in after
    assert "compute-client-events" not in after
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_wrong_password_and_an_absent_broker_are_told_apart_and_not_shown(broker: Broker) -> None:
    wrong = broker.url.replace(broker.identity.password, "sesame")
    with pytest.raises(LoginRefused) as refused:
        async with ComputeClient(wrong):
            pass
    absent = broker.url.replace(str(broker.identity.port), "1")
    with pytest.raises(BrokerUnreachable) as unreachable:
        async with ComputeClient(Amqp(url=SecretStr(absent))):
            pass
    assert "sesame" not in str(refused.value)
    assert broker.identity.password not in str(unreachable.value)
    assert not refused.value.retryable
    assert unreachable.value.retryable


async def test_an_absent_virtual_host_is_told_as_such(broker: Broker) -> None:
    with pytest.raises(LoginRefused, match="virtual host"):
        async with ComputeClient(broker.url + "nobody-made-this"):
            pass


async def test_a_client_that_lost_its_broker_times_out_and_casts_say_so(broker: Broker) -> None:
    async with edge_on(broker.url, queue_type=KILLABLE) as edge, client_of(edge, broker.url) as client:
        await asyncio.to_thread(broker.kill)
        try:
            await eventually(lambda: not client._publisher._connected.is_set())
            with pytest.raises(TimedOut):
                await client.ping("h1", Ping(), timeout=0.2)
            with pytest.raises(BrokerUnreachable, match="m1"):
                await client.cast(METHODS["ping"], "h1", Ping(), message_id="m1", timeout=0.2)
        finally:
            await asyncio.to_thread(broker.start)
        assert (await client.ping("h1", Ping())).host == "h1"


@pytest.mark.slow
async def test_who_asks_a_broker_that_hangs_is_told_and_not_cancelled(broker: Broker) -> None:
    """The library cancels whoever waits on a connection that it gives up."""
    async with ComputeClient(Amqp(url=SecretStr(broker.url), heartbeat_s=5)) as client:
        asking = asyncio.create_task(client.parked())
        broker.freeze()
        try:
            await asyncio.wait({asking}, timeout=90)
            with pytest.raises(BrokerUnreachable):
                await soon(asking)
        finally:
            broker.thaw()


def test_every_method_of_the_contract_has_its_remote() -> None:
    remotes = {name: value for name, value in vars(Methods).items() if isinstance(value, Remote)}
    assert set(remotes) == set(METHODS)
    for name, remote in remotes.items():
        assert (remote.method, remote.params, remote.result) == (
            METHODS[name],
            METHODS[name].params,
            METHODS[name].result,
        )


def test_the_client_needs_nothing_of_the_daemons_nor_of_the_command_lines() -> None:
    daemons = ["libvirt", "lxml", "apsw", "structlog", "uvloop", "agent.journal", "agent.saga", "agent.hypervisor"]
    commands = ["click", "rich", "yaml", "pydantic_settings", "agent.cli"]
    program = (
        f"import sys\nfor name in {daemons + commands}: sys.modules[name] = None\n"
        "import agent.rpc.client, agent.rpc.schema\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
