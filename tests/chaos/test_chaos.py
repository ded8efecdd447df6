"""Chaos as a test: a short one for the core tier, longer ones beside it. `scripts/chaos` is for a night's run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def holds(driver: str, rounds: int, seed: int) -> bool:
    asked = ["--driver", driver, "--rounds", str(rounds), "--seed", str(seed), "--quiet"]
    return subprocess.run([sys.executable, "-m", "tests.chaos", *asked], cwd=ROOT, check=False).returncode == 0


def test_promises_hold_through_a_few_accidents() -> None:
    assert holds("fake", rounds=2, seed=7)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_promises_hold_through_many_accidents() -> None:
    assert holds("fake", rounds=25, seed=11)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_promises_hold_with_real_guests() -> None:
    assert holds("libvirt", rounds=12, seed=13)
