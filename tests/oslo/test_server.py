"""Our client to the library's own server, and to an agent, in the library's format."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent.errors import Conflict, Internal, InvalidRequest, NotFound, TimedOut
from agent.rpc.client import UnknownError, Unroutable
from agent.rpc.oslo_client import OsloClient
from agent.rpc.schema import METHODS
from agent.rpc.schema.params import Destroy, GetHost, GetInstance, Pause, Ping, Spawn, Stop
from agent.rpc.schema.results import Changed, Pong
from tests.e2e.daemon import Daemon
from tests.e2e.story import small, until, uuid_of
from tests.oslo.library import Oslo
from tests.rig.broker import Broker


@pytest.fixture
async def server(broker: Broker, tmp_path: Path) -> AsyncIterator[Oslo]:
    """A host written with the library: it knows ping and stop."""
    topic = f"s-{uuid4().hex[:8]}"
    async with Oslo(broker.url, tmp_path / "log", exchange=topic, topic=topic) as library:
        await library.do("serve", topic=topic, server="h9")
        yield library


@pytest.fixture
async def client(broker: Broker, server: Oslo) -> AsyncIterator[OsloClient]:
    async with OsloClient(broker.url, exchange=server.topic, topic=server.topic) as connected:
        yield connected


async def test_the_servers_result_is_the_methods_model(client: OsloClient) -> None:
    pong = await client.ping("h9", Ping(), timeout=60)
    assert (pong.host, pong.agent_version) == ("h9", "oslo")
    anywhere = await client.call(METHODS["ping"], None, Ping(), timeout=60)
    assert isinstance(anywhere, Pong)
    assert anywhere.host == "h9"


async def test_what_the_server_raises_is_an_error_that_says_its_class(client: OsloClient) -> None:
    asked = Stop(instance_uuid=uuid4())
    with pytest.raises(UnknownError, match="no such guest") as caught:
        await client.stop("h9", asked, timeout=60, context={"request_id": "req-1"})
    assert caught.value.details["code"] == "ValueError"
    with pytest.raises(UnknownError) as caught:
        await client.destroy("h9", Destroy(instance_uuid=uuid4()), timeout=60)
    assert caught.value.details["code"] == "NoSuchMethod"
    with pytest.raises(Internal, match="contract"):
        await client.get_host("h9", GetHost(), timeout=60)


async def test_a_cast_and_its_context_arrive(client: OsloClient, server: Oslo) -> None:
    uuid = uuid4()
    await client.cast(METHODS["stop"], "h9", Stop(instance_uuid=uuid), context={"request_id": "req-2"})

    async def arrived() -> bool:
        return any(asked["instance_uuid"] == str(uuid) for asked in server.asked)

    await until(arrived, 60, "the cast")
    assert server.asked[-1]["ctxt"]["request_id"] == "req-2"


async def test_a_host_that_is_not_there_is_told_at_once(client: OsloClient) -> None:
    with pytest.raises(Unroutable):
        await client.ping("h10", Ping(), timeout=60)


async def test_a_server_that_died_is_a_timeout(client: OsloClient, server: Oslo) -> None:
    await client.ping("h9", Ping(), timeout=60)
    await server.killed()
    with pytest.raises(TimedOut):
        await client.ping("h9", Ping(), timeout=1)


@pytest.mark.slow
async def test_over_a_restart_of_the_broker_every_call_ends_and_nothing_is_done_twice(
    own_broker: Broker, tmp_path: Path
) -> None:
    """The library's queues go with the broker, until its server is back."""
    async with Oslo(own_broker.url, tmp_path / "log", exchange="s", topic="s") as server:
        await server.do("serve", topic="s", server="h9")
        async with OsloClient(own_broker.url, exchange="s", topic="s") as client:

            async def pause(guest: UUID) -> Changed:
                return await client.pause("h9", Pause(instance_uuid=guest), timeout=120)

            async def begun(guest: UUID) -> None:
                await until(lambda: told(server, guest), 60, "the call")

            early, late, new = uuid4(), uuid4(), uuid4()
            calls = [asyncio.create_task(pause(guest)) for guest in (early, late)]
            await asyncio.gather(begun(early), begun(late))
            await asyncio.to_thread(own_broker.stop)
            await server.do("let_pause", instance_uuid=str(early))  # its answer can't go out yet
            meanwhile = asyncio.create_task(pause(new))
            await asyncio.to_thread(own_broker.start)
            await server.do("let_pause", instance_uuid=str(new))
            await until(lambda: has_come_again(tmp_path / "log"), 60, "a request that the server has already")
            await server.do("let_pause", instance_uuid=str(late))
            assert [(await call).instance_uuid for call in calls] == [early, late]
            assert (await once_there(meanwhile, lambda: pause(new))).instance_uuid == new
    for guest in (early, late, new):
        assert await told(server, guest) == 1


async def told(server: Oslo, guest: UUID) -> int:
    """How often it was."""
    return sum(asked["instance_uuid"] == str(guest) for asked in server.asked)


async def has_come_again(log: Path) -> bool:
    return "ignoring duplicate message" in log.read_text()


async def once_there(call: Awaitable[Changed], again: Callable[[], Awaitable[Changed]]) -> Changed:
    """Who comes before the server has its queue again is told so, and that nothing was begun."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await call
            except Unroutable:
                await asyncio.sleep(0.2)
                call = again()


async def test_to_an_agent_it_is_the_same_as_the_other_client(broker: Broker, topic: str, agent: Daemon) -> None:
    asked = Spawn.model_validate(small())
    named = {"instance_uuid": uuid_of(small())}
    async with OsloClient(broker.url, exchange=topic, topic=topic) as client:
        done = await client.spawn("h1", asked, timeout=60, message_id="m-1")
        assert await client.spawn("h1", asked, timeout=60, message_id="m-1") == done
        with pytest.raises(Conflict) as caught:
            await client.spawn("h1", Spawn.model_validate(small()), timeout=60, message_id="m-1")
        assert caught.value.details["operation_id"] == str(done.operation_id)
        with pytest.raises(NotFound):
            await client.get_instance("h1", GetInstance.model_validate(named), timeout=60)
        with pytest.raises(InvalidRequest, match=f"{topic}.h1"):
            await client.call(METHODS["stop"], None, named, timeout=60)
