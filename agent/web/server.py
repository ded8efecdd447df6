"""Serves the agent's health on a unix socket in the state directory, to the agent's user and root.

    GET /healthz   200, or 503 when only a restart helps: status and problems
    GET /readyz    200, or 503 when commands can't be taken or done: status and problems
    GET /health    200: everything
    GET /metrics   200: the same for Prometheus

It is there to look at the agent and must never harm it: a socket that can't be made is a warning, and one that an
earlier run left is replaced (the state directory is locked by then, so nobody else's is).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import structlog
from aiohttp import web

from agent.health import Health
from agent.web.metrics import CONTENT_TYPE, exposition

log = structlog.get_logger(__name__)

_LEAVE_S = 1.0
"""Seconds that pages under way have to end when the agent stops."""


class HealthServer:
    """One for the agent; `look` makes a page's Health, judged. `run` goes on until it is cancelled; `settled` is
    set once the pages are served, or can't be."""

    def __init__(
        self, path: Path, look: Callable[[], Awaitable[Health]], settled: asyncio.Event | None = None
    ) -> None:
        self._path = path
        self._look = look
        self._settled = settled or asyncio.Event()

    async def run(self) -> None:
        try:
            async with self._serving():
                self._settled.set()
                await asyncio.Event().wait()
        except OSError as error:
            log.warning("health.no_socket", path=str(self._path), error=str(error))
            self._settled.set()
            await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_LEAVE_S)
        await runner.setup()
        try:
            with listening(self._path) as listener:
                assert runner.server is not None  # noqa: S101 - it was set up
                server = await asyncio.get_running_loop().create_unix_server(runner.server, sock=listener)
                log.info("health.served", path=str(self._path))
                try:
                    yield
                finally:
                    server.close()
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        health = await self._look()
        return _verdict(health, health.healthy)

    async def _readyz(self, _: web.Request) -> web.Response:
        health = await self._look()
        return _verdict(health, health.ready)

    async def _health(self, _: web.Request) -> web.Response:
        return _json((await self._look()).model_dump_json(), 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=exposition(await self._look()), headers={"Content-Type": CONTENT_TYPE})


def _verdict(health: Health, good: bool) -> web.Response:
    return _json(health.model_dump_json(include={"host", "observed_at", "problems"}), 200 if good else 503)


def _json(text: str, status: int) -> web.Response:
    return web.Response(text=text + "\n", status=status, content_type="application/json")


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that its owner alone may use, at `path` as long as this lasts. Raises OSError."""
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # Before it is bound: it gets this mode with its name, so it never has another.
        os.fchmod(listener.fileno(), 0o600)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            # A socket's address holds 107 bytes, less than a path may have.
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
            try:
                listener.setblocking(False)
                yield listener
            finally:
                path.unlink(missing_ok=True)
        finally:
            os.close(directory)


def _remove_stale(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is there and is no socket")
        path.unlink()
