"""Chaos as a test: a short one for the core tier, longer ones beside it. `scripts/chaos` is for a night's run."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import parse, trial


def holds(driver: str, rounds: int, seed: int) -> bool:
    return trial(parse(["--driver", driver, "--rounds", str(rounds), "--seed", str(seed)]))


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
