"""What the journal keeps, as values. Known to everyone above it; knows no SQL and no AMQP."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from agent.saga import Mark
from agent.spec import Frozen


class Status(enum.StrEnum):
    """The life of an operation.

    queued -> running -> succeeded
                |   \\-> failed      (all was undone, or nothing was begun)
                |   \\-> cancelled   (all was undone)
                |   \\-> unknown     (a call's outcome is unknown: timed_out)
                \\----> stuck -> running (retried) | abandoned
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    STUCK = "stuck"
    ABANDONED = "abandoned"


UNFINISHED = (Status.QUEUED, Status.RUNNING)


class Address(Frozen):
    """Where an answer goes. `format` names the file in `rpc/wire` that encodes it."""

    format: str
    reply_to: str
    correlation_id: str | None = None
    exchange: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
    only_failures: bool = False
    """A parking place: told of a failure alone, and once, however often the request is repeated."""


class Caller(Frozen):
    """Who asked, as it rides into logs and events."""

    request_id: str | None = None
    global_request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewOperation:
    """A changing request as it is accepted: everything needed to do it, also after a restart.

    `identity` is scoped by the user already. `fingerprint` is a keyed digest of method and validated args.
    `state` is the saga's first state; its secrets are sealed by the journal.
    """

    identity: str
    fingerprint: str
    method: str
    saga: str
    saga_version: int
    state: Frozen
    instance_uuid: UUID | None
    caller: Caller
    address: Address | None  # None: a cast
    not_after: datetime | None = None
    if_generation: int | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    name: str
    mark: Mark
    at: datetime
    seconds: float | None  # how long it took, once done or undone


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """An operation as the journal has it. `state` is sealed JSON; None once the operation has ended."""

    id: UUID
    identity: str
    method: str
    saga: str
    saga_version: int
    instance_uuid: UUID | None
    caller: Caller
    status: Status
    accepted_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    not_after: datetime | None
    if_generation: int | None
    state: str | None
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    shares: dict[str, float]  # seconds: total, own, libvirt, qemu_img, wait, download
    steps: tuple[StepRecord, ...]


class Answer(Frozen):
    """What a caller is told: `result` or `error` (code, message, retryable, details, incident)."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A new operation: do it."""

    operation: OperationRecord


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same request again. `answer` is None while the first is under way: it will be answered with it."""

    operation_id: UUID
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Different:
    """The identity is taken by a request with another method or other args."""

    operation_id: UUID


Acceptance = Accepted | Repeated | Different


class NewEvent(Frozen):
    """A durable event before it has its number. `type` as in `compute.instance.power_state`."""

    type: str
    subject: UUID | None
    data: dict[str, Any]


class EventRecord(Frozen):
    """A CloudEvent with its place in the stream, as it is published and replayed."""

    sequence: int
    stream: UUID
    source: str
    type: str
    subject: UUID | None
    time: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutgoingReply:
    """An answer the broker hasn't confirmed yet. `message_id` stays the same over all attempts."""

    id: int
    message_id: str
    address: Address
    answer: Answer
    created_at: datetime
