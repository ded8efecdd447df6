"""Which agent this is, as the installed distribution says."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def agent_version() -> str:
    try:
        return version("compute-agent")
    except PackageNotFoundError:
        return "unpackaged"
