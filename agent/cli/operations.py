"""`agent-cli operations`: what the agent did and does; one of them with its steps and where its time went."""

from __future__ import annotations

from uuid import UUID

import click

from agent.cli.app import Session, common
from agent.cli.lookup import ask, find
from agent.cli.ports import Client
from agent.rpc.schema import METHODS
from agent.rpc.schema.params import GetOperation, ListOperations
from agent.rpc.schema.results import STATUSES, GotOperation, OperationList, OperationView


class _Word(click.Choice[str]):
    """One of those that are known: another would list nothing, silently. Dashes are as good as underscores."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(str(value).replace("-", "_"), param, ctx)


_CHANGES = _Word([method.name for method in METHODS.values() if method.kind == "change"])


@click.command("operations", short_help="List operations, or show one with its steps and times.")
@click.argument("operation", required=False, type=click.UUID)
@click.option("--stuck", is_flag=True, help="Only those whose undo failed: they wait for a person.")
@click.option("--status", type=_Word(STATUSES), metavar="STATUS", help="Only those with this status.")
@click.option("--method", type=_CHANGES, metavar="METHOD", help="Only those of this method.")
@click.option("--instance", metavar="INSTANCE", help="Only those on this instance, by uuid or name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@click.option("--before", type=click.UUID, help="Those before this operation: the next page.")
@common()
def operations(session: Session, operation: UUID | None, **filters: object) -> None:
    """List operations, newest first, or show one with its steps and where its time went."""
    if operation is not None:
        asked = GetOperation(operation_id=operation)
        got = session.run(lambda client: ask(client, session, "get_operation", asked, GotOperation))
        _show(session, got)
        return
    if filters.pop("stuck"):
        filters["status"] = "stuck"
    listed = session.run(lambda client: _list(client, session, filters))
    columns = ("operation", "method", "instance", "status", "accepted", "seconds", "error")
    rows = [
        (o.id, o.method, o.instance_uuid, status(o), _time(o), _seconds(o), _error(o)) for o in listed.operations
    ]
    session.out.table(listed.model_dump(mode="json"), columns, rows)


async def _list(client: Client, session: Session, filters: dict[str, object]) -> OperationList:
    instance = filters.pop("instance")
    uuid = await find(client, session, str(instance)) if instance else None
    args = ListOperations.model_validate({"instance_uuid": uuid, **filters})
    return await ask(client, session, "list_operations", args, OperationList)


def _show(session: Session, got: GotOperation) -> None:
    operation = got.operation
    if session.out.as_json:
        session.out.data(got.model_dump(mode="json"))
        return
    head = operation.model_dump(mode="json", exclude_none=True, exclude={"steps", "shares"})
    session.out.data(head)
    session.out.text("")
    steps = [(step.name, step.mark, step.at.isoformat(), _rounded(step.seconds)) for step in operation.steps]
    session.out.table(None, ("step", "mark", "at", "seconds"), steps)
    session.out.text("")
    session.out.table(None, ("share", "seconds"), [(n, _rounded(s)) for n, s in shares(operation.shares)])


def shares(told: dict[str, float]) -> list[tuple[str, float]]:
    """With what isn't told: `own`, the agent's part, is the total less all others."""
    others = sum(seconds for name, seconds in told.items() if name not in ("total", "own", "queued", "journal"))
    if "total" not in told or "own" in told:
        return list(told.items())
    return [*told.items(), ("own", max(0.0, told["total"] - others))]


def status(operation: OperationView) -> str:
    if operation.progress is None:
        return operation.status
    return f"{operation.status} {operation.progress:.0%} {operation.doing or ''}".rstrip()


def _time(operation: OperationView) -> str:
    return operation.accepted_at.isoformat(timespec="seconds")


def _seconds(operation: OperationView) -> str:
    if operation.begun_at is None or operation.ended_at is None:
        return ""
    return f"{(operation.ended_at - operation.begun_at).total_seconds():.2f}"


def _error(operation: OperationView) -> str:
    return f"{operation.error.get('code')}: {operation.error.get('message')}" if operation.error else ""


def _rounded(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"
