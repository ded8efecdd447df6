"""Repetitions of one number, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """`values` are the repetitions in their order; figures of one bench have equally many, or one."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def as_json(self) -> dict[str, Any]:
        spread = {"min": min(self.values), "median": self.median, "max": max(self.values)}
        return {"name": self.name, "unit": self.unit, **spread, "repetitions": list(self.values)}


def ratio(name: str, of: Figure, to: Figure) -> Figure:
    """Taken within each repetition: what disturbs one of them disturbs both sides."""
    pairs = zip(of.values, to.values, strict=True)
    return Figure(name, "x", tuple(one / other for one, other in pairs))


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of all don't exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def shown(value: float) -> str:
    """Three digits that count, none invented."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(title: str, says: str, figures: Iterable[Figure]) -> Table:
    made = Table(title=title, caption=says, title_justify="left", caption_justify="left", min_width=80)
    made.add_column("figure")
    made.add_column("unit")
    for name in ("min", "median", "max", "n"):
        made.add_column(name, justify="right")
    for figure in figures:
        spread = (min(figure.values), figure.median, max(figure.values))
        made.add_row(figure.name, figure.unit, *map(shown, spread), str(len(figure.values)))
    return made


def show(title: str, says: str, figures: Iterable[Figure]) -> None:
    Console(width=None if os.isatty(1) else 110).print(table(title, says, figures))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as file:
        models = {line.partition(":")[2].strip() for line in file if line.startswith("model name")}
    return {
        "cores": os.cpu_count(),
        "cpu": ", ".join(sorted(models)) or platform.processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def document(benches: dict[str, list[Figure]]) -> str:
    found = {name: [figure.as_json() for figure in figures] for name, figures in benches.items()}
    return json.dumps({"machine": machine(), "benches": found}, indent=2) + "\n"
