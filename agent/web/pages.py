"""The pages of the agent's health: an HTTP server on a socket that listens already.

GET /healthz   200, or 503 when only a restart helps: status and problems
GET /readyz    200, or 503 when commands can't be taken or done: status and problems
GET /health    200: everything
GET /metrics   200: the same for Prometheus
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.health import Health
from agent.web.metrics import CONTENT_TYPE, exposition

_LEAVE_S = 1.0
"""Seconds that pages under way have to end when the agent stops."""


async def serve(listener: socket.socket, look: Callable[[], Awaitable[Health]]) -> None:
    """Until it is cancelled. `look` makes a page's Health, judged."""
    runner = web.AppRunner(_Pages(look).app(), access_log=None, shutdown_timeout=_LEAVE_S)
    await runner.setup()
    try:
        assert runner.server is not None  # noqa: S101 - it was set up
        server = await asyncio.get_running_loop().create_unix_server(runner.server, sock=listener)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
    finally:
        await runner.cleanup()


class _Pages:
    def __init__(self, look: Callable[[], Awaitable[Health]]) -> None:
        self._look = look

    def app(self) -> web.Application:
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
