"""One copy of each image on this host, whoever asks for it, however many at once.

    asked ──> in the store? ──yes──────────────────────────────> in use
                  │ no                                             ^
                  v                                                │
              a flight, shared by all who ask meanwhile            │
              open ─> receive ─> checksum ─> inspect ─> publish ───┘
                  │
                  └── any failure, or nobody waits any more ──> what came is discarded

`disks` asks, for `fetch` and again for each overlay. An image is inspected in its flight and never again:
what is in the store is sound. Its name says what it must be: the checksum, or what the source calls this
version of it, and always the declared format, because a verdict holds for that one only.

A flight belongs to nobody's request: a caller who is cancelled leaves it to the others, and the last one to
leave ends it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from pathlib import Path

import stamina

from agent import telemetry
from agent.deadline import remaining
from agent.errors import InvalidRequest, Unavailable
from agent.hypervisor.ports import Progress
from agent.hypervisor.storage import qemu_img
from agent.hypervisor.storage.blocking import in_thread, settled
from agent.hypervisor.storage.capacity import require_room
from agent.hypervisor.storage.faults import faults_as_errors
from agent.hypervisor.storage.inspection import inspect
from agent.hypervisor.storage.paths import AllowedPaths, shown
from agent.hypervisor.storage.receiving import Receiving, too_large
from agent.hypervisor.storage.sources import Interrupted, LocalFile, Source, Stream, is_remote
from agent.hypervisor.storage.store import About, CachedImage, Store, victims
from agent.hypervisor.storage.web import Web
from agent.spec import DiskFormat, ImageSource

FETCHING = "fetch image"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the cache may take, and how patient a fetch is. Bytes and seconds."""

    max_bytes: int = 50 * 1024**3
    max_idle_s: float = 30 * 24 * 3600
    max_image_bytes: int = 100 * 1024**3
    reserve: int = 1024**3
    fetch_s: float = 3600
    attempts: int = 4
    retry_wait_s: float = 0.5


@dataclass(eq=False, slots=True)
class Flight:
    """A fetch under way, and who waits for it."""

    task: asyncio.Task[str]
    watchers: list[Progress] = field(default_factory=list)


class Images:
    """The image cache. One for each state directory."""

    def __init__(self, store: Store, allowed: AllowedPaths, web: Web, bounds: Bounds) -> None:
        self._store = store
        self._allowed = allowed
        self._web = web
        self._bounds = bounds
        self._flights: dict[ImageSource, Flight] = {}
        self._leases: Counter[str] = Counter()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def use(self, image: ImageSource, progress: Progress) -> AsyncIterator[CachedImage]:
        """The image, in the store and safe from eviction while inside.

        Raises InvalidRequest, NotFound, NoCapacity, Unavailable.
        """
        cached = await self._lease(image, progress)
        try:
            yield cached
        finally:
            self._leases -= Counter({cached.name: 1})  # keeps counts above zero only

    async def hold(self, image: CachedImage, instance_dir: Path, disk_id: str) -> None:
        """Keep an image for as long as the instance's directory is there. Call it inside `use`, before the
        disk that is based on it is made."""
        with faults_as_errors("noting the disk's image"):
            await in_thread(self._store.hold, instance_dir, disk_id, image)

    async def evict(self, coming: int = 0) -> list[str]:
        """Remove what is unused too long or too much, with `coming` bytes on their way; returns the names."""
        bounds = self._bounds
        async with self._lock:
            with faults_as_errors("looking through the image cache"):
                kept = await in_thread(self._store.kept)
                names = victims(
                    [replace(image, in_use=image.in_use or image.name in self._leases) for image in kept],
                    now=time.time(),
                    max_bytes=bounds.max_bytes,
                    max_idle_s=bounds.max_idle_s,
                    coming=coming,
                )
                for name in names:
                    await in_thread(self._store.remove, name)
        return names

    async def close(self) -> None:
        """End all flights."""
        for flight in list(self._flights.values()):
            flight.task.cancel()
            await asyncio.wait({flight.task})

    async def _lease(self, image: ImageSource, progress: Progress) -> CachedImage:
        # Between a flight's end and the lease an eviction may come: then once more.
        for _ in range(3):
            name = await self._in_store(image, progress)
            async with self._lock:
                with faults_as_errors("reading the image cache"):
                    cached = await in_thread(self._store.find, name)
                if cached is not None:
                    self._leases[name] += 1
                    return cached
        raise Unavailable("the image was removed from the cache while it was fetched")

    async def _in_store(self, image: ImageSource, progress: Progress) -> str:
        name = _name_by_checksum(image)
        if name is not None:
            with faults_as_errors("reading the image cache"):
                if await in_thread(self._store.find, name) is not None:
                    return name
        with telemetry.share("download"):
            return await self._board(image, progress)

    async def _board(self, image: ImageSource, progress: Progress) -> str:
        """Join the flight of this image, or begin it."""
        flight = self._flights.get(image)
        if flight is None or flight.task.done():
            # A context of its own: it isn't bound by the first asker's deadline, nor counted as his.
            task = asyncio.get_running_loop().create_task(self._fly(image), context=Context())
            flight = self._flights[image] = Flight(task)
        flight.watchers.append(progress)
        try:
            async with asyncio.timeout(remaining(self._bounds.fetch_s)):
                await asyncio.wait({flight.task})
        except TimeoutError:
            raise Unavailable(f"{shown(image.url)} wasn't there in time") from None
        finally:
            flight.watchers.remove(progress)
            if not flight.watchers:
                await self._land(image, flight)
        if flight.task.cancelled():
            raise Unavailable("the agent is stopping")
        return flight.task.result()

    async def _land(self, image: ImageSource, flight: Flight) -> None:
        if self._flights.get(image) is flight:
            del self._flights[image]
        flight.task.cancel()
        await settled(asyncio.ensure_future(asyncio.wait({flight.task})))
        if not flight.task.cancelled():
            flight.task.exception()  # seen, though nobody may be left to be told

    async def _fly(self, image: ImageSource) -> str:
        retrying = stamina.retry_context(
            on=Interrupted,
            attempts=self._bounds.attempts,
            timeout=None,
            wait_initial=self._bounds.retry_wait_s,
            wait_jitter=self._bounds.retry_wait_s,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    return await self._try(image)
        except Interrupted as error:
            raise Unavailable(str(error)) from None
        raise AssertionError("stamina either returns or raises")

    async def _try(self, image: ImageSource) -> str:
        async with self._source(image).open() as stream:
            name = _name_by_checksum(image) or _name_by_version(image, stream)
            with faults_as_errors("fetching the image"):
                if await in_thread(self._store.find, name) is not None:
                    return name
                await self._make_room(stream)
                part = await in_thread(self._store.begin)
                try:
                    await self._receive(image, stream, part / "disk")
                    about = await _inspected(image, part / "disk")
                    await in_thread(self._store.publish, part, name, about)
                finally:
                    await in_thread(self._store.discard, part)
        return name

    def _source(self, image: ImageSource) -> Source:
        if is_remote(image.url):
            # An agent starts without an HTTP client: what is left unfinished goes on a third of a second sooner.
            from agent.hypervisor.storage.download import Download

            return Download(image.url, self._web, sealed=image.checksum is None)
        return LocalFile(image.url, self._allowed)

    async def _make_room(self, stream: Stream) -> None:
        size = stream.size or 0
        if size > self._bounds.max_image_bytes:
            raise too_large(self._bounds.max_image_bytes)
        await self.evict(size)
        await in_thread(require_room, self._store.directory, size, self._bounds.reserve)

    async def _receive(self, image: ImageSource, stream: Stream, path: Path) -> None:
        algorithm, _, wanted = (image.checksum or "").partition(":")
        receiving = await in_thread(Receiving, path, algorithm or None, self._bounds.max_image_bytes)
        try:
            async with aclosing(stream.chunks) as chunks:
                async for chunk in chunks:
                    await in_thread(receiving.write, chunk)
                    self._tell(image, receiving.size, stream.size)
            digest = await in_thread(receiving.finish)
        finally:
            receiving.close()
        if digest is not None and not hmac.compare_digest(digest, wanted):
            raise InvalidRequest.field(
                "image.checksum", f"the image's {algorithm} is {digest}", "send the right one, or mend the image"
            )

    def _tell(self, image: ImageSource, got: int, size: int | None) -> None:
        flight = self._flights.get(image)
        if flight is None or not size:
            return
        for watcher in flight.watchers:
            watcher(FETCHING, min(1.0, got / size))


def _name_by_checksum(image: ImageSource) -> str | None:
    if image.checksum is None:
        return None
    return f"{image.checksum.replace(':', '-')}.{image.format}"


def _name_by_version(image: ImageSource, stream: Stream) -> str:
    if stream.version is None:
        raise InvalidRequest.field(
            "image.checksum", "missing, and the server names no version (ETag, Last-Modified)", "give a checksum"
        )
    digest = hashlib.sha256(f"{image.url}\n{stream.version}".encode()).hexdigest()
    return f"version-{digest}.{image.format}"


async def _inspected(image: ImageSource, path: Path) -> About:
    virtual_size = await in_thread(inspect, path, image.format, "image.format")
    if image.format is DiskFormat.QCOW2:
        await qemu_img.check(path, "image.url")
    return About(virtual_size, image.format, shown(image.url))
