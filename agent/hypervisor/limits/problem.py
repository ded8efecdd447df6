"""One thing that is wrong with a request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.errors import InvalidRequest


class Problem(NamedTuple):
    """Where (`instance.disks[3].bus`), what is wrong, and what would be right."""

    path: str
    problem: str
    mend: str


def refuse(problems: Iterable[Problem]) -> None:
    """Raises one InvalidRequest that names every problem, if there is any."""
    found = tuple(problems)
    if found:
        message = "; ".join(f"{path}: {problem}; {mend}" for path, problem, mend in found)
        raise InvalidRequest(message, details={"fields": [problem._asdict() for problem in found]})
