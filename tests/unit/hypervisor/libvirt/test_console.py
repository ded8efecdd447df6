"""The tail of a console log, across the files virtlogd rotates it to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import Unsupported
from agent.hypervisor.libvirt.console import prepare, tail

NOBODY = 65534


@pytest.fixture
def log() -> Iterator[Path]:
    """In a directory that every user gets through to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="console-") as directory:
        Path(directory).chmod(0o777)
        yield Path(directory) / "console.log"


def rotated(log: Path, *texts: bytes) -> None:
    """The newest first."""
    for number, text in enumerate(texts):
        log.with_name(f"{log.name}.{number}").write_bytes(text)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read anything; the agent isn't root. To any other user a file without rights is closed already."""
    if os.geteuid() != 0:
        yield
        return
    own = os.getresuid()
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(*own)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, b""), (3, b"hij"), (4, b"ghij"), (6, b"efghij"), (10, b"abcdefghij"), (99, b"abcdefghij")],
)
def test_the_last_bytes_are_stitched_from_as_many_files_as_it_takes(log: Path, size: int, expected: bytes) -> None:
    log.write_bytes(b"ghij")
    rotated(log, b"def", b"abc")
    assert tail(log, size) == expected


def test_a_log_that_was_never_begun_is_empty(log: Path) -> None:
    assert tail(log, 100) == b""


def test_a_log_just_rotated_still_has_its_past(log: Path) -> None:
    rotated(log, b"before")
    assert tail(log, 100) == b"before"


def test_files_of_an_earlier_rotation_behind_a_gap_are_not_read(log: Path) -> None:
    log.write_bytes(b"new")
    log.with_name("console.log.1").write_bytes(b"lost its neighbour")
    assert tail(log, 100) == b"new"


def test_preparing_makes_a_log_for_the_agent_alone_and_keeps_what_is_there(log: Path) -> None:
    prepare(log)
    assert (log.stat().st_mode & 0o777, log.read_bytes()) == (0o600, b"")
    log.write_bytes(b"said")
    prepare(log)
    assert log.read_bytes() == b"said"


def test_a_log_that_virtlogd_made_steps_aside_at_the_next_start(log: Path) -> None:
    log.write_bytes(b"root's")
    log.chmod(0o000)
    with as_nobody():
        prepare(log)
        log.write_bytes(b"ours")
        assert tail(log, 100) == b"ours"
    aside = log.with_name("console.log.0")
    aside.chmod(0o600)
    assert aside.read_bytes() == b"root's"


def test_a_log_that_only_root_may_read_is_unsupported_with_the_mend(log: Path) -> None:
    log.write_bytes(b"root's")
    log.chmod(0o000)
    with as_nobody(), pytest.raises(Unsupported, match="max_size = 0"):
        tail(log, 100)


def test_what_can_be_read_is_told_even_when_the_newest_cant(log: Path) -> None:
    log.write_bytes(b"root's")
    log.chmod(0o000)
    rotated(log, b"ours")
    log.with_name("console.log.0").chmod(0o644)
    with as_nobody():
        assert tail(log, 100) == b"ours"
