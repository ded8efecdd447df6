"""The clock that jumps: for one process, while it runs, and only the time of day."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.clock import Clock

TELLS = "import sys, time, datetime\nfor _ in sys.stdin: print({}, flush=True)"
TIMES = {
    "time": "time.time()",
    "datetime": "datetime.datetime.now(datetime.UTC).timestamp()",
    "monotonic": "time.monotonic()",
}


class Other:
    """A process that tells its time when it is asked."""

    def __init__(self, clock: Clock, which: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", TELLS.format(TIMES[which])],
            env={**os.environ, **clock.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture(params=["time", "datetime"])
def other(clock: Clock, request: pytest.FixtureRequest) -> Iterator[Other]:
    process = Other(clock, request.param)
    yield process
    process.end()


@pytest.mark.parametrize("ahead", [3600.0, -86400.0])
def test_a_running_process_sees_the_jump_and_its_end(clock: Clock, other: Other, ahead: float) -> None:
    assert other.tell() == pytest.approx(time.time(), abs=30)
    clock.set(ahead)
    assert other.tell() == pytest.approx(time.time() + ahead, abs=30)
    clock.set(0.0)
    assert other.tell() == pytest.approx(time.time(), abs=30)


def test_durations_dont_jump(clock: Clock) -> None:
    process = Other(clock, "monotonic")
    clock.set(3600.0)
    assert process.tell() == pytest.approx(time.monotonic(), abs=30)
    process.end()


def test_how_far_it_was_off_is_kept_until_it_is_forgotten(clock: Clock) -> None:
    clock.set(60.0)
    clock.set(-60.0)
    assert (clock.low, clock.high) == (-60.0, 60.0)
    clock.forget()
    assert (clock.low, clock.high) == (-60.0, -60.0)
