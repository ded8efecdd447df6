"""What shall go wrong: `world/faults.json`, and the one gate that all calls of the fake pass.

The file is a list, edited by a test, a person or `control.FakeWorld.faults`, at run time too:

    [{"call": "domains.start", "error": "operation_failed", "times": 2},
     {"call": "disks.create", "when": "half", "error": "no_capacity", "message": "disk full"},
     {"call": "domains.attach_disk", "when": "after", "error": "timed_out"},
     {"call": "domains.suspend", "slow": 3.0, "instance": "6b0e..."},
     {"call": "domains.start", "method": "resume", "die": true},
     {"call": "volumes.*", "hang": true}]

A call passes up to three points, and each point has its faults:

    before ---- first half ---- half ---- second half ---- after ---> answer

At `before` nothing was done yet; at `half` a part was (`halfway()` in the code of each port shows
which; a call that has nothing to divide, or nothing to do, doesn't pass it); at `after` all was done and only the
answer is lost. A fault waits (`slow`, then `hang` until its line is taken out), kills the process (`die`),
or raises (`error`, a code of `agent.errors`), in this order. Waiting past the deadline is TimedOut,
as with the real driver, and as there a change of an instance that was given up isn't stopped by that: when it
is released it goes on from where it hangs, and takes effect late.

A call that begins while the file isn't there has no faults, whatever is written meanwhile. What isn't awaited
(`render`, `layout`, `describe` of volumes) doesn't pass the gate.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec, Protocol, TypeVar
from uuid import UUID

import structlog
from pydantic import NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError, field_validator

from agent import deadline, errors
from agent.hypervisor.doubts import Doubts
from agent.hypervisor.fake.world import World, write
from agent.hypervisor.ports import GivenUp
from agent.spec import Frozen
from agent.telemetry import share

P = ParamSpec("P")
R = TypeVar("R")

When = Literal["before", "half", "after"]
RELEASE_POLL = 0.05
READS = frozenset({"domains.get", "domains.diagnostics", "domains.console_output", "disks.check"})
"""Calls about an instance that change nothing: given up, they are over."""


class Point(NamedTuple):
    """Where a call is: at one of its three points, about an instance, on behalf of a method."""

    call: str
    when: When
    instance: UUID | None
    method: str | None


BESIDE = "domains.break_off"
"""Made beside a call that hangs: it waits for none, and none for it."""


class Fault(Frozen):
    """One line of the file. `taken` counts how often it struck; past `times` it is spent."""

    call: str  # "domains.start"; shell patterns match too: "disks.*"
    when: When = "before"
    instance: UUID | None = None  # None: any
    method: str | None = None  # the operation that makes the call; None: any
    times: PositiveInt | None = None  # None: always
    slow: NonNegativeFloat = 0.0  # seconds
    hang: bool = False
    die: bool = False
    error: str | None = None
    message: str | None = None
    taken: int = 0

    @field_validator("error")
    @classmethod
    def _known(cls, error: str | None) -> str | None:
        if error is not None and error not in errors.BY_CODE:
            raise ValueError(f"no such error code; one of {', '.join(errors.BY_CODE)}")
        return error

    def strikes(self, at: Point) -> bool:
        spent = self.times is not None and self.taken >= self.times
        mine = self.instance in (None, at.instance) and self.method in (None, at.method)
        return not spent and mine and self.when == at.when and fnmatchcase(at.call, self.call)

    def same_line(self, other: Fault) -> bool:
        """Whether it is the same line of the file, however often it struck."""
        return self.model_copy(update={"taken": 0}) == other.model_copy(update={"taken": 0})


_TABLE = TypeAdapter(tuple[Fault, ...])


class Faults:
    """The table, as the file has it now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._path = world.root / "faults.json"
        self._there = str(self._path)  # asked at each point of each call

    def there(self) -> bool:
        """Whether anything shall go wrong at all."""
        return os.path.exists(self._there)

    def all(self) -> tuple[Fault, ...]:
        """Raises Internal naming the file when a person left it unreadable."""
        try:
            return _TABLE.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise errors.Internal(f"{self._path} isn't a list of faults: {error}") from error

    def has(self, fault: Fault) -> bool:
        return any(f.same_line(fault) for f in self.all())

    def add(self, fault: Fault) -> None:
        with self._world.locked():
            self._write((*self.all(), fault))

    def clear(self, call: str | None = None) -> None:
        """Take out the lines of a call, or all: what hangs there goes on."""
        with self._world.locked():
            self._write(tuple(f for f in self.all() if call is not None and f.call != call))

    def take(self, point: Point) -> Fault | None:
        """The first fault that strikes here, counted."""
        if not self.there():
            return None
        with self._world.locked():
            table = list(self.all())
            for at, fault in enumerate(table):
                if fault.strikes(point):
                    table[at] = fault.model_copy(update={"taken": fault.taken + 1})
                    self._write(tuple(table))
                    return fault
        return None

    def _write(self, table: tuple[Fault, ...]) -> None:
        lines = [f.model_dump(mode="json", exclude_defaults=True) for f in table]
        write(self._path, json.dumps(lines, indent=1))


HANGING = 32
"""Calls that were given up and hang still, as many as the libvirt driver has threads to lose."""


class Gate:
    """The one way to every port of the fake. `call_timeout`: seconds a call may take when the caller has
    no earlier deadline. `exhausted` is set when HANGING calls hang."""

    def __init__(self, world: World, call_timeout: float, doubts: Doubts) -> None:
        self._world = world
        self._call_timeout = call_timeout
        self._late: set[asyncio.Task[Any]] = set()
        self._under_way: dict[UUID, set[Passage]] = {}
        self._ever_late = 0
        self.exhausted = asyncio.Event()
        self.doubts = doubts
        self.faults = Faults(world)

    async def run(self, call: str, instance: UUID | None, work: Callable[[], Awaitable[R]]) -> R:
        """Do the work between its faults. Raises what the faults say, Unavailable while the world is down."""
        with share("libvirt"):
            if not self.faults.there():
                return await self._straight(work)
            ends = time.monotonic() + deadline.remaining(self._call_timeout)
            return await self._run(call, instance, work, ends)

    async def _straight(self, work: Callable[[], Awaitable[R]]) -> R:
        """Without faults nothing hangs, so nothing need be given up."""
        await asyncio.sleep(0)  # others get their turn, as with every real call
        self._need_up()
        return await work()

    def _need_up(self) -> None:
        if self._world.down:
            raise errors.Unavailable("the fake hypervisor is down: its world has a file named `down`")

    async def _run(self, call: str, instance: UUID | None, work: Callable[[], Awaitable[R]], ends: float) -> R:
        if instance is None or call in READS or call == BESIDE:
            return await self._through(Passage(self.faults, call, instance, ends), work)
        passage = Passage(self.faults, call, instance, ends, asyncio.get_running_loop().create_future())
        with self.doubts.change(instance) as change:
            change.begin()
            self._under_way.setdefault(instance, set()).add(passage)
            doing = asyncio.ensure_future(self._through(passage, work))
            doing.add_done_callback(lambda _: change.end())
            doing.add_done_callback(lambda _: self._under_way[instance].discard(passage))
            return await self._outcome(call, doing, passage)

    def break_off(self, instance: UUID) -> bool:
        """End what hangs of an instance's calls, with an error; False when none is under way."""
        under_way = self._under_way.get(instance, set())
        for passage in under_way:
            passage.broken_off = True
        return bool(under_way)

    async def _through(self, passage: Passage, work: Callable[[], Awaitable[R]]) -> R:
        token = _passage.set(passage)
        try:
            await asyncio.sleep(0)  # as in `_straight`
            await _at("before")
            self._need_up()
            answer = await work()
            await _at("after")
        finally:
            _passage.reset(token)
        return answer

    async def _outcome(self, call: str, doing: asyncio.Task[R], passage: Passage) -> R:
        assert passage.given_up is not None  # noqa: S101 - `run` made it
        either: set[asyncio.Future[Any]] = {doing, passage.given_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            doing.cancel()
            await asyncio.wait({doing})
            raise
        if doing.done():
            return doing.result()
        self._late.add(doing)
        self._ever_late += 1
        if len(self._late) >= HANGING:
            self.exhausted.set()
        doing.add_done_callback(self._came_late)
        raise _timed_out(call)

    def given_up(self) -> GivenUp:
        return GivenUp(len(self._late), self._ever_late, HANGING)

    def _came_late(self, done: asyncio.Task[Any]) -> None:
        self._late.discard(done)
        if not done.cancelled():
            done.exception()  # for nobody


class Passage:
    """One call's way through its faults, to the time `ends`. With a future `given_up` that is set then, and the
    call goes on when it is released; without, it is over."""

    def __init__(
        self,
        faults: Faults,
        call: str,
        instance: UUID | None,
        ends: float,
        given_up: asyncio.Future[None] | None = None,
    ) -> None:
        self.given_up = given_up
        self.broken_off = False
        self._faults = faults
        self._call = call
        self._instance = instance
        self._ends = ends

    async def __call__(self, when: When) -> None:
        # The log's context says whose turn it is: the ports aren't told.
        method = structlog.contextvars.get_contextvars().get("method")
        fault = self._faults.take(Point(self._call, when, self._instance, method))
        if fault is None:
            return
        await self._wait(fault)
        if fault.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.error is not None:
            message = fault.message or f"{self._call} was told to fail ({when})"
            raise errors.BY_CODE[fault.error](message)

    async def _wait(self, fault: Fault) -> None:
        slow_until = time.monotonic() + fault.slow
        try:
            async with asyncio.timeout(max(0.0, self._ends - time.monotonic())):
                await self._released(fault, slow_until)
        except TimeoutError:
            if self.given_up is None:
                raise _timed_out(self._call) from None
            if not self.given_up.done():
                self.given_up.set_result(None)
            await self._released(fault, slow_until)

    async def _released(self, fault: Fault, slow_until: float) -> None:
        if (left := slow_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        while fault.hang and self._faults.has(fault):
            # Other processes take the line out: there is no event to wait for.
            if self.broken_off:
                raise errors.OperationFailed(f"{self._call}: the guest has ended")
            await asyncio.sleep(RELEASE_POLL)


def _timed_out(call: str) -> errors.TimedOut:
    return errors.TimedOut(f"{call} didn't answer in time: its outcome is unknown")


_passage: ContextVar[Callable[[When], Awaitable[None]] | None] = ContextVar("passage", default=None)


async def _at(when: When) -> None:
    if (passage := _passage.get()) is not None:
        await passage(when)


async def halfway() -> None:
    """Stands in the midst of a port's method: a part of the work is done."""
    await _at("half")


class Gated(Protocol):
    """A port of the fake: its name in the faults table, and its gate."""

    port: str
    gate: Gate


G = TypeVar("G", bound=Gated)


def gated(
    method: Callable[Concatenate[G, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[G, P], Coroutine[Any, Any, R]]:
    """Lets a method of a port pass the gate, as `<port>.<method>`."""

    name = method.__name__.removeprefix("_")

    @functools.wraps(method)
    async def through(self: G, /, *args: P.args, **kwargs: P.kwargs) -> R:
        call = f"{self.port}.{name}"
        work = functools.partial(method, self, *args, **kwargs)
        return await self.gate.run(call, _instance(args), work)

    return through


def _instance(args: tuple[Any, ...]) -> UUID | None:
    """Whom the call is about: a uuid, or what has one in it."""
    for arg in args:
        for value in (arg, getattr(arg, "uuid", None), getattr(getattr(arg, "spec", None), "uuid", None)):
            if isinstance(value, UUID):
                return value
    return None
