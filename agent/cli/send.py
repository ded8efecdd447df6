"""`agent-cli send METHOD`: one subcommand for each method of the contract, made from its schema."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from agent.cli.app import Session, common
from agent.cli.lookup import find, timeout_of
from agent.cli.methods import MethodGroup
from agent.cli.ports import Client
from agent.cli.progress import watched
from agent.cli.request import Draft, draft
from agent.cli.values import Secrets
from agent.rpc.schema import METHODS, Method
from agent.rpc.schema.base import Message
from agent.rpc.schema.results import Changed, Result


def _run(method: Method, session: Session, values: dict[str, Any]) -> None:
    as_cast = values.pop("as_cast", False)
    asked = draft(method, values, Secrets())
    if asked.instance is None:
        asked.checked()  # a wrong request is told before the broker is asked for anything
    if asked.chosen_uuid:
        session.out.note(f"uuid of the new instance: {asked.chosen_uuid}")
    if as_cast:
        identity, args = session.run(lambda client: _cast(client, session, asked))
        _print_cast(session, method, identity, args)
    else:
        _print(session, method, session.run(lambda client: _call(client, session, asked)))


async def _call(client: Client, session: Session, asked: Draft) -> Result:
    method, args = asked.method, await _checked(client, session, asked)
    work = client.call(method, session.host, args, timeout=timeout_of(session, method.name))
    if method.kind == "read":
        return await work
    return await watched(client, instance_of(args), method.name, work)


async def _cast(client: Client, session: Session, asked: Draft) -> tuple[str, Message]:
    args = await _checked(client, session, asked)
    return await client.cast(asked.method, session.host, args), args


async def _checked(client: Client, session: Session, asked: Draft) -> Message:
    if asked.instance is not None:
        asked = asked.on(await find(client, session, asked.instance))
    return asked.checked()


def instance_of(args: Message) -> UUID | None:
    """The instance that a request is about."""
    inner = getattr(args, "instance", None)
    uuid = getattr(inner, "uuid", None) or getattr(args, "instance_uuid", None)
    return uuid if isinstance(uuid, UUID) else None


def _print_cast(session: Session, method: Method, identity: str, args: Message) -> None:
    sent = {"method": method.name, "host": session.host, "message_id": identity}
    instance = instance_of(args)
    if instance:
        sent["instance_uuid"] = str(instance)
    if session.out.as_json:
        session.out.data(sent)
    else:
        session.out.note(f"{method.name} sent to {session.host}; agent-cli watch tells what becomes of it")
        session.out.text(identity)


def _print(session: Session, method: Method, result: Result) -> None:
    data = result.model_dump(mode="json", exclude_none=True)
    if session.out.as_json or not isinstance(result, Changed):
        session.out.data(data)
        return
    facts = {
        "instance": result.instance_uuid,
        "power state": result.power_state,
        "generation": result.generation,
        "attached": result.attached,
        "operation": result.operation_id,
    }
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    session.out.text(f"{method.name}: {'it was so already' if result.already else 'done'}; {told}")


def _command(method: Method) -> click.Command:
    callback = common()(lambda session, **values: _run(method, session, values))
    if method.kind == "change":
        cast = click.option(
            "--cast", "as_cast", is_flag=True, help="Don't wait for the answer; events tell what becomes of it."
        )
        callback = cast(callback)
    return click.Command(method.name, callback=callback)


send = MethodGroup(
    "send",
    methods=METHODS,
    make=_command,
    help="Send a command or a query to an agent.\n\nOne subcommand for each method; each has its own --help.",
    short_help="Send a command or a query to an agent.",
)
