"""Asking the agent, and finding the instance that was named: by uuid, or by its name on the host asked."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from agent.cli.app import Session
from agent.cli.ports import Client
from agent.errors import Conflict, NotFound
from agent.rpc.schema import METHODS
from agent.rpc.schema.base import Message
from agent.rpc.schema.params import ListInstances
from agent.rpc.schema.results import InstanceList, Result

R = TypeVar("R", bound=Result)

QUERY_TIMEOUT = 30.0
TIMEOUTS = {"spawn": 1800.0}
CHANGE_TIMEOUT = 900.0


def timeout_of(session: Session, method: str) -> float:
    """Seconds: what was asked for, or by the kind of method."""
    if session.timeout is not None:
        return session.timeout
    return QUERY_TIMEOUT if METHODS[method].kind == "read" else TIMEOUTS.get(method, CHANGE_TIMEOUT)


async def ask(client: Client, session: Session, method: str, args: Message, kind: type[R]) -> R:
    """The answer to a query, which is a `kind`. Raises AgentError."""
    answer = await client.call(METHODS[method], session.host, args, timeout=timeout_of(session, method))
    if not isinstance(answer, kind):
        raise TypeError(f"{method} answers {kind.__name__}, not {type(answer).__name__}")
    return answer


async def find(client: Client, session: Session, instance: str) -> UUID:
    """Raises NotFound; Conflict when two have the name."""
    try:
        return UUID(instance)
    except ValueError:
        pass
    listed = await ask(client, session, "list_instances", ListInstances(name=instance), InstanceList)
    found = [one.uuid for one in listed.instances if one.name == instance]
    if not found:
        raise NotFound(f"no instance named {instance} on host {session.host}")
    if len(found) > 1:
        raise Conflict(f"several instances are named {instance}: {', '.join(map(str, found))}")
    return found[0]
