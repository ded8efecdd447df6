"""Chaos as a test: a short one for the core tier, longer ones beside it. `scripts/chaos` is for a night's run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def holds(*asked: str) -> bool:
    command = [sys.executable, "-m", "tests.chaos", "--quiet", *asked]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


@pytest.mark.timeout(900)
def test_promises_hold_through_a_few_accidents() -> None:
    assert holds("--rounds", "3", "--seed", "7")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_promises_hold_through_many_accidents() -> None:
    assert holds("--rounds", "30", "--seed", "11")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("accident", ["libvirtd", "qemu", "clock", "disk full"])
def test_promises_hold_through_one_kind_of_accident_again_and_again(accident: str) -> None:
    assert holds("--rounds", "8", "--seed", "13", "--only", accident)
