"""Waiting for tasks that may ignore a cancellation, or be cancelled by somebody else.

The AMQP library does both: it swallows a cancellation now and then while it closes something, and a dying
connection cancels whoever waits on it. Whoever calls it does so in a task of its own, and ends that task here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CUT = "the connection broke off while the broker was asked for something"
"""What a cancellation means that nobody of ours has asked for."""

_AGAIN_S = 1.0


class Lost(ConnectionError):
    """The connection or something a session can't do without is gone; its text says what."""


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel, again and again, and wait until all have ended, however they do. Who is cancelled meanwhile still
    waits for them: a task that nobody waits for any more is nobody's."""
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_AGAIN_S)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: nobody else asks
    if cancelled is not None:
        raise cancelled


async def guarded(work: Awaitable[T], timeout: float | None = None) -> T:
    """The result of `work`. Raises TimeoutError after `timeout` seconds, Lost when something else cancelled it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            raise TimeoutError(f"no answer within {timeout:g} s")
        if task.cancelled():
            raise Lost(CUT)
        return task.result()
    finally:
        await end(task)


async def started(running: asyncio.Task[None], ready: Coroutine[Any, Any, Any], timeout: float = 30.0) -> None:
    """Wait until `ready` has ended. Raises what `running` ends with before that; TimeoutError, in seconds."""
    waiting = asyncio.ensure_future(ready)
    try:
        await asyncio.wait({running, waiting}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if not waiting.done():
            raise TimeoutError(f"not ready after {timeout:g} s")
    finally:
        await end(waiting)


async def either(event: asyncio.Event, timeout: float | None) -> None:
    """Until the event, or `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; the others are cancelled and waited for. Raises what the first one raised, Lost
    when something else cancelled it."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.cancelled():
                raise Lost(CUT)
            task.result()
    finally:
        await end(*tasks)
