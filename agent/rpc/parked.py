"""Refused casts, as a person looks through them: list, mend and send again, or drop.

They are taken from the queue without being acknowledged and go back to their places when the channel closes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from pydantic_core import from_json

from agent.errors import NotFound
from agent.names import SharedNames
from agent.rpc.schema.envelope import Parked


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """`body` has a placeholder for each secret (`removed` names them); None when it wasn't kept."""

    id: str
    queue: str
    host: str
    method: str
    code: str
    message: str
    time: str
    removed: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)


async def browse(connection: AbstractConnection, names: SharedNames, limit: int) -> tuple[ParkedMessage, ...]:
    """The oldest `limit`; they stay where they are."""
    async with connection.channel() as channel:
        queue = await channel.get_queue(names.dead_letters)
        found: list[ParkedMessage] = []
        while len(found) < limit and (message := await queue.get(fail=False)) is not None:
            found.append(read(message))
    return tuple(found)


@asynccontextmanager
async def held(
    connection: AbstractConnection, names: SharedNames, wanted: ParkedMessage
) -> AsyncIterator[AbstractIncomingMessage]:
    """The message itself, to be acknowledged or not before the context ends. Raises NotFound."""
    async with connection.channel() as channel:
        queue = await channel.get_queue(names.dead_letters)
        while (message := await queue.get(fail=False)) is not None:
            if _key(read(message)) == _key(wanted):
                yield message
                return
        raise NotFound(f"no parked message {wanted.id} of {wanted.time}: sent again, dropped, or too old")


def _key(parked: ParkedMessage) -> tuple[str, ...]:
    return parked.id, parked.queue, parked.host, parked.time


def read(message: AbstractIncomingMessage) -> ParkedMessage:
    """From the headers that the agent wrote."""
    headers = {name: str(value) for name, value in message.headers.items()}
    removed = headers.get(Parked.REMOVED, "")
    return ParkedMessage(
        id=message.message_id or "",
        queue=headers.get(Parked.QUEUE, ""),
        host=headers.get(Parked.HOST, ""),
        method=headers.get(Parked.METHOD, ""),
        code=headers.get(Parked.CODE, ""),
        message=headers.get(Parked.MESSAGE, ""),
        time=headers.get(Parked.TIME, ""),
        removed=tuple(removed.split(", ")) if removed else (),
        body=_body(message.body),
    )


def _body(body: bytes) -> dict[str, Any] | None:
    try:
        document = from_json(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
