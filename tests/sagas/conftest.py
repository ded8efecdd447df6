"""Some thousand journals are written here, and each write waits for the disk: memory is a disk too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sagas.trial import Stage

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    path = Path(tempfile.mkdtemp(prefix="saga-", dir=MEMORY if MEMORY.is_dir() else None))
    yield Stage(path)
    shutil.rmtree(path)
