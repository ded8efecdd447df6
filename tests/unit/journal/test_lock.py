from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.journal import StartRefused, StateDirLock

HOLDER = """
import sys
from pathlib import Path
from agent.journal import StateDirLock
StateDirLock(Path(sys.argv[1]), "elsewhere").acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_agent_stops_with_the_first_ones_pid(tmp_path: Path) -> None:
    with StateDirLock(tmp_path / "state", "host-1"):
        with pytest.raises(StartRefused, match=rf"pid {os.getpid()}, host host-1\) uses {tmp_path}/state"):
            StateDirLock(tmp_path / "state", "host-2").acquire()
    with StateDirLock(tmp_path / "state", "host-2"):
        assert (tmp_path / "state" / "lock").read_text() == f"{os.getpid()} host-2\n"


def test_a_killed_agents_lock_goes_with_it(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StartRefused, match=f"pid {child.pid}, host elsewhere"):
            StateDirLock(tmp_path).acquire()
        child.send_signal(signal.SIGKILL)
        child.wait()
    StateDirLock(tmp_path).acquire()


def test_other_state_directories_are_free(tmp_path: Path) -> None:
    with StateDirLock(tmp_path / "a"), StateDirLock(tmp_path / "b"):
        pass


def test_a_state_dir_is_made_for_the_agent_only(tmp_path: Path) -> None:
    with StateDirLock(tmp_path / "new" / "state"):
        assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700


def test_a_state_dir_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match="set another state_dir"):
        StateDirLock(tmp_path / "file").acquire()


def test_releasing_twice_is_harmless(tmp_path: Path) -> None:
    lock = StateDirLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()
