"""What happened, in order, with its time: printed when something doesn't hold. And all that was counted."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Story:
    """`lines` of this round; all else since the begin. It is counted for each teller by name: a driver, or "" for
    what both stand on. Times are seconds."""

    loud: bool = False
    lines: list[str] = field(default_factory=list)
    accidents: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    starts: dict[str, list[float]] = field(default_factory=dict)
    heals: dict[str, list[float]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        line = f"{time.monotonic() - self.began:8.2f}  {what}"
        self.lines.append(line)
        if self.loud:
            print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Teller:
    """One side's part of the story."""

    story: Story
    name: str

    def tell(self, what: str) -> None:
        self.story.tell(f"{self.name + ': ' if self.name else ''}{what}")

    def happens(self, accident: str) -> None:
        self.story.accidents[accident, self.name] += 1
        self.tell(accident)

    def count(self, what: str, by: int = 1) -> None:
        self.story.counts[what, self.name] += by

    def came_to(self, what: str, number: int) -> None:
        """For what is counted elsewhere, since the begin."""
        self.story.counts[what, self.name] = number

    def started(self, seconds: float) -> None:
        self.story.starts.setdefault(self.name, []).append(seconds)

    def healed(self, seconds: float) -> None:
        self.story.heals.setdefault(self.name, []).append(seconds)


def table(story: Story, drivers: list[str]) -> str:
    """A column for each driver; what happens to both stands in the first."""
    lines = [_line("", drivers)]
    for counter in (story.accidents, story.counts):
        for name in sorted({name for name, _ in counter}):
            each = [counter[name, driver] for driver in drivers]
            shared = counter[name, ""]
            lines.append(_line(name, [str(shared)] if shared else [str(number) for number in each]))
        lines.append("")
    for name, times in (("recoveries", story.starts), ("rounds healed", story.heals)):
        lines.append(_line(name, [str(len(times.get(driver, ()))) for driver in drivers]))
        slowest = [f"{max(times.get(driver, [0.0])):.1f} s" for driver in drivers]
        lines.append(_line(f"{name}, slowest", slowest))
    lines.append(_line("time", [f"{time.monotonic() - story.began:.0f} s"]))
    return "\n".join(lines)


def _line(name: str, columns: list[str]) -> str:
    return f"{name:<30}" + "".join(f"{column:>10}" for column in columns)
