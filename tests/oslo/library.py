"""A process of oslo.messaging, as a test drives it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

PYTHON = os.environ.get("OSLO_PYTHON", sys.executable)
PROGRAM = Path(__file__).with_name("program.py")
LONGEST_LINE = 4 * 1024 * 1024


class Raised(Exception):
    """What the library raised at its caller. `exc_type`, `value` and `traceback` are those of a RemoteError."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['raised']}: {told['text']}")
        self.kind: str = told["raised"]
        self.text: str = told["text"]
        self.exc_type: str | None = told.get("exc_type")
        self.value: str | None = told.get("value")
        self.traceback: list[str] = told.get("traceback", [])
        self.details: dict[str, Any] | None = told.get("details")

    @property
    def error(self) -> dict[str, Any]:
        """The contract's own error, which rides along."""
        body: dict[str, Any] = json.loads(self.traceback[0])
        return body


class Oslo:
    """`options` are those of oslo_messaging_rabbit. `log` gets what the library writes."""

    def __init__(
        self,
        url: str,
        log: Path,
        *,
        exchange: str = "compute",
        topic: str = "compute",
        allowed: tuple[str, ...] = (),
        path: Path | None = None,
        **options: Any,
    ) -> None:
        # The library wants its driver's name, and takes the driver's options from the query.
        driver = url.replace("amqp://", "rabbit://", 1)
        self._begin = {
            "url": f"{driver}?{urlencode(options)}" if options else driver,
            "exchange": exchange,
            "allowed": list(allowed),
        }
        self.topic = topic
        self._log = log
        self._path = path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._more = asyncio.Event()
        self._stack = AsyncExitStack()
        self.notifications: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        log = self._stack.enter_context(self._log.open("ab"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # For the queue manager's file of numbers.
        environment["OSLO_LOCK_PATH"] = str(self._log.parent)
        if self._path is not None:
            environment["PYTHONPATH"] = str(self._path)
        self._process = await asyncio.create_subprocess_exec(
            PYTHON,
            str(PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
            limit=LONGEST_LINE,
            # The library's manager of queues looks up the leader of its process group, and that of who runs these
            # tests may be gone.
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read())
        await self._write(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        await self._process.wait()
        await self._reading
        await self._stack.aclose()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As a client dies: without a word."""
        if self._process.returncode is None:
            self._process.kill()

    async def killed(self) -> None:
        """The same; it is gone when this returns."""
        self.kill()
        await self._process.wait()

    async def call(self, method: str, args: dict[str, Any] | None = None, **how: Any) -> Any:
        """The result. Raises Raised. `how`: see `_asked`."""
        return await self.do("call", **self._asked(method, args, how))

    async def cast(self, method: str, args: dict[str, Any] | None = None, **how: Any) -> None:
        await self.do("cast", **self._asked(method, args, how))

    async def fail(self, method: str, args: dict[str, Any] | None = None, **how: Any) -> Raised:
        """What it raises."""
        try:
            result = await self.call(method, args, **how)
        except Raised as raised:
            return raised
        raise AssertionError(f"{method} gave {result!r}")

    async def do(self, what: str, **details: Any) -> Any:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._write({"id": number, "do": what, **details})
        told = await asyncio.wait_for(future, 240)
        if "raised" in told:
            raise Raised(told)
        return told.get("result")

    async def notified(self, event_type: str, timeout: float = 60.0, **payload: Any) -> dict[str, Any]:
        """The first notification of that type with these values in its payload; waits for it."""
        async with asyncio.timeout(timeout):
            while True:
                self._more.clear()
                for told in self.notifications:
                    if told["event_type"] == event_type and payload.items() <= told["payload"].items():
                        return told
                await self._more.wait()

    def _asked(self, method: str, args: dict[str, Any] | None, how: dict[str, Any]) -> dict[str, Any]:
        """`ctxt`; timeout and call_monitor_timeout in seconds, version_cap, retry are options of the client; all
        else says where to: server, fanout, version, namespace."""
        names = ("timeout", "call_monitor_timeout", "retry")
        options = {name: how.pop(name) for name in names if name in how}
        ctxt = how.pop("ctxt", {})
        more = {"at_least_once": True} if how.pop("at_least_once", False) else {}
        target = {"topic": self.topic, **how}
        return {"method": method, "args": args or {}, "target": target, "ctxt": ctxt, "options": options, **more}

    async def _write(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "id" in told:
                self._waiting.pop(told["id"]).set_result(told)
            else:
                self.notifications += [told["notification"]] if "notification" in told else []
                self.asked += [told["asked"]] if "asked" in told else []
                self._more.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"raised": "Died", "text": f"the library's process has ended, see {self._log}"})
