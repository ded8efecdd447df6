"""`agent-cli plan METHOD`: what a command would do on that host, with the options of `send`.

Secrets stay here: the agent is asked with stars in their place, as no plan depends on them.
"""

from __future__ import annotations

from typing import Any

import click

from agent.cli.app import Session, common
from agent.cli.lookup import ask, find
from agent.cli.methods import MethodGroup
from agent.cli.ports import Client
from agent.cli.request import Draft, draft
from agent.cli.values import Secrets
from agent.rpc.schema import METHODS, Method
from agent.rpc.schema.params import OperationParams, Plan
from agent.rpc.schema.results import Planned


def _run(method: Method, session: Session, values: dict[str, Any]) -> None:
    asked = draft(method, values, Secrets())
    if asked.instance is None:
        asked.checked()
    planned = session.run(lambda client: _plan(client, session, asked))
    if session.out.as_json:
        session.out.data(planned.model_dump(mode="json", exclude_none=True))
    else:
        _print(session, planned)


async def _plan(client: Client, session: Session, asked: Draft) -> Planned:
    if asked.instance is not None:
        asked = asked.on(await find(client, session, asked.instance))
    # Dumped without the `reveal` context, so secrets become stars.
    args = asked.checked().model_dump(mode="json", exclude_unset=True)
    return await ask(client, session, "plan", Plan(method=asked.method.name, args=args), Planned)


def _print(session: Session, planned: Planned) -> None:
    """The XML alone goes to standard output, so that it can be handed to virt-xml-validate or virsh."""
    aside = planned.xml is not None
    rows = [(n, step.name, "yes" if step.undo else "") for n, step in enumerate(planned.steps, 1)]
    session.out.table(None, ("#", "step", "can be undone"), rows, title=f"Steps of {planned.method}", aside=aside)
    if planned.resources:
        session.out.table(None, ("resource", "needed"), list(planned.resources.items()), aside=aside)
    for problem in planned.problems:
        session.out.note(f"in the way: {problem}")
    if planned.xml:
        session.out.text(planned.xml)


def _of_an_instance(method: Method) -> bool:
    """What is done to operations has no steps to be shown; an agent refuses to plan it."""
    return method.kind == "change" and not issubclass(method.params, OperationParams)


def _command(method: Method) -> click.Command:
    return click.Command(method.name, callback=common()(lambda session, **values: _run(method, session, values)))


plan = MethodGroup(
    "plan",
    methods={name: method for name, method in METHODS.items() if _of_an_instance(method)},
    make=_command,
    help="Show what a command would do, without doing it: its steps, what it needs of the host, the XML.\n\n"
    "Takes the options of send.",
    short_help="Show what a command would do, without doing it.",
)
