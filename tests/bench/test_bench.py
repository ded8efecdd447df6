"""Benches run and measure something, in small: nobody would notice a broken one before a figure is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.table import BENCHES

ROOT = Path(__file__).parents[2]


def measured(tmp_path: Path, *names: str) -> dict[str, Any]:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench", *names, "--repeat", "2", "--part", "0.02", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    benches: dict[str, Any] = json.loads(file.read_text())["benches"]
    for name in names:
        assert name in done.stdout
    return benches


LONG = {"soak", "recovery", "frozen-guest", "frozen-libvirtd"}
"""They take minutes however little is asked; the soak has tests of its own."""


@pytest.mark.parametrize(
    "names",
    [sorted(BENCHES.keys() - LONG), pytest.param(sorted(LONG), marks=[pytest.mark.slow])],
    ids=["short", "long"],
)
@pytest.mark.timeout(1800)
def test_every_bench_measures_something_in_each_repetition(tmp_path: Path, names: list[str]) -> None:
    benches = measured(tmp_path, *names)
    assert sorted(benches) == names
    for figures in benches.values():
        assert all(value >= 0 for figure in figures for value in figure["repetitions"])
        assert any(value > 0 for figure in figures for value in figure["repetitions"])


def test_a_bench_that_isnt_there_is_refused_with_those_that_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "casts" in done.stderr


def test_the_shares_of_a_spawn_are_parts_of_what_the_caller_waits_for(tmp_path: Path) -> None:
    figures = {figure["name"]: figure["median"] for figure in measured(tmp_path, "spawn-share")["spawn-share"]}
    waits = figures["the caller waits, p50"]
    own = figures["of that, own, p50"]
    journal = figures["of own, waiting for the journal's disk, p50"]
    assert 0 < journal <= own <= waits
    assert figures["of the turn, hypervisor, p50"] > 0


@pytest.mark.parametrize("name", ["cli-start"])
def test_a_ratio_is_that_of_the_figures_beside_it(tmp_path: Path, name: str) -> None:
    ours, floor, ratio = measured(tmp_path, name)[name]
    assert ratio["repetitions"] == pytest.approx(
        [a / b for a, b in zip(ours["repetitions"], floor["repetitions"], strict=True)]
    )
