"""The desk: takes validated calls from the edge, answers reads, journals changes.

A change becomes the first state of its operation (`rpc.convert`) and is in the journal when `accept`
returns. Reads ask the hypervisor or the journal and never wait behind a job.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog

from agent.errors import AgentError, Conflict, InvalidRequest, NotFound
from agent.hypervisor.ports import Hypervisor
from agent.instances import Instances
from agent.journal import Journal
from agent.journal.records import (
    Accepted,
    Answer,
    Different,
    NewEvent,
    NewOperation,
    OperationRecord,
    Repeated,
    Status,
)
from agent.operations import TABLE
from agent.operations.base import State
from agent.operations.control import CONTROL
from agent.operations.outcome import error_body
from agent.operations.runner import Operations
from agent.power import PowerStates
from agent.rpc import convert, plan, views
from agent.rpc.desk import Call, Request
from agent.rpc.looks import Looks, Question, Seen
from agent.rpc.schema import params, results
from agent.rpc.schema.base import Params
from agent.spec import PowerState

log = structlog.get_logger(__name__)

W = TypeVar("W", bound=enum.StrEnum)

PIECE = 100
"""Operations that are read and shown at once."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What the handlers reach."""

    host: str
    version: str
    journal: Journal
    hypervisor: Hypervisor
    instances: Instances
    operations: Operations
    power: PowerStates


class Handlers:
    """The one implementation of `rpc.desk.Desk`."""

    def __init__(self, inside: Inside) -> None:
        self._in = inside
        self._looks = Looks(inside.hypervisor.domains, lambda: inside.power.reachable)
        self._host = Question(lambda: describe_host(inside))
        self._reads: dict[str, Callable[[Any], Awaitable[results.Result]]] = {
            "ping": self._ping,
            "get_instance": self._get_instance,
            "list_instances": self._list_instances,
            "get_host": self._get_host,
            "get_diagnostics": self._get_diagnostics,
            "get_console_output": self._get_console_output,
            "list_operations": self._list_operations,
            "get_operation": self._get_operation,
            "replay_events": self._replay_events,
            "plan": self._plan,
        }

    def has_room(self) -> bool:
        return self._in.operations.has_room()

    async def wait_for_room(self) -> None:
        await self._in.operations.wait_for_room()

    async def answer(self, call: Call) -> results.Result:
        return await self._reads[call.method.name](call.params)

    # Changes

    async def accept(self, call: Call) -> None:
        new = self._new_operation(call)
        acceptance = await self._in.operations.accept(new)
        match acceptance:
            case Accepted():
                pass
            case Repeated(answer=Answer() as answer) if call.request.address is not None:
                log.info("request.repeated", operation=str(acceptance.operation_id))
                await self._in.journal.add_reply(call.request.address, answer)
            case Repeated():
                log.info("request.repeated", operation=str(acceptance.operation_id))
            case Different(operation_id=operation_id):
                raise Conflict(
                    "this message_id or idempotency_key was used for another request; take a new one",
                    details={"operation_id": str(operation_id)},
                )

    async def tell_refused(self, call: Call | None, request: Request, error: Exception) -> None:
        uuid = _readable_uuid(request.args)
        if uuid is None or not isinstance(error, AgentError):
            return
        data = {"error": error_body(error), **request.caller.model_dump(exclude_none=True)}
        method = call.method.name if call else request.method
        if method in TABLE:
            await self._in.journal.append(
                [NewEvent(type=f"compute.instance.{method}.error", subject=uuid, data=data)]
            )

    def _new_operation(self, call: Call) -> NewOperation:
        asked, request, method = call.params, call.request, call.method.name
        if not isinstance(asked, Params):
            raise TypeError(f"{method} has no arguments of a changing method")
        identity = asked.idempotency_key or request.identity
        if identity is None:
            raise InvalidRequest.field("message_id", "is missing", "set it, or idempotency_key in args")
        not_after = min((t for t in (asked.not_after, request.deadline) if t is not None), default=None)
        # A deadline that has passed is refused at the operation's turn, not here: this may be a repeat of a
        # request that was done in time, and then it gets that answer.
        if method == "spawn":
            not_after = not_after or datetime.now(UTC) + params.SPAWN_NOT_AFTER
        state = convert.STATES[method](asked)
        saga = TABLE[method].saga if method in TABLE else CONTROL[method]
        args = asked.model_dump_json(exclude={"idempotency_key", "not_after"}, context={"reveal": True})
        return NewOperation(
            identity=f"{request.scope}/{identity}",
            fingerprint=self._in.journal.fingerprint(method, args.encode()),
            method=method,
            saga=saga.name,
            saga_version=saga.version,
            state=state,
            instance_uuid=state.instance_uuid if isinstance(state, State) else None,
            caller=request.caller,
            address=request.address or request.parking,
            not_after=not_after and _in_utc(not_after),
            if_generation=asked.if_generation,
        )

    # Reads

    async def _ping(self, _: params.Ping) -> results.Pong:
        return results.Pong(host=self._in.host, agent_version=self._in.version, observed_at=datetime.now(UTC))

    async def _get_instance(self, asked: params.GetInstance) -> results.GotInstance:
        generation = await self._in.journal.generation(asked.instance_uuid)
        seen = await self._looks.at_one(asked.instance_uuid)
        return results.GotInstance(observed_at=seen.at, instance=self._show(seen, generation))

    async def _list_instances(self, asked: params.ListInstances) -> results.InstanceList:
        if asked.power_state is not None:
            _word(PowerState, "power_state", asked.power_state)
        known = await self._in.journal.generations()
        seen = await self._looks.at_all()
        shown = [self._show(each, known.get(each.view.uuid, 0)) for each in seen]
        chosen = tuple(
            item
            for item in shown
            if asked.power_state in (None, item.power_state)
            and asked.name in (None, item.name)
            and asked.project_id in (None, item.owner.get("project_id"))
        )
        oldest = min((each.at for each in seen), default=datetime.now(UTC))
        return results.InstanceList(observed_at=oldest, instances=chosen)

    def _show(self, seen: Seen, generation: int) -> results.InstanceView:
        state, last = seen.view.power_state, None
        if not seen.certain:
            state, last = PowerState.UNKNOWN, state
        under_way = tuple(job.operation_id for job in self._in.instances.under_way(seen.view.uuid))
        return views.instance(seen.view, state=state, last_known=last, under_way=under_way, generation=generation)

    async def _get_host(self, _: params.GetHost) -> results.HostInfo:
        return await self._host.best()

    async def _get_diagnostics(self, asked: params.GetDiagnostics) -> results.Diagnostics:
        counters = await self._in.hypervisor.domains.diagnostics(asked.instance_uuid)
        return results.Diagnostics(observed_at=datetime.now(UTC), diagnostics=counters)

    async def _get_console_output(self, asked: params.GetConsoleOutput) -> results.ConsoleOutput:
        output = await self._in.hypervisor.domains.console_output(asked.instance_uuid, asked.tail_bytes)
        text = output.decode("utf-8", "replace")
        return results.ConsoleOutput(observed_at=datetime.now(UTC), output=text)

    async def _list_operations(self, asked: params.ListOperations) -> results.OperationList:
        """In pieces: a long list holds up neither the journal's writes nor the loop."""
        shown: list[results.OperationView] = []
        piece = await self._some_operations(asked, min(PIECE, asked.limit), asked.before)
        while piece:
            shown += [views.operation(record, self._in.operations.doing(record.id)) for record in piece]
            try:
                piece = await self._some_operations(asked, min(PIECE, asked.limit - len(shown)), piece[-1].id)
            except NotFound:  # it was forgotten meanwhile, and so were all before it
                break
        return results.OperationList(observed_at=datetime.now(UTC), operations=tuple(shown))

    async def _some_operations(
        self, asked: params.ListOperations, limit: int, before: UUID | None
    ) -> list[OperationRecord]:
        return await self._in.journal.operations(
            instance_uuid=asked.instance_uuid,
            statuses=None if asked.status is None else [_word(Status, "status", asked.status)],
            method=asked.method,
            limit=limit,
            before=before,
        )

    async def _get_operation(self, asked: params.GetOperation) -> results.GotOperation:
        record = await self._in.journal.operation(asked.operation_id)
        shown = views.operation(record, self._in.operations.doing(record.id))
        return results.GotOperation(observed_at=datetime.now(UTC), operation=shown)

    async def _replay_events(self, asked: params.ReplayEvents) -> results.Replayed:
        records = await self._in.journal.events_from(asked.from_sequence, asked.limit)
        replayed = tuple(
            views.cloud_event(record).model_dump(mode="json", exclude_none=True) for record in records
        )
        following = records[-1].sequence + 1 if records else asked.from_sequence
        return results.Replayed(stream=self._in.journal.stream, events=replayed, next_sequence=following)

    async def _plan(self, asked: params.Plan) -> results.Planned:
        return await plan.plan(self._in.hypervisor, asked.method, asked.args)


async def describe_host(inside: Inside) -> results.HostInfo:
    """What `get_host` answers and `compute.host.report` carries. Raises Unavailable."""
    view = await inside.hypervisor.host.describe()
    return results.HostInfo(
        observed_at=datetime.now(UTC),
        host=inside.host,
        agent_version=inside.version,
        stream=inside.journal.stream,
        **view.model_dump(exclude={"hostname"}),
    )


def _in_utc(moment: datetime) -> datetime:
    """An offset may put the first and the last days of the calendar beyond it: then its first or last moment."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


def _word(kind: type[W], field: str, word: str) -> W:
    """A filter by a word that doesn't exist would find nothing, which is no answer."""
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidRequest.field(field, f"{word!r} is none", f"take one of {known}") from None


def _readable_uuid(args: dict[str, Any]) -> UUID | None:
    asked = args.get("instance_uuid")
    if asked is None and isinstance(args.get("instance"), dict):
        asked = args["instance"].get("uuid")
    try:
        return UUID(asked) if isinstance(asked, str) else None
    except ValueError:
        return None
