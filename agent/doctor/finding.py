"""What a check says, and what all of them say together. Plain values, for whoever prints them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class Verdict(enum.StrEnum):
    """From best to worst. `unchecked`: the check couldn't be made, so nothing is known."""

    OK = "ok"
    UNCHECKED = "not checked"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(BaseModel):
    """One line of the report. `mend` is what to do about it; no secret is in either text."""

    model_config = ConfigDict(frozen=True)

    check: str = ""
    verdict: Verdict
    says: str
    mend: str | None = None


def ok(says: str) -> Finding:
    return Finding(verdict=Verdict.OK, says=says)


def warning(says: str, mend: str) -> Finding:
    return Finding(verdict=Verdict.WARNING, says=says, mend=mend)


def broken(says: str, mend: str) -> Finding:
    return Finding(verdict=Verdict.BROKEN, says=says, mend=mend)


def unchecked(why: str, mend: str | None = None) -> Finding:
    return Finding(verdict=Verdict.UNCHECKED, says=why, mend=mend)


class CantCheck(Exception):
    """Raised by a check that can't be made; it says why, and `mend` what would let it."""

    def __init__(self, why: str, mend: str | None = None) -> None:
        super().__init__(why)
        self.mend = mend


Findings = Iterable[Finding]


def worst(findings: Findings) -> Verdict:
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def report(findings: Findings) -> dict[str, Any]:
    """What `--json` prints."""
    known = list(findings)
    return {"verdict": worst(known).value, "checks": list(_lines(known))}


def _lines(findings: Findings) -> Iterator[dict[str, Any]]:
    for finding in findings:
        yield finding.model_dump(mode="json")
