"""Whether the agent runs, and what it tells of itself."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from agent.doctor.finding import Verdict
from agent.doctor.running import MENDS, _told, check
from agent.health import CHECKS, Problem, Severity
from agent.journal.lock import StateDirLock
from agent.settings import Settings
from tests.unit.web.well import WELL


async def test_no_agent_is_a_warning_as_it_may_be_meant(tmp_path: Path) -> None:
    (finding,) = await check(Settings(host="h1", state_dir=tmp_path))
    assert (finding.verdict, "no agent runs" in finding.says) == (Verdict.WARNING, True)


async def test_an_agent_that_runs_and_has_no_socket_is_broken(tmp_path: Path) -> None:
    with StateDirLock(tmp_path):
        (finding,) = await check(Settings(host="h1", state_dir=tmp_path))
    assert (finding.verdict, "doesn't answer" in finding.says) == (Verdict.BROKEN, True)


@pytest.mark.parametrize("below", ["", "lock"])
async def test_a_state_dir_that_no_agent_can_use_is_told(tmp_path: Path, below: str) -> None:
    place = tmp_path / "place"
    if below:
        (place / below).mkdir(parents=True)
    else:
        place.touch()
    (finding,) = await check(Settings(host="h1", state_dir=place))
    assert (finding.verdict, str(place) in finding.says) == (Verdict.BROKEN, True)
    assert "set another state_dir" in str(finding.mend)


def test_a_well_agent_is_told_with_its_pid() -> None:
    (finding,) = _told(WELL)
    assert finding.verdict is Verdict.OK
    assert str(WELL.pid) in finding.says


@pytest.mark.parametrize("severity", get_args(Severity))
def test_each_problem_of_the_agents_is_a_finding_with_a_mend(severity: Severity) -> None:
    ill = WELL.model_copy(update={"problems": (Problem(code="new", severity=severity, text="it is ill"),)})
    (finding,) = _told(ill)
    assert finding.says == "it is ill"
    assert finding.mend
    assert (finding.verdict is Verdict.WARNING) is (severity == "warning")


def test_every_problem_that_an_agent_knows_has_a_mend_of_its_own() -> None:
    assert MENDS.keys() == {str(check.__doc__).partition(",")[0] for check in CHECKS}
