"""What a killed run left of its rig goes with the next run, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig import sweep

LONG_AGO = 3600.0


@pytest.fixture
def left(tmp_path: Path) -> Path:
    path = tmp_path / "rig-left"
    (path / "broker").mkdir(parents=True)
    (path / "broker" / "log").write_text("told")
    return aged(path)


def aged(path: Path) -> Path:
    then = path.stat().st_mtime - LONG_AGO
    os.utime(path, (then, then))
    return path


def test_what_was_left_behind_is_removed(left: Path) -> None:
    assert sweep(left.parent) == [left]
    assert not left.exists()


def test_what_is_new_stays(left: Path) -> None:
    new = left.with_name("rig-new")
    new.mkdir()
    assert sweep(left.parent) == [left]
    assert new.exists()


def test_what_has_another_name_stays(left: Path) -> None:
    kept = left.rename(left.with_name("chaos-kept"))
    assert sweep(kept.parent) == []
    assert kept.exists()


@pytest.mark.parametrize("how", ["named", "stood in", "held open", "in the environment"])
def test_what_a_process_uses_stays(left: Path, how: str) -> None:
    waits = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    held = (left / "broker" / "log").open()
    process = subprocess.Popen(
        [*waits, str(left / "broker")] if how == "named" else waits,
        cwd=left / "broker" if how == "stood in" else "/",
        env={**os.environ, "DATA": str(left)} if how == "in the environment" else None,
        pass_fds=[held.fileno()] if how == "held open" else [],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    held.close()
    assert process.stdout is not None
    process.stdout.readline()
    try:
        assert sweep(left.parent) == []
    finally:
        process.communicate()
    assert sweep(left.parent) == [left]
