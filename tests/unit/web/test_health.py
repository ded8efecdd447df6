"""What is wrong, by what is seen: one line for each kind of trouble."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from agent.health import CHECKS, HELD_UP_S, UNSENT_S, Health, Link, Severity
from tests.unit.web.well import BEGAN, NOW, WELL

SINCE = NOW - timedelta(seconds=30)
LONG_AGO = NOW - timedelta(seconds=UNSENT_S)
DOWN = Link(up=False, since=SINCE, error="connection refused")


def ill(part: str, **fields: Any) -> Health:
    return WELL.model_copy(update={part: getattr(WELL, part).model_copy(update=fields)})


PROBE = WELL.broker.probe.model_copy(update={"deaf_since": SINCE})
STUCK = WELL.tasks[0].model_copy(update={"stuck": True, "busy_since": SINCE})
PAUSED = ill("commands", taken=False, paused_since=SINCE, why_paused="no room")
BLOCKED = WELL.broker.answers.model_copy(update={"blocked_since": SINCE})

TROUBLES: list[tuple[Health, Severity, str, Any, str]] = [
    (ill("watchdog", fed=False, why="deaf for good"), "fatal", "past_mending", None, "deaf for good"),
    (WELL.model_copy(update={"tasks": (STUCK,)}), "fatal", "task_stuck", SINCE, "outbox"),
    (WELL.model_copy(update={"worn": "32 calls hang"}), "fatal", "worn", None, "32 calls"),
    (WELL.model_copy(update={"stopping": True}), "not_ready", "stopping", None, "stopping"),
    (ill("recovery", done=False), "not_ready", "recovering", BEGAN, "earlier run"),
    (ill("broker", commands=DOWN), "not_ready", "broker_away", SINCE, "connection refused"),
    (ill("broker", answers=DOWN), "not_ready", "broker_away", SINCE, "b:5672/"),
    (ill("broker", answers=BLOCKED), "not_ready", "broker_blocked", SINCE, "alarm"),
    (ill("broker", probe=PROBE), "not_ready", "deaf", SINCE, "don't come back"),
    (
        ill("commands", taken=False, paused_since=SINCE, why_paused="no room"),
        "not_ready",
        "commands_paused",
        SINCE,
        "no room",
    ),
    (ill("commands", taken=False), "not_ready", "commands_not_taken", BEGAN, "aren't taken"),
    (ill("commands", in_hand=2, in_hand_since=SINCE), "not_ready", "acceptance_stuck", SINCE, "2 messages"),
    (ill("outbox", waiting=100, oldest=SINCE), "not_ready", "outbox_full", SINCE, "100 answers"),
    (ill("journal", unwritable_since=SINCE, error="disk full"), "not_ready", "journal_unwritable", SINCE, "full"),
    (ill("hypervisor", reachable=False, since=SINCE), "not_ready", "hypervisor_away", SINCE, "can't be reached"),
    (ill("hypervisor", reachable=False, since=None), "not_ready", "hypervisor_away", BEGAN, "hasn't answered yet"),
    (ill("outbox", waiting=7, oldest=LONG_AGO), "warning", "outbox_held_up", LONG_AGO, "7 answers"),
    (ill("hypervisor", lost_threads=5), "warning", "calls_hang", None, "at 32"),
    (ill("hypervisor", overdue_calls=3), "warning", "calls_overdue", None, "3 calls"),
]


def test_an_agent_to_whom_nothing_is_wrong_is_healthy_and_ready() -> None:
    assert WELL.judged().problems == ()
    assert WELL.judged().healthy
    assert WELL.judged().ready


@pytest.mark.parametrize(
    ("health", "severity", "code", "since", "word"), TROUBLES, ids=lambda value: str(value)[:20]
)
def test_each_trouble_is_told_with_its_weight_and_since_when(
    health: Health, severity: Severity, code: str, since: Any, word: str
) -> None:
    judged = health.judged()
    (problem,) = judged.problems
    assert (problem.severity, problem.code, problem.since) == (severity, code, since)
    assert word in problem.text
    assert judged.healthy == (severity != "fatal")
    assert judged.ready == (severity == "warning")


@pytest.mark.parametrize(
    "reason",
    [
        ("journal", {"unwritable_since": SINCE, "error": "full"}),
        ("broker", {"answers": DOWN}),
        ("broker", {"answers": BLOCKED}),
        ("broker", {"probe": PROBE}),
    ],
)
def test_messages_that_wait_for_what_is_told_already_are_no_problem_of_their_own(reason: tuple[str, Any]) -> None:
    part, fields = reason
    held_up = ill(part, **fields).model_copy(
        update={"commands": ill("commands", in_hand=1, in_hand_since=SINCE).commands}
    )
    assert [p.code for p in held_up.judged().problems] == [p.code for p in ill(part, **fields).judged().problems]


def test_a_message_that_was_taken_a_moment_ago_is_no_problem() -> None:
    moment = NOW - timedelta(seconds=HELD_UP_S / 2)
    assert ill("commands", in_hand=1, in_hand_since=moment).judged().problems == ()


def test_an_answer_that_waits_for_a_moment_is_no_problem() -> None:
    assert ill("outbox", waiting=7, oldest=NOW - timedelta(seconds=UNSENT_S / 2)).judged().problems == ()


@pytest.mark.parametrize(
    "reason",
    [
        ill("journal", unwritable_since=SINCE, error="full"),
        ill("broker", answers=DOWN),
        ill("broker", answers=BLOCKED),
        ill("outbox", waiting=100, oldest=LONG_AGO),
    ],
    ids=["unwritable", "away", "blocked", "full"],
)
def test_answers_that_wait_for_what_is_told_already_are_no_problem_of_their_own(reason: Health) -> None:
    outbox = reason.outbox.model_copy(update={"oldest": LONG_AGO})
    (problem,) = reason.model_copy(update={"outbox": outbox}).judged().problems
    assert problem.severity == "not_ready"


def test_every_check_finds_something_in_this_table() -> None:
    for check in CHECKS:
        assert any(check(health) for health, *_ in TROUBLES), check.__name__


def test_the_reference_says_of_each_check_what_it_finds() -> None:
    for check in CHECKS:
        found = next(problem for health, *_ in TROUBLES if (problem := check(health)) is not None)
        assert str(check.__doc__).startswith(f"{found.code}, {found.severity}: ")


def test_the_worst_comes_first() -> None:
    all_of_it = WELL.model_copy(
        update={
            "tasks": (STUCK,),
            "broker": WELL.broker.model_copy(update={"commands": DOWN}),
            "hypervisor": WELL.hypervisor.model_copy(update={"lost_threads": 1}),
        }
    )
    assert [p.severity for p in all_of_it.judged().problems] == ["fatal", "not_ready", "warning"]


def test_who_isnt_fed_for_a_part_that_is_stuck_is_told_to_be_stuck_and_no_more() -> None:
    starved = ill("watchdog", fed=False, why="stuck: outbox").model_copy(update={"tasks": (STUCK,)})
    assert [p.code for p in starved.judged().problems] == ["task_stuck"]


def test_of_two_connections_the_one_that_is_down_for_longer_is_told() -> None:
    later = DOWN.model_copy(update={"since": SINCE + timedelta(minutes=1)})
    for pair in ((DOWN, later), (later, DOWN)):
        (problem,) = ill("broker", commands=pair[0], answers=pair[1]).judged().problems
        assert problem.since == SINCE


def test_it_can_be_read_back_also_when_a_later_version_has_more() -> None:
    text = WELL.judged().model_dump_json()
    assert Health.model_validate_json(text) == WELL.judged()
    assert Health.model_validate_json(text.replace('{"host"', '{"later":1,"host"')) == WELL.judged()


def test_the_command_line_can_read_it_without_the_daemons_packages() -> None:
    program = (
        "import sys, agent.health_socket; "
        "sys.exit(any(m in sys.modules for m in ('aiohttp', 'structlog', 'apsw', 'prometheus_client')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
