"""`agent-cli console INSTANCE`: what the guest writes, from anywhere; on the host itself also typing into it."""

from __future__ import annotations

import asyncio

import click

from agent.cli.app import Session, common
from agent.cli.instances import get
from agent.cli.lookup import ask, find
from agent.cli.ports import Client
from agent.errors import Conflict
from agent.rpc.schema.params import GetConsoleOutput
from agent.rpc.schema.results import ConsoleOutput

_PROBE = 64
# The first characters of a tail may be the rest of one that was cut.
_CUT = 4


@click.command("console", short_help="Follow an instance's console, or type into it.")
@click.argument("instance")
@click.option("--interactive", is_flag=True, help="Type into it; on the guest's host only. Ctrl-] leaves.")
@click.option("--once", is_flag=True, help="Print what is there and end.")
@click.option(
    "--tail-bytes",
    type=click.IntRange(1, 1024 * 1024),
    default=100 * 1024,
    show_default=True,
    help="How much to ask for.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to ask.",
)
@common()
def console(
    session: Session, instance: str, interactive: bool, once: bool, tail_bytes: int, interval: float
) -> None:
    """Follow what an instance writes on its console, until ctrl-C, or type into it with --interactive.

    The guest's output goes to the terminal as it is, control characters and all.
    """
    if interactive:
        _talk(session, instance)
        return

    async def work(client: Client) -> None:
        args = GetConsoleOutput(instance_uuid=await find(client, session, instance), tail_bytes=tail_bytes)
        seen = ""
        while True:
            got = await ask(client, session, "get_console_output", args, ConsoleOutput)
            new = fresh(seen, got.output)
            if new or once:
                session.out.raw({"output": new, "observed_at": got.observed_at.isoformat()}, new)
            if once:
                return
            seen = got.output
            await asyncio.sleep(interval)

    session.run(work)


def fresh(seen: str, tail: str) -> str:
    """What `tail`, the end of a growing text, has beyond `seen`, an earlier end of it. All of it when the two
    have nothing in common: then more was written than a tail holds, or the log was begun anew."""
    if tail.startswith(seen):
        return tail[len(seen) :]
    probe = tail[_CUT : _CUT + _PROBE]
    at = seen.find(probe) if probe else -1
    while at >= 0:
        common_part = seen[at:]
        if tail.startswith(common_part, _CUT):
            return tail[_CUT + len(common_part) :]
        at = seen.find(probe, at + 1)
    return tail


def _talk(session: Session, instance: str) -> None:
    from agent.cli import terminal

    got = session.run(lambda client: get(client, session, instance))
    path = got.instance.console_path
    if path is None:
        raise Conflict(f"{got.instance.name} has no console to type into: it is {got.instance.power_state}")
    with terminal.opened(path) as guest:
        session.out.note(f"connected to {got.instance.name}; ctrl-] leaves")
        terminal.talk(guest)
