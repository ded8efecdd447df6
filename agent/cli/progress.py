"""A bar on standard error while a command waits for its answer; nothing where no terminal is.

The agent tells how far an operation is by ephemeral `compute.operation.progress` events, for the instance it is
about. Until the first one, and for operations that tell nothing, there is a spinner.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

from agent.cli.ports import Client
from agent.rpc.schema.events import CloudEvent

T = TypeVar("T")
PROGRESS = "compute.operation.progress"
Show = Callable[[str, float | None], None]


async def watched(client: Client, instance: UUID | None, label: str, work: Awaitable[T]) -> T:
    """`work`'s result, with a bar while it goes on."""
    if not sys.stderr.isatty():
        return await work
    async with _events(client, instance) as events:
        with _bar(label) as show:
            following = asyncio.ensure_future(follow(events, show))
            try:
                return await work
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


async def follow(events: AsyncIterator[CloudEvent], show: Show) -> None:
    """Show what the progress events among `events` tell."""
    async for event in events:
        told = said(event)
        if told is not None:
            show(*told)


def said(event: CloudEvent) -> tuple[str, float | None] | None:
    """What is being done, and how far it is, 0.0 to 1.0. None for another event."""
    if event.type != PROGRESS:
        return None
    fraction = event.data.get("progress")
    ok = isinstance(fraction, (int, float)) and 0 <= fraction <= 1
    return str(event.data.get("doing") or ""), float(fraction) if ok and fraction is not None else None


@asynccontextmanager
async def _events(client: Client, instance: UUID | None) -> AsyncIterator[AsyncIterator[CloudEvent]]:
    if instance is None:
        yield _none()
    else:
        async with client.events(instance=instance) as events:
            yield events


async def _none() -> AsyncIterator[CloudEvent]:
    return
    yield


class _bar:  # noqa: N801 - used as a context manager, like a function
    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._label = label
        self._task = self._progress.add_task(label, total=None)

    def __enter__(self) -> Show:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, doing: str, fraction: float | None) -> None:
        description = f"{self._label}: {doing}" if doing else self._label
        if fraction is None:
            self._progress.update(self._task, description=description)
        else:
            self._progress.update(self._task, description=description, total=1.0, completed=fraction)
