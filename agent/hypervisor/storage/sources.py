"""Where an image comes from: a file of this host. (`download` is the other source, http.)

Both give a `Stream`, so that whatever reads one needn't know which it is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from agent.errors import InvalidRequest, NotFound, Unavailable
from agent.hypervisor.storage.blocking import look
from agent.hypervisor.storage.paths import AllowedPaths

CHUNK = 1024 * 1024
READ_S = 30.0
"""Seconds that one chunk of a file may take."""
REMOTE = ("http:", "https:")


@dataclass(frozen=True, slots=True)
class Stream:
    """An image on its way. `version` tells this content from later content at the same place, None when the
    source doesn't say; `size` in bytes, None when it isn't known beforehand."""

    version: str | None
    size: int | None
    chunks: AsyncGenerator[bytes, None]


class Source(Protocol):
    def open(self) -> AbstractAsyncContextManager[Stream]:
        """Raises InvalidRequest, NotFound, Unavailable; Interrupted when it is worth another try."""
        ...


class Interrupted(Exception):
    """A source failed in a way that may pass. Its text is fit for a caller: no URL, no credentials."""


def is_remote(url: str) -> bool:
    return url.lower().startswith(REMOTE)


def local_path(url: str, field: str) -> Path:
    """The path in `file:///path` or `/path`. Raises InvalidRequest."""
    if url.startswith("/"):
        return Path(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidRequest.field(field, "not a URL", "use http, https, file or a path") from None
    if parts.scheme != "file":
        raise InvalidRequest.field(
            field, f"unknown kind of URL: {parts.scheme or 'none'}", "use http, https, file or a path"
        )
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise InvalidRequest.field(field, "a file of another host", "use file:///path")
    return Path(unquote(parts.path))


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An image in one of the allowed directories."""

    url: str
    allowed: AllowedPaths
    field: str = "image.url"

    def check(self) -> None:
        """Whether it is there. Blocking. Raises InvalidRequest."""
        path = self._path()
        try:
            mode = path.stat().st_mode
        except OSError as error:
            problem = (error.strerror or "unreadable").lower()
            raise InvalidRequest.field(self.field, problem, "name an image on this host") from None
        self._must_be_regular(mode)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stream]:
        path = await look(self._path, "looking at the image", local_path(self.url, self.field))
        file = await look(lambda: _opened(path), "opening the image", path)
        try:
            status = await look(lambda: os.fstat(file.fileno()), "looking at the image", path)
            self._must_be_regular(status.st_mode)
            version = _version(path, status)
            yield Stream(version, status.st_size, chunks(path, file, version))
        finally:
            file.close()

    def _path(self) -> Path:
        return self.allowed.resolve(local_path(self.url, self.field), self.field)

    def _must_be_regular(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise InvalidRequest.field(self.field, "not a regular file", "name an image file")


async def chunks(path: Path, file: FileIO, version: str) -> AsyncGenerator[bytes, None]:
    """What an open file holds. Each read is a look: an image may lie on a file system of the network, and the
    threads that all share for this host's own disk aren't to hang there. Raises Unavailable."""
    while chunk := await look(lambda: file.read(CHUNK), "reading the image", path, seconds=READ_S):
        yield chunk
    if _version(path, await look(lambda: os.fstat(file.fileno()), "looking at the image", path)) != version:
        raise Unavailable("the image was changed while it was read")


def _opened(path: Path) -> FileIO:
    try:
        # O_NONBLOCK: if somebody puts a pipe in its place meanwhile, this must not wait for a writer.
        return FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    except FileNotFoundError:
        raise NotFound(f"no image at {path}") from None
    except OSError as error:
        raise Unavailable(f"the image at {path} can't be read: {error.strerror}") from None


def _version(path: Path, at: os.stat_result) -> str:
    # The time of the inode's last change can't be set back, as that of the content can.
    return f"{path} {at.st_dev} {at.st_ino} {at.st_size} {at.st_mtime_ns} {at.st_ctime_ns}"
