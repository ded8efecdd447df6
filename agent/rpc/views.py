"""Inner values to the published results. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from agent.hypervisor.ports import DomainView
from agent.journal.records import EventRecord, OperationRecord
from agent.operations.runner import Doing
from agent.rpc.schema import events, results
from agent.spec import PowerState


def instance(
    view: DomainView,
    *,
    state: PowerState,
    last_known: PowerState | None,
    under_way: tuple[UUID, ...],
    generation: int,
) -> results.InstanceView:
    """`state` is `unknown` for a view that could not be read anew; `generation` is the journal's. The domain's
    own counts only where it is higher, when the journal was lost."""
    spec = view.spec
    return results.InstanceView(
        uuid=view.uuid,
        name=view.name,
        power_state=state.value,
        power_state_code=state.code,
        last_known=last_known.value if last_known else None,
        reason=view.reason,
        generation=max(generation, view.generation),
        request_id=view.request_id,
        vcpus=spec.vcpus if spec else None,
        memory_mb=spec.memory_mb if spec else None,
        disks=tuple(results.DiskView(**disk.model_dump()) for disk in view.disks),
        interfaces=tuple(results.InterfaceView(**nic.model_dump()) for nic in view.interfaces),
        metadata=spec.metadata if spec else {},
        owner=spec.owner.model_dump() if spec else {},
        vnc_port=view.vnc_port,
        console_path=view.console_path,
        under_way=under_way,
    )


def operation(record: OperationRecord, doing: Doing | None) -> results.OperationView:
    steps = tuple(
        results.StepView(name=step.name, mark=step.mark.value, at=step.at, seconds=step.seconds)
        for step in record.steps
    )
    return results.OperationView(
        id=record.id,
        method=record.method,
        instance_uuid=record.instance_uuid,
        status=record.status.value,
        request_id=record.caller.request_id,
        user_id=record.caller.user_id,
        project_id=record.caller.project_id,
        accepted_at=record.accepted_at,
        begun_at=record.begun_at,
        ended_at=record.ended_at,
        not_after=record.not_after,
        progress=doing.progress if doing else None,
        doing=doing.what if doing else None,
        steps=steps,
        shares=record.shares,
        error=record.error,
    )


def cloud_event(record: EventRecord) -> events.CloudEvent:
    """A durable event as it is published, and replayed byte for byte the same."""
    return events.CloudEvent(
        id=f"{record.stream}:{record.sequence}",
        source=record.source,
        type=record.type,
        subject=str(record.subject) if record.subject else None,
        time=record.time,
        stream=record.stream,
        sequence=f"{record.sequence:020d}",
        data=record.data,
    )


def ephemeral_event(
    host: str, type_: str, subject: UUID | None, at: datetime, data: dict[str, Any]
) -> events.CloudEvent:
    """An event without a number: progress, reports."""
    return events.CloudEvent(
        id=f"{type_}:{subject or host}:{at.timestamp()}",
        source=f"/compute/{host}",
        type=type_,
        subject=str(subject) if subject else None,
        time=at,
        data=data,
    )
