"""One AMQP connection, kept up: connect, run a session on it, and begin anew when either ends.

    away -> connected -> session runs -> lost -> pause -> connected -> ...

The pause is random, and grows while sessions end before they had all they need.

Used by the consumer, the publisher and the client, each with a connection of its own: a broker that is low
on memory stops reading from connections that publish, and commands have to go on all the same.

aio-pika's robust connections aren't used. They restore what they remember, each thing as it was declared:
one queue whose arguments were changed by an operator keeps the whole connection from coming back, a deleted
one keeps it until somebody makes it again, and all agents reconnect in step. A session that begins with
declaring what it needs has none of that.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPError, ConnectionClosed
from aiormq.abc import AbstractConnection as Wire
from aiormq.abc import ExceptionType
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    InvalidFrameError,
)
from yarl import URL

from agent.rpc.frames import FrameReader
from agent.rpc.tasks import CUT, Lost, end, guarded
from agent.rpc.transport import GatheringWriter, Transport
from agent.settings_broker import Amqp

# Not structlog: a client has only what the bare install has.
log = logging.getLogger(__name__)

Session = Callable[[AbstractConnection], Awaitable[None]]

BROKEN = (AMQPError, OSError, TimeoutError, asyncio.InvalidStateError, ChannelInvalidStateError)
"""What a connection that breaks raises in those who use it. OSError holds all of ConnectionError."""

NOT_OURS = (ChannelAccessRefused, ChannelPreconditionFailed)
"""The broker closed a channel for what was asked on it: no right, or it is there otherwise."""

ABSENT = ChannelNotFoundEntity
"""The same, and there is no such thing."""

REFUSALS = (*NOT_OURS, ABSENT)

LOCKED = ChannelLockedResource
"""Another connection has it for itself."""

LONGEST_PAUSES = 8
"""Times `reconnect_s`: what the pause grows to while each connection is made in vain."""

_CONNECT_S = 20.0
_CLOSE_S = 5.0


class NotOpened(Lost):
    """The login is right, and the broker doesn't let it into the virtual host."""


class _Connection(aio_pika.Connection):
    """One that no message's properties can break, and that is closed when `close` has ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bytes: Transport = Transport()
        self.kwargs["transport_factory"] = self.bytes

    async def close(self, exc: ExceptionType | None = ConnectionClosed) -> None:
        """Within seconds, whatever the broker does; at once when cancelled. No task and no socket is left."""
        # In a task of its own: closing may end in a CancelledError that nobody asked for.
        closing = asyncio.ensure_future(super().close(exc))
        try:
            await asyncio.wait({closing}, timeout=_CLOSE_S)
        finally:
            if not closing.done():
                self.bytes.cut()
            await end(closing)

    def __del__(self) -> None:
        """The library closes what was forgotten. One that never came about has nothing to close, and is collected
        on whatever thread: closing it from there would be a warning in the log of an outage."""
        if self.transport is not None:
            super().__del__()


async def connect(amqp: Amqp, name: str) -> AbstractConnection:
    """A plain connection, to be closed. `name` is what the broker's operator sees. Raises one of BROKEN."""
    url = URL(amqp.url.get_secret_value()).update_query(heartbeat=amqp.heartbeat_s)
    try:
        return await aio_pika.connect(
            url,
            connection_class=_Connection,
            ssl_context=_tls(amqp) if url.scheme == "amqps" else None,
            client_properties={"connection_name": name},
            timeout=_CONNECT_S,
        )
    except InvalidFrameError as error:
        # aiormq's own text is the address of a frame.
        if "Connection.OpenOk" not in str(error):
            raise
        raise NotOpened(
            "the broker doesn't open the virtual host: there is none of that name, or the user has no right to it"
        ) from None
    except StopAsyncIteration as error:  # how aiormq says it, as long as hands are being shaken
        raise ConnectionError("the broker closed the connection") from error


def wire(connection: AbstractConnection) -> Wire:
    """The connection below, which knows when it closes and whether it is blocked. Raises Lost."""
    if connection.transport is None:
        raise Lost("the connection is closed")
    return connection.transport.connection


def frames(connection: AbstractConnection) -> FrameReader:
    """What reads the frames of a connection that was made here."""
    return cast(_Connection, connection).bytes.frames


def writer(connection: AbstractConnection) -> GatheringWriter:
    """What writes them: whole frames, at any moment. Raises Lost."""
    if (made := cast(_Connection, connection).bytes.writer) is None:
        raise Lost("the connection was never made")
    return made


def blocked(connection: AbstractConnection | None) -> bool:
    """Whether the broker has stopped reading from this connection."""
    if connection is None or connection.transport is None:
        return False
    ready = connection.transport.connection.ready()
    try:
        # One step of it: it ends, or it waits for the broker.
        ready.send(None)
    except StopIteration:
        return False
    finally:
        ready.close()
    return True


@dataclass(frozen=True, slots=True)
class LinkState:
    """`up`: a session has all it needs. `since`: since when it is up, or isn't. `error`: what the last session, or
    the last attempt at one, ended with."""

    up: bool
    since: datetime
    error: str | None = None


class Link:
    """Keeps one connection up. `connection` is the present one, None while there is none."""

    def __init__(self, amqp: Amqp, name: str) -> None:
        self._amqp = amqp
        self._name = name
        self.connection: AbstractConnection | None = None
        self.state = LinkState(False, datetime.now(UTC))
        self._attempts = 0
        self._told: str | None = None
        self._in_vain = 0
        self._ever_up = False

    def up(self) -> None:
        """Said by a session once it has all it needs."""
        log.info("broker.connected name=%s attempts=%d", self._name, self._attempts)
        self._attempts, self._told = 0, None
        self._ever_up = True
        self._in_vain = 0
        self.state = replace(self.state, up=True, since=datetime.now(UTC))

    async def run(self, session: Session, *, fail_fast: bool = False) -> None:
        """For ever, until cancelled. With `fail_fast` what goes wrong before a session was `up` is raised."""
        while True:
            try:
                await self._once(session)
            except Exception as error:  # the edge: whatever a session dies of, the next begins
                if fail_fast and not self._ever_up:
                    raise
                self._down(error)
                self._tell(error)
            self._attempts += 1
            await asyncio.sleep(self._pause())

    async def reset(self) -> None:
        """Drop the present connection; `run` makes the next one."""
        if self.connection is not None:
            await self.connection.close()

    async def _once(self, session: Session) -> None:
        connecting = asyncio.ensure_future(connect(self._amqp, self._name))
        try:
            await asyncio.wait({connecting})
        except asyncio.CancelledError:
            try:
                await end(connecting)
            finally:
                if not connecting.cancelled() and connecting.exception() is None:
                    await connecting.result().close()
            raise
        if connecting.cancelled():
            # By the library, not by who runs us: an attempt that failed, and no end of all attempts.
            raise Lost("broken off while it was being made")
        await self._run_on(connecting.result(), session)

    async def _run_on(self, connection: AbstractConnection, session: Session) -> None:
        running: asyncio.Future[None] = asyncio.ensure_future(session(connection))
        try:
            closing = wire(connection).closing
            self.connection = connection
            self._in_vain += 1  # until it is up
            await asyncio.wait({running, closing}, return_when=asyncio.FIRST_COMPLETED)
            await _result(running, closing)
        except Exception as error:
            self._down(error)  # at once: to put it away takes seconds when the broker doesn't answer
            raise
        finally:
            self.connection = None
            try:
                await end(running)
            finally:
                await connection.close()

    def _down(self, error: Exception) -> None:
        since = datetime.now(UTC) if self.state.up else self.state.since
        self.state = LinkState(False, since, describe(error))

    def _tell(self, error: Exception) -> None:
        """Once, until it is another one or a session was up: an outage isn't a thousand lines."""
        text = describe(error)
        if text == self._told:
            return
        self._told = text
        if isinstance(error, BROKEN):
            log.warning("broker.lost name=%s error=%s", self._name, text)
        else:
            log.error("broker.session_failed name=%s", self._name, exc_info=error)

    def _pause(self) -> float:
        part = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        return self._amqp.reconnect_s * part * pauses(self._in_vain)


def pauses(in_vain: int) -> int:
    """How many times longer the pause is after so many connections in a row that were made and of no use. Pure.

    The pause is random, so that a fleet doesn't come back in step after an outage. That isn't enough for a broker
    that is overloaded by those who come back: each that gives up, and begins anew at once, adds to it.
    """
    return LONGEST_PAUSES if in_vain > LONGEST_PAUSES else min(1 << max(0, in_vain - 1), LONGEST_PAUSES)


async def _result(running: asyncio.Future[None], closing: asyncio.Future[None]) -> None:
    """Raises what ended it. A closed connection cancels what waits on it, so a cancelled session is a
    lost connection, unless somebody cancels us."""
    if running.done() and not running.cancelled():
        running.result()
        raise Lost("the session ended")
    raise Lost(describe(closing.exception()) if closing.done() and not closing.cancelled() else CUT)


async def leave(queue: AbstractQueue, consumer_tag: str) -> None:
    """Ends a consumer, then deletes its queue; when that fails the queue expires.

    In this order, or the broker tells the consumer that its queue went, and the library warns of it.
    """
    with suppress(*BROKEN, RuntimeError):
        await guarded(_left(queue, consumer_tag), _CLOSE_S)


async def _left(queue: AbstractQueue, consumer_tag: str) -> None:
    await queue.cancel(consumer_tag)
    await queue.delete(if_unused=False, if_empty=False)


def describe(error: BaseException | None) -> str:
    """An error in one line; some of the broker's have no text."""
    if isinstance(error, Lost):
        return str(error)
    if isinstance(error, asyncio.CancelledError):
        # The library's reason when it closes a connection without one of the broker's.
        return "given up on this side: the broker was silent, or something had to be declared anew"
    return "closed" if error is None else f"{type(error).__name__}: {error}".rstrip(": ")


def _tls(amqp: Amqp) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=amqp.ca_file and str(amqp.ca_file))
    if amqp.cert_file is not None:
        context.load_cert_chain(amqp.cert_file, amqp.key_file)
    return context
