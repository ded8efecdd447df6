"""Each option of the library that changes what is on the broker, to agents with and without a durable exchange."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.story import small, until, uuid_of
from tests.oslo.conftest import environment
from tests.oslo.library import Oslo
from tests.rig.broker import Broker

H1: dict[str, Any] = {"server": "h1"}

OPTIONS: dict[str, dict[str, Any]] = {
    "transient": {},
    "durable": {"amqp_durable_queues": "true"},
    "quorum": {"rabbit_quorum_queue": "true"},
    "quorum-replies": {"rabbit_quorum_queue": "true", "rabbit_transient_quorum_queue": "true"},
    "stream-fanout": {
        "rabbit_quorum_queue": "true",
        "rabbit_transient_quorum_queue": "true",
        "rabbit_stream_fanout": "true",
        "rabbit_qos_prefetch_count": "10",
    },
    "no-expiry": {"rabbit_transient_queues_ttl": "0"},
    "queue-manager": {"use_queue_manager": "true", "hostname": "controller", "processname": "conductor"},
    "cancel-on-failover": {"enable_cancel_on_failover": "true"},
}
"""By name, the options of oslo_messaging_rabbit."""

DURABLE = [
    name for name, options in OPTIONS.items() if {"amqp_durable_queues", "rabbit_quorum_queue"} & set(options)
]
"""Those with which the library declares a durable exchange. One that isn't is taken with all of them: the library
itself falls back."""


@dataclass(frozen=True)
class Deployment:
    """An agent, and the names that it has."""

    topic: str
    agent: Daemon


def deployed(broker: Broker, directory: Path, durable: str) -> Iterator[Deployment]:
    topic = f"o-{uuid4().hex[:8]}"
    settings = environment(broker, topic, rpc__exchange_durable=durable)
    with Daemon(directory, "h1", settings) as agent:
        yield Deployment(topic, agent)


@pytest.fixture(scope="module")
def durable(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    yield from deployed(broker, tmp_path_factory.mktemp("durable"), "true")


@pytest.fixture(scope="module")
def transient(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    yield from deployed(broker, tmp_path_factory.mktemp("transient"), "false")


async def everything_works(broker: Broker, at: Deployment, log: Path, options: dict[str, Any]) -> None:
    """Call, monitored call, cast, shared topic, broadcast, and an undeliverable one."""
    async with Oslo(broker.url, log, exchange=at.topic, topic=at.topic, **options) as oslo:
        assert (await oslo.call("ping", **H1))["host"] == "h1"
        assert (await oslo.call("ping"))["host"] == "h1"
        args = small()
        await oslo.cast("spawn", args, **H1, at_least_once=True)
        named = {"instance_uuid": uuid_of(args)}
        stopped = await oslo.call("stop", {**named, "graceful": False}, **H1, call_monitor_timeout=10)
        assert stopped["power_state"] == "shutdown"
        assert (await oslo.fail("stop", {"instance_uuid": str(uuid4())}, **H1)).exc_type == "NotFound"

        before = broadcasts_refused(at)
        await oslo.cast("stop", named, fanout=True)

        async def heard() -> bool:
            return broadcasts_refused(at) > before

        await until(heard, 60, "the broadcast")
        assert (await oslo.fail("ping", server="nowhere", at_least_once=True)).kind == "MessageUndeliverable"


def broadcasts_refused(at: Deployment) -> int:
    return sum(
        line["event"] == "request.refused" and line["queue"].startswith(f"{at.topic}_fanout_")
        for line in at.agent.lines()
    )


@pytest.mark.parametrize("name", DURABLE)
async def test_with_a_durable_exchange(broker: Broker, durable: Deployment, tmp_path: Path, name: str) -> None:
    await everything_works(broker, durable, tmp_path / "log", OPTIONS[name])


@pytest.mark.parametrize("name", OPTIONS)
async def test_with_an_exchange_that_is_not_durable(
    broker: Broker, transient: Deployment, tmp_path: Path, name: str
) -> None:
    await everything_works(broker, transient, tmp_path / "log", OPTIONS[name])


async def test_without_durability_a_durable_exchange_is_none_of_the_librarys(
    broker: Broker, durable: Deployment, tmp_path: Path
) -> None:
    """It publishes nothing: hence the agent's setting."""
    async with Oslo(broker.url, tmp_path / "log", exchange=durable.topic, topic=durable.topic) as oslo:
        raised = await oslo.fail("ping", **H1, timeout=5, retry=1)
    assert raised.kind in ("MessageDeliveryFailure", "MessagingTimeout", "PreconditionFailed")


@pytest.mark.parametrize(("name", "setting"), [("transient", "true"), ("durable", "false")])
async def test_an_exchange_that_the_library_made_first_is_used_as_it_is(
    broker: Broker, tmp_path: Path, name: str, setting: str
) -> None:
    topic = f"o-{uuid4().hex[:8]}"
    async with Oslo(broker.url, tmp_path / "log", exchange=topic, topic=topic, **OPTIONS[name]) as oslo:
        await oslo.cast("ping", **H1)
        await oslo.cast("ping", fanout=True)
        with Daemon(tmp_path / "agent", "h1", environment(broker, topic, rpc__exchange_durable=setting)) as agent:
            assert (await oslo.call("ping", **H1))["host"] == "h1"
            assert any(line["event"].startswith("topology.differs") for line in agent.lines())


async def test_a_compressed_request_is_refused_with_the_option_to_turn_off(
    broker: Broker, transient: Deployment, tmp_path: Path
) -> None:
    async with Oslo(
        broker.url, tmp_path / "log", exchange=transient.topic, topic=transient.topic, kombu_compression="gzip"
    ) as oslo:
        raised = await oslo.fail("ping", **H1, timeout=3)
    assert raised.kind == "MessagingTimeout"
    connection = await aio_pika.connect(broker.url)
    async with connection, connection.channel() as channel:
        dead = await channel.get_queue(f"{transient.topic}.dead")
        parked = await until(lambda: dead.get(no_ack=True, fail=False), 60, "the parked message")
    assert "kombu_compression" in str(parked.headers["x-error-message"])
