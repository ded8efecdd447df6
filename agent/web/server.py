"""Shows the agent's health on a unix socket in the state directory, to the agent's user and root.

It is there to look at the agent and must never harm it: a socket that can't be made is a warning, and one that an
earlier run left is replaced (the state directory is locked by then, so nobody else's is). It listens at once, and
who asks waits until the pages are loaded: an HTTP server takes as long to load as much of the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType

import structlog

from agent.health import Health

log = structlog.get_logger(__name__)


async def _at_once() -> None:
    pass


class HealthServer:
    """One for the agent; `look` makes a page's Health, judged."""

    def __init__(
        self,
        path: Path,
        look: Callable[[], Awaitable[Health]],
        *,
        first: Callable[[], Awaitable[None]] = _at_once,
        on_loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """`first` is awaited before the pages are loaded."""
        self._path = path
        self._look = look
        self._first = first
        self._on_loaded = on_loaded

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        try:
            with listening(self._path) as listener:
                await self._first()
                pages = await asyncio.to_thread(_pages)
                self._on_loaded()
                await pages.serve(listener, self._look)
        except OSError as error:
            log.warning("health.no_socket", path=str(self._path), error=str(error))
            await asyncio.Event().wait()


def _pages() -> ModuleType:
    from agent.web import pages

    return pages


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
                listener.listen()
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
