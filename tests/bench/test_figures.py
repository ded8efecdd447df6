"""Figures: what is made of repetitions, and that a program can read them."""

from __future__ import annotations

import inspect
import json

import pytest

from tests.bench.figures import Figure, document, percentile, ratio, shown, table
from tests.bench.table import BENCHES


def test_a_ratio_is_taken_within_each_repetition() -> None:
    slow, fast = Figure("slow", "ms", (10.0, 40.0, 30.0)), Figure("fast", "ms", (5.0, 20.0, 10.0))
    assert ratio("slow / fast", slow, fast).values == (2.0, 2.0, 3.0)


def test_sides_that_were_repeated_unequally_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio("x", Figure("a", "ms", (1.0,)), Figure("b", "ms", (1.0, 2.0)))


@pytest.mark.parametrize(("part", "value"), [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(part: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], part) == value


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (100.4, "100"), (12.345, "12.3"), (0.01234, "0.0123"), (0.0, "0")]
)
def test_a_figure_is_shown_with_the_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_table_has_a_row_for_each_figure_with_its_unit() -> None:
    made = table("casts", "says", [Figure("a", "ms", (1.0, 2.0)), Figure("b", "casts/s", (3.0,))])
    assert made.row_count == 2
    assert list(made.columns[1].cells) == ["ms", "casts/s"]


def test_the_json_has_every_repetition_its_spread_and_the_machine() -> None:
    told = json.loads(document({"casts": [Figure("done", "casts/s", (3.0, 1.0, 2.0))]}))
    (figure,) = told["benches"]["casts"]
    assert figure["repetitions"] == [3.0, 1.0, 2.0]
    assert (figure["min"], figure["median"], figure["max"]) == (1.0, 2.0, 3.0)
    assert told["machine"]["cores"] >= 1


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_says_what_it_measures(name: str) -> None:
    assert inspect.getdoc(BENCHES[name])
