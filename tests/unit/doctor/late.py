"""A check that nothing else imports."""

from __future__ import annotations

from agent.doctor.finding import Findings, ok
from agent.settings import Settings


async def check(settings: Settings) -> Findings:
    return [ok("late")]
