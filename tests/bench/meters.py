"""What a process uses, read from /proc: nothing is added to the process itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
NS = 1e9


@dataclass(frozen=True)
class Use:
    """Seconds of processor time: of the whole process, of its first thread, of the busiest beside that. In the
    agent the first is the event loop's; on the fake driver the busiest beside it is the journal's."""

    process: float
    loop: float
    beside: float

    def __sub__(self, earlier: Use) -> Use:
        return Use(self.process - earlier.process, self.loop - earlier.loop, self.beside - earlier.beside)


def use(pid: int) -> Use:
    threads = {int(task.name): _ran(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    beside = [seconds for tid, seconds in threads.items() if tid != pid]
    return Use(cpu(pid), threads[pid], max(beside, default=0.0))


def cpu(pid: int) -> float:
    """Seconds of processor time; counts ended threads too, in hundredths."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def _ran(task: Path) -> float:
    return int((task / "schedstat").read_text().split()[0]) / NS


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True)
class Holding:
    """What a process holds: resident memory in KiB, open descriptors, threads."""

    rss_kib: int
    descriptors: int
    threads: int


def holding(pid: int) -> Holding:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Holding(int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]))
