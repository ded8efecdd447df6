"""A client that answers from what a test put in, behind the port of the real one; and a runner of commands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from click.testing import CliRunner, Result

from agent.cli.app import App
from agent.cli.ports import Client
from agent.cli.root import cli
from agent.errors import NotFound
from agent.rpc.parked import ParkedMessage
from agent.rpc.schema import Method
from agent.rpc.schema import results as answers
from agent.rpc.schema.base import Message
from agent.rpc.schema.events import CloudEvent
from agent.rpc.streams import Missed, Position
from agent.rpc.subscription import warn
from agent.settings import Settings

UUID_1 = UUID("11111111-1111-4111-8111-111111111111")
UUID_2 = UUID("22222222-2222-4222-8222-222222222222")
NOW = "2030-01-31T12:00:00Z"

Answer = answers.Result | BaseException | Callable[[Message], answers.Result]


@dataclass
class Asked:
    """One request as the agent would get it, secrets and all."""

    method: str
    host: str | None
    args: dict[str, Any]
    timeout: float | None = None


@dataclass
class Desk:
    """`given`: the answers by method. What was asked is in `calls` and `casts`."""

    given: dict[str, Answer] = field(default_factory=dict)
    calls: list[Asked] = field(default_factory=list)
    casts: list[Asked] = field(default_factory=list)
    live: list[CloudEvent] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    after: dict[str, Position] | None = None
    dead: list[ParkedMessage] = field(default_factory=list)
    resent: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    settings: Settings | None = None

    @asynccontextmanager
    async def connect(self, settings: Settings) -> AsyncIterator[Client]:
        self.settings = settings
        yield self

    async def call(self, method: Method, host: str | None, args: Message, *, timeout: float) -> answers.Result:
        self.calls.append(Asked(method.name, host, _sent(args), timeout))
        answer = self.given.get(method.name, NotFound(f"the test has no answer for {method.name}"))
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, answers.Result) else answer(args)

    async def cast(self, method: Method, host: str | None, args: Message) -> str:
        self.casts.append(Asked(method.name, host, _sent(args)))
        return "the-message-id"

    @asynccontextmanager
    async def events(
        self,
        *keys: str,
        instance: UUID | None = None,
        after: Mapping[str, Position] | None = None,
        on_missed: Callable[[Missed], None] = warn,
    ) -> AsyncIterator[AsyncIterator[CloudEvent]]:
        self.after = dict(after or {})
        for missed in self.missed:
            on_missed(missed)
        yield self._events(instance)

    async def _events(self, instance: UUID | None) -> AsyncIterator[CloudEvent]:
        for event in self.live:
            if instance is None or event.subject == str(instance):
                yield event

    async def parked(self, limit: int, /) -> tuple[ParkedMessage, ...]:
        return tuple(self.dead[:limit])

    async def resend(self, parked: ParkedMessage, body: Mapping[str, Any], /) -> None:
        self.resent.append((parked.id, body))
        self.dead.remove(parked)

    async def drop(self, parked: ParkedMessage, /) -> None:
        self.dead.remove(parked)

    def run(self, *args: str, env: Mapping[str, str | None] | None = None, input: str | None = None) -> Result:
        surroundings: dict[str, str | None] = {
            "COMPUTE_AGENT_HOST": "here",
            "COMPUTE_AGENT_CONFIG": None,
            **(env or {}),
        }
        return CliRunner().invoke(cli, args, obj=App(connect=self.connect), env=surroundings, input=input)


def _sent(args: Message) -> dict[str, Any]:
    return args.model_dump(mode="json", exclude_unset=True, context={"reveal": True})


def json_of(result: Result) -> Any:
    """Standard output, which must be JSON and nothing else."""
    return json.loads(result.stdout)


def changed(**facts: Any) -> answers.Changed:
    return answers.Changed.model_validate({"operation_id": str(UUID_2), "instance_uuid": str(UUID_1), **facts})


def listed(*names: str) -> answers.InstanceList:
    """Instances with these names, running."""
    return answers.InstanceList.model_validate(
        {"observed_at": NOW, "instances": [view(name, UUID(int=n + 1)) for n, name in enumerate(names)]}
    )


def view(name: str, uuid: UUID = UUID_1, **facts: Any) -> dict[str, Any]:
    base = {"uuid": str(uuid), "name": name, "power_state": "running", "power_state_code": 1, "vcpus": 1}
    return {**base, "memory_mb": 128, "generation": 4, **facts}


def event(
    type_: str, *, subject: UUID | None = UUID_1, host: str = "here", sequence: int | None = None, **data: Any
) -> CloudEvent:
    return CloudEvent(
        id=f"{type_}-{sequence}",
        source=f"/compute/{host}",
        type=type_,
        subject=str(subject) if subject else None,
        time=NOW,
        stream=UUID_2 if sequence else None,
        sequence=f"{sequence:020d}" if sequence else None,
        data=data,
    )


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)
