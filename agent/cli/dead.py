"""`agent-cli dead`: casts that were refused, and so had nobody to be told to. Look, send again, or drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.app import Session, common
from agent.cli.parked import mended, new_identity, request_of
from agent.cli.ports import Client
from agent.cli.values import Secrets
from agent.errors import NotFound

if TYPE_CHECKING:
    from agent.rpc.parked import ParkedMessage

_MOST = 10_000


@click.group("dead", short_help="Look at parked messages, send them again or drop them.")
def dead() -> None:
    """Look at parked messages, send them again or drop them.

    A command that was sent without waiting for an answer, and refused, is parked on the broker with the reason.
    """


@dead.command("list")
@click.option(
    "--limit", type=click.IntRange(1, _MOST), default=100, show_default=True, help="How many, oldest first."
)
@common(host=False, timeout=False)
def list_(session: Session, limit: int) -> None:
    """List parked messages, oldest first."""
    parked = session.run(lambda client: client.parked(limit))
    rows = [(p.id, p.time, p.host, p.method, p.code, p.message) for p in parked]
    session.out.table([facts(p) for p in parked], ("id", "time", "host", "method", "code", "message"), rows)


@dead.command("show")
@click.argument("id", metavar="ID")
@common(host=False, timeout=False)
def show(session: Session, id: str) -> None:
    """Show one parked message with its request; secrets had been removed from it."""

    async def work(client: Client) -> ParkedMessage:
        return await _one(client, id)

    parked = session.run(work)
    request = None if parked.body is None else request_of(parked.body)
    session.out.data(facts(parked) | {"removed": list(parked.removed), "request": request})


@dead.command("resend")
@click.argument("id", metavar="ID")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set an argument, such as a secret that was removed: instance.config_drive.admin_pass=- asks for it.",
)
@click.option(
    "--same-identity",
    is_flag=True,
    help="Keep the identity of the refused request. An agent that has journaled the refusal will repeat it.",
)
@common(host=False, timeout=False)
def resend(session: Session, id: str, assignments: tuple[str, ...], same_identity: bool) -> None:
    """Send a parked message again, to the queue it was refused on.

    It gets a new identity, made from the parked message: to do this twice has no second effect.
    """

    async def work(client: Client) -> None:
        parked = await _one(client, id)
        if parked.body is None:
            raise click.UsageError("its body couldn't be read and wasn't kept; it can only be dropped")
        identity = None if same_identity else new_identity(parked)
        await client.resend(parked, mended(parked.body, assignments, Secrets(), identity))

    session.run(work)
    session.out.note(f"sent again: {id}")


@dead.command("drop")
@click.argument("id", metavar="ID")
@common(host=False, timeout=False)
def drop(session: Session, id: str) -> None:
    """Remove a parked message for good."""

    async def work(client: Client) -> None:
        await client.drop(await _one(client, id))

    session.run(work)
    session.out.note(f"dropped: {id}")


async def _one(client: Client, id: str) -> ParkedMessage:
    found = [parked for parked in await client.parked(_MOST) if parked.id == id]
    if not found:
        raise NotFound(f"no parked message {id}")
    return found[0]


def facts(parked: ParkedMessage) -> dict[str, Any]:
    return {
        "id": parked.id,
        "time": parked.time,
        "host": parked.host,
        "queue": parked.queue,
        "method": parked.method,
        "code": parked.code,
        "message": parked.message,
    }
