"""How the trial knows that a guest was placed elsewhere too early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scheduler.trial import NOT_AFTER_S, SKEW_S, too_early

BEGAN = datetime(2030, 1, 31, 12, tzinfo=UTC)


def sent(uuid: str, host: str, after_s: float) -> dict[str, Any]:
    ends = BEGAN + timedelta(seconds=after_s + NOT_AFTER_S)
    return {"uuid": uuid, "host": host, "not_after": ends.isoformat()}


def test_another_host_before_the_first_ones_time_was_up_is_too_early() -> None:
    in_time = NOT_AFTER_S + SKEW_S
    assert too_early([sent("a", "h1", 0), sent("b", "h2", 1), sent("a", "h2", in_time)], "h1") == 0
    assert too_early([sent("a", "h1", 0), sent("b", "h2", 1), sent("a", "h2", in_time - 0.1)], "h1") == 1


def test_only_what_was_on_the_dead_host_counts() -> None:
    assert too_early([sent("a", "h2", 0), sent("a", "h3", 1), {"uuid": "a", "ended": "gone"}], "h1") == 0
