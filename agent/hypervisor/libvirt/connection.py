"""libvirt behind a door: connections, their lanes, and what libvirt's errors mean.

Everything of the libvirt driver that talks to libvirt calls `Libvirt.call` with a function of a connection.
The function runs in a thread of the chosen lane, on the connection that this thread owns (`threads`), and a
libvirtError that comes out of it becomes an AgentError by the table in `errors`.

Several connections, because libvirtd serves few requests per client at a time, and because a call that hangs
takes its connection with it.

libvirt's event loop runs in a thread of its own and is started before the first connection: keepalive needs
it as much as events do. libvirtaio isn't used: libvirt calls an event loop's hooks on whichever thread makes
an API call, and with an executor that isn't the loop's.
"""

from __future__ import annotations

import contextlib
import enum
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import libvirt
import structlog

from agent.errors import Internal, Unavailable, Unsupported
from agent.hypervisor.doubts import Change
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.errors import Code, Failure, translate
from agent.hypervisor.libvirt.threads import Late, Threads
from agent.hypervisor.ports import GivenUp
from agent.hypervisor.storage.faults import from_os_error
from agent.secret import Secret

log = structlog.get_logger(__name__)

T = TypeVar("T")

MINIMUM = (8, 0, 0)


class Lane(enum.StrEnum):
    """Calls that may wait for each other, because they take about as long."""

    QUERY = "query"  # reads: milliseconds, libvirtd answers them without asking a guest's QEMU
    GUEST = "guest"  # what a sick guest may let hang: reads that its QEMU or its files must answer, and its end
    SHORT = "short"  # changes: below a second
    START = "start"  # starting guests; more than four at once gain nothing, so its size is the limit
    LONG = "long"  # saving memory to disk
    WATCH = "watch"  # the one connection that events come in on


WORKERS: Mapping[Lane, int] = {**dict.fromkeys(Lane, 4), Lane.WATCH: 1}

TIMEOUTS: Mapping[Lane, float] = {
    Lane.QUERY: 10,
    Lane.GUEST: 10,
    Lane.SHORT: 60,
    Lane.START: 300,
    Lane.LONG: 1800,
    Lane.WATCH: 10,
}
"""Seconds, for calls that give none of their own; the deadline in force cuts them further."""


USUAL: Mapping[Lane, float] = {Lane.QUERY: 2, Lane.GUEST: 2, Lane.SHORT: 5, Lane.START: 15, Lane.LONG: 120}
"""Seconds, longer than a healthy call of that lane takes on a busy host. One that takes longer is waited for as
before, and no longer keeps others from its lane. The watch has one connection, whatever it does."""

MAX_OVERDUE = 8
"""Calls that may be overdue at once. With the lanes of changes full beside them they are no more than libvirtd
works at by default (`max_workers`, 20); for a destroy and simple reads it has others (`prio_workers`)."""
MAX_LOST = 32


@dataclass(frozen=True)
class Access:
    """Where libvirt is. Keepalive notices a dead peer after about interval times (count + 1) seconds."""

    uri: str
    username: str | None = None
    password: Secret | None = None
    keepalive_interval_s: int = 5
    keepalive_count: int = 3


class Connector:
    """Opens connections; the supply of the lanes' workers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self) -> Connection:
        """Raises Unavailable, and Unsupported for a libvirt that is too old."""
        start_event_loop()
        access = self._access
        try:
            connection: Connection = libvirt.openAuth(access.uri, self._credentials(), 0)
            # On a hung peer a call without keepalive blocks for ever.
            connection.setKeepAlive(access.keepalive_interval_s, access.keepalive_count)
            version = connection.getLibVersion()
        except libvirt.libvirtError as error:
            raise Unavailable(
                f"opening {access.uri}: libvirt can't be reached: {error.get_error_message()}"
            ) from error
        if version < _number(MINIMUM):
            wanted = ".".join(map(str, MINIMUM))
            raise Unsupported(f"libvirt {version} is too old, {wanted} is needed", details={"feature": "libvirt"})
        return connection

    def usable(self, connection: Connection) -> bool:
        """Looks at the socket only: nothing is sent."""
        with contextlib.suppress(libvirt.libvirtError):
            return bool(connection.isAlive())
        return False

    def close(self, connection: Connection) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()

    def _credentials(self) -> list[Any]:
        """What libvirt asks for over SASL; None of it when the socket's permissions decide."""
        answers = {
            libvirt.VIR_CRED_AUTHNAME: self._access.username,
            libvirt.VIR_CRED_PASSPHRASE: self._access.password.reveal() if self._access.password else None,
        }

        def answer(questions: list[list[Any]], _: object) -> int:
            for question in questions:
                if (known := answers.get(question[0])) is None:
                    return -1
                question[4] = known
            return 0

        return [list(answers), answer, None]


class Libvirt:
    """The door. Past its lane's seconds in `usual` a call is overdue. `on_late` hears of calls that returned after
    they had been given up; `on_exhausted` is called once when so many hang that the process should be
    restarted."""

    def __init__(
        self,
        access: Access,
        *,
        workers: Mapping[Lane, int] = WORKERS,
        timeouts: Mapping[Lane, float] = TIMEOUTS,
        usual: Mapping[Lane, float] = USUAL,
        max_lost: int = MAX_LOST,
        on_late: Callable[[Late], None] | None = None,
        on_exhausted: Callable[[], None] | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._threads: Threads[Connection] = Threads(
            Connector(access),
            {str(lane): n for lane, n in workers.items()},
            patience={str(lane): seconds for lane, seconds in usual.items()},
            max_overdue=MAX_OVERDUE,
            max_lost=max_lost,
            on_late=on_late,
            on_exhausted=on_exhausted,
        )

    async def call(
        self,
        lane: Lane,
        fn: Callable[[Connection], T],
        *,
        what: str,
        timeout: float | None = None,
        change: Change | None = None,
    ) -> T:
        """What `fn` returns; `what` names the attempt and its object in errors ("start of <uuid>"). `change`
        is told when `fn` begins and ends, if it changes a guest.

        Raises Unavailable (not begun, or libvirt was lost: then `details.outcome` is "unknown"), TimedOut
        (begun and not returned: the outcome is unknown), whatever `errors` makes of a libvirtError and
        `storage.faults` of an OSError, and whatever else `fn` raises.
        """
        seconds = self._timeouts[lane] if timeout is None else timeout
        work = _translating(fn, what)
        if change is not None:
            work = change.watched(work)
        return await self._threads.call(lane, work, what=what, timeout=seconds)

    @property
    def lost(self) -> int:
        """Threads that hang in a call now."""
        return self._threads.lost

    @property
    def lost_ever(self) -> int:
        return self._threads.lost_ever

    def given_up(self) -> GivenUp:
        threads = self._threads
        return GivenUp(threads.lost, threads.lost_ever, threads.max_lost, threads.overdue)

    async def close(self, timeout: float = 5) -> bool:
        """Close all connections; False when calls still hang in some after `timeout` seconds."""
        return await self._threads.close(timeout)


def _translating(fn: Callable[[Connection], T], what: str) -> Callable[[Connection], T]:
    def call(connection: Connection) -> T:
        try:
            return fn(connection)
        except libvirt.libvirtError as error:
            failure = failure_of(error, connection)
            raise (translate(failure, what) or _unlisted(failure, what)) from error
        except OSError as error:
            raise from_os_error(error, what) from error

    return call


def _unlisted(failure: Failure, what: str) -> Internal:
    """A gap in the table; the log says which, under the incident's number."""
    incident = uuid4().hex[:12]
    log.error("libvirt's error isn't in the table", incident=incident, code=failure.code, message=failure.message)
    return Internal(f"{what}: libvirt error {failure.code}; report incident {incident}", incident=incident)


def failure_of(error: Exception, connection: Connection) -> Failure:
    """Takes a libvirtError apart. Call it in the thread that caught it."""
    if not isinstance(error, libvirt.libvirtError):
        raise TypeError(f"{error!r} isn't libvirt's") from error
    code, origin = error.get_error_code(), error.get_error_domain()
    lost = not connection.isAlive()
    return Failure(code or 0, origin or 0, error.get_error_message() or str(error), lost)


@contextlib.contextmanager
def tolerating(*codes: Code) -> Iterator[None]:
    """Inside a function given to `Libvirt.call`: these of libvirt's errors are fine."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


_loop_lock = threading.Lock()
_loop_runs = False


def start_event_loop() -> None:
    """Once per process; libvirt has no way to stop it."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.virEventRegisterDefaultImpl()
        # Errors reach us as exceptions; libvirt would print each to stderr as well.
        libvirt.registerErrorHandler(lambda *_: None, None)
        threading.Thread(target=_run_event_loop, name="libvirt-events", daemon=True).start()
        _loop_runs = True


def _run_event_loop() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            time.sleep(0.1)  # not a busy loop, should poll() itself fail


def _number(version: tuple[int, int, int]) -> int:
    major, minor, micro = version
    return major * 1_000_000 + minor * 1_000 + micro
