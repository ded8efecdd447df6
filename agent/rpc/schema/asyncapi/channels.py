"""Where messages go: exchanges, queues and routing keys, by the names of the default settings.

A test holds this to what an agent declares (`agent.rpc.topology`), which isn't read here: it needs the broker's
library. AsyncAPI's binding for AMQP knows an exchange or a queue, not both: the queue is under `x-queue`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.names import Names
from agent.rpc.schema import METHODS
from agent.rpc.schema.asyncapi.messages import result_of
from agent.rpc.schema.event_types import METHODS_WITH_EVENTS, TYPES, EventType

NAMES = Names(host="{host}")
BINDING = "0.3.0"

_HOST = {"description": "The agent's `host`."}
_UUID = {"description": "The instance's uuid.", "location": "$message.payload#/subject"}
_METHOD = {"description": "The operation's method.", "enum": list(METHODS_WITH_EVENTS)}


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    type: str
    durable: bool = True
    auto_delete: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """`arguments`: what it is declared with."""

    name: str
    durable: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Channel:
    """`address` is the routing key, None where the caller chooses it. Without `exchange`: a queue alone."""

    name: str
    address: str | None
    description: str
    messages: tuple[str, ...]
    exchange: Exchange | None = None
    queue: Queue | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


COMMANDS = Exchange(NAMES.exchange, "topic")
FANOUT = Exchange(NAMES.fanout, "fanout", durable=False, auto_delete=True)
REPLIES = Exchange(NAMES.replies, "direct")
EVENTS = Exchange(NAMES.events, "topic")
DEAD = Exchange(NAMES.dead_letters, "fanout")

_EVENT_QUEUE = Queue(NAMES.events, arguments={"x-max-length": 100_000, "x-overflow": "drop-head"})
_QUORUM = {"x-queue-type": "quorum"}

READS = tuple(name for name, method in METHODS.items() if method.kind == "read")
QUERIES = tuple(name for name, method in METHODS.items() if method.on_query_queue)
ANSWERS = (*map(result_of, METHODS), "error")


def channels() -> tuple[Channel, ...]:
    return (
        Channel(
            "commands",
            NAMES.commands,
            "Requests for one host: every method. Consumed by one agent alone.",
            tuple(METHODS),
            COMMANDS,
            Queue(NAMES.commands, arguments=_QUORUM),
            {"host": _HOST},
        ),
        Channel(
            "queries",
            NAMES.queries,
            "Requests for one host that are answered also while its commands are paused.",
            QUERIES,
            COMMANDS,
            Queue(NAMES.queries),
            {"host": _HOST},
        ),
        Channel(
            "any_host",
            NAMES.shared,
            "Requests that any one host may take: reads, and `spawn` where the agents have `rpc.shared_spawn` on.",
            READS,
            COMMANDS,
            Queue(NAMES.shared, arguments=_QUORUM),
        ),
        Channel(
            "all_hosts",
            NAMES.shared,
            "Requests that every host takes: reads.",
            READS,
            FANOUT,
            Queue(f"{NAMES.fanout}_{{id}}", arguments={"x-expires": 1_800_000}),
        ),
        Channel(
            "replies",
            None,
            "The caller's own queue, named in `reply_to`: through the default exchange, or through "
            "`compute.replies` when the request's header `x-reply-exchange` says so and the queue is bound there "
            "under its own name. Durable, not exclusive and with `x-expires` it outlives an outage of the broker.",
            ANSWERS,
            queue=Queue(""),
        ),
        *map(_event, TYPES),
        Channel(
            "event_queue",
            NAMES.events,
            "Events of instances for whoever comes later; each event goes to one of its readers. Bound to "
            "`compute.events` with `compute.instance.#`. The agents' setting `rpc.events_queue` turns it off.",
            tuple(kind.name for kind in TYPES if kind.type.startswith("compute.instance.")),
            queue=_EVENT_QUEUE,
        ),
        Channel(
            "dead_letters",
            NAMES.host,
            "Casts that were refused or failed, for a person to look at: routing key is the host.",
            ("parked",),
            DEAD,
            Queue(NAMES.dead_letters, arguments={"x-max-length": 10_000, "x-message-ttl": 1_209_600_000}),
            {"host": _HOST},
        ),
    )


def described(channel: Channel) -> dict[str, Any]:
    """The channel as AsyncAPI has it."""
    made: dict[str, Any] = {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
    }
    if channel.parameters:
        made["parameters"] = {name: dict(facts) for name, facts in channel.parameters.items()}
    return {**made, "bindings": {"amqp": _binding(channel)}}


def _event(kind: EventType) -> Channel:
    parameters: dict[str, Mapping[str, Any]] = {"method": _METHOD} if "<method>" in kind.type else {}
    whose = "instance_uuid" if kind.subject else "host"
    return Channel(
        kind.name,
        f"{kind.type.replace('<method>', '{method}')}.{{{whose}}}",
        kind.when,
        (kind.name,),
        EVENTS,
        parameters={**parameters, whose: _UUID if kind.subject else _HOST},
    )


def _binding(channel: Channel) -> dict[str, Any]:
    if channel.exchange is None:
        assert channel.queue is not None  # noqa: S101 - one of the two
        return {"is": "queue", "queue": _queue(channel.queue, ()), "bindingVersion": BINDING}
    exchange = {
        "name": channel.exchange.name,
        "type": channel.exchange.type,
        "durable": channel.exchange.durable,
        "autoDelete": channel.exchange.auto_delete,
    }
    made: dict[str, Any] = {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING}
    return made if channel.queue is None else {**made, "x-queue": _queue(channel.queue, ("arguments",))}


def _queue(queue: Queue, more: Iterable[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": queue.name} if queue.name else {}
    made |= {"durable": queue.durable, "exclusive": False, "autoDelete": False}
    return made | ({"arguments": dict(queue.arguments)} if more else {})
