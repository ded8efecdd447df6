"""Images read from file systems that hang: only who reads there waits, and not for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from agent import deadline
from agent.errors import Unavailable
from agent.hypervisor.storage.blocking import in_thread
from agent.hypervisor.storage.sources import chunks

MANY = 40
"""More than the threads that all share for this host's own disk, whatever the number of processors."""
PATIENCE_S = 10.0


@pytest.fixture
def silent() -> Iterator[FileIO]:
    """A file whose reads don't return: a pipe into which nobody writes."""
    end, other = os.pipe()
    file = FileIO(end)
    yield file
    os.close(other)  # what reads still, reads its end
    file.close()


async def read(file: FileIO) -> None:
    async for _ in chunks(Path("image"), file, "version"):
        pass


async def test_images_that_cant_be_read_keep_nobody_else_from_the_disk(silent: FileIO) -> None:
    readers = [asyncio.create_task(read(silent)) for _ in range(MANY)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(in_thread(lambda: "done"), PATIENCE_S) == "done"
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers, timeout=PATIENCE_S)
    assert all(reader.cancelled() for reader in readers)


async def test_an_image_that_cant_be_read_is_given_up_at_the_deadline(silent: FileIO) -> None:
    with deadline.within(0.1), pytest.raises(Unavailable, match="reading the image: its disk doesn't answer"):
        await asyncio.wait_for(read(silent), PATIENCE_S)
