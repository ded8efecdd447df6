"""What happened, in order, with its time: printed when something doesn't hold."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Story:
    """`lines` of this round; `counts` and `recoveries` (seconds) of all."""

    loud: bool = False
    lines: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        line = f"{time.monotonic() - self.began:8.2f}  {what}"
        self.lines.append(line)
        if self.loud:
            print(line, file=sys.stderr, flush=True)

    def recovered(self, seconds: float) -> None:
        self.recoveries.append(seconds)

    def table(self) -> str:
        rows = [(f"fault: {kind}", str(number)) for kind, number in sorted(self.kinds.items())]
        rows += [(name, str(number)) for name, number in sorted(self.counts.items())]
        rows += [
            ("recoveries", str(len(self.recoveries))),
            ("slowest recovery", f"{max(self.recoveries, default=0.0):.1f} s"),
            ("time", f"{time.monotonic() - self.began:.0f} s"),
        ]
        wide = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{wide}}  {value:>8}" for name, value in rows)
