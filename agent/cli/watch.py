"""`agent-cli watch`: events as they happen, with those that were missed before them."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from uuid import UUID

import click

from agent.cli.app import Session, common
from agent.cli.lookup import find
from agent.cli.output import printable
from agent.cli.ports import Client
from agent.rpc.schema.events import CloudEvent
from agent.rpc.streams import Missed, Position


@click.command("watch", short_help="Print events as they happen.")
@click.option(
    "--host", metavar="HOST", help="Only this host's events; also the host that replays. Default: all hosts."
)
@click.option("--instance", metavar="INSTANCE", help="Only events of this instance, by uuid or name.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only these types; compute.instance.* matches."
)
@click.option(
    "--from-sequence",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="First the host's events from this sequence number on.",
)
@click.option("--count", type=click.IntRange(min=1), metavar="NUMBER", help="End after so many events.")
@common(host=False)
def watch(
    session: Session,
    host: str | None,
    instance: str | None,
    types: tuple[str, ...],
    from_sequence: int | None,
    count: int | None,
) -> None:
    """Print events as they happen, one a line, until ctrl-C."""
    if host:
        session = session.on(host)
    told = 0

    async def work(client: Client) -> None:
        nonlocal told
        uuid = await find(client, session, instance) if instance else None
        wanted = matcher(uuid, types, host)
        after = {session.host: Position(from_sequence - 1)} if from_sequence else None
        async with client.events(*([] if uuid else ["#"]), instance=uuid, after=after, on_missed=missed) as events:
            async for event in events:
                if wanted(event):
                    _print(session, event)
                    told += 1
                if told == count:
                    return

    def missed(what: Missed) -> None:
        session.out.note(f"events of {what.host or 'some hosts'} are missing: {what.why}")

    session.run(work)


def matcher(instance: UUID | None, types: tuple[str, ...], host: str | None) -> Callable[[CloudEvent], bool]:
    """Whether an event is asked for."""

    def wanted(event: CloudEvent) -> bool:
        return (
            (instance is None or event.subject == str(instance))
            and (not types or any(fnmatchcase(event.type, pattern) for pattern in types))
            and (host is None or event.source == f"/compute/{host}")
        )

    return wanted


def _print(session: Session, event: CloudEvent) -> None:
    time = event.time.isoformat(timespec="milliseconds")
    host = event.source.removeprefix("/compute/")
    data = json.dumps(event.data, ensure_ascii=False)
    text = printable(f"{time} {host} {event.type} {event.subject or '-'} {data}")
    session.out.line(event.model_dump(mode="json", exclude_none=True), text)
