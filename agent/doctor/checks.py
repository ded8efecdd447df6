"""All checks, made at once: a table of what there is, and one runner.

    all modules imported ──> each check made, within its deadline ──> findings
             │ package missing             │ no right, too slow, or it raised
             └─────────────────────────────┴──> not checked, and why

So a check that can't be made, hangs, or has a bug takes no other with it. A check is a coroutine function of the
settings that returns findings, or raises CantCheck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import cast

from agent.doctor.finding import CantCheck, Finding, Findings, unchecked
from agent.errors import AgentError
from agent.settings import Settings

Check = Callable[[Settings], Awaitable[Findings]]

PACKAGES = "pip install 'compute-agent[daemon]', or run it where the agent is installed"


@dataclass(frozen=True, slots=True)
class Entry:
    """`where` is module:function; `seconds` is the check's deadline."""

    name: str
    where: str
    seconds: float


CHECKS = (
    Entry("agent", "agent.doctor.running:check", 10),
    Entry("broker", "agent.doctor.broker:check", 30),
    Entry("journal", "agent.doctor.journal:check", 30),
    Entry("libvirt", "agent.doctor.libvirt:check", 30),
    Entry("features", "agent.doctor.features:check", 60),
    Entry("kvm", "agent.doctor.kvm:check", 30),
    Entry("programs", "agent.doctor.programs:check", 10),
    Entry("permissions", "agent.doctor.permissions:check", 40),
    Entry("disk", "agent.doctor.disk:check", 15),
    Entry("clock", "agent.doctor.clock:check", 20),
    Entry("orphans", "agent.doctor.remaining:check", 40),
)


async def examine(settings: Settings, checks: tuple[Entry, ...] = CHECKS) -> tuple[Finding, ...]:
    """All findings, in the order of the table. Raises nothing."""
    # Before the first is begun: on a busy host it takes seconds, and would count against those under way.
    loaded = [_load(entry.where) for entry in checks]
    made = await asyncio.gather(
        *(_made(check, entry.seconds, settings) for entry, check in zip(checks, loaded, strict=True))
    )
    return tuple(
        finding.model_copy(update={"check": entry.name})
        for entry, findings in zip(checks, made, strict=True)
        for finding in findings
    )


async def _made(check: Check, seconds: float, settings: Settings) -> Findings:
    try:
        async with asyncio.timeout(seconds):
            return list(await check(settings))
    except TimeoutError:
        return [unchecked(f"no result within {seconds:g} s")]
    except Exception as error:  # noqa: BLE001 - one check's bug mustn't hide what the others found
        return [_unmade(error)]


def _unmade(error: Exception) -> Finding:
    match error:
        case CantCheck():
            return unchecked(str(error), error.mend)
        case PermissionError():
            return unchecked(f"{error.filename}: {error.strerror}", "run this as root or as the agent's user")
        case AgentError():
            return unchecked(f"{error.code}: {error.message}")
        case _:
            return unchecked(f"the check itself failed: {type(error).__name__}: {error}")


def _load(where: str) -> Check:
    module, _, name = where.partition(":")
    try:
        return cast("Check", getattr(import_module(module), name))
    except ImportError as missing:
        return partial(_lacks, missing.name)


async def _lacks(package: str | None, _: Settings) -> Findings:
    raise CantCheck(f"the package {package} isn't installed here", PACKAGES)
