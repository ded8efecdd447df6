"""`agent-cli doctor` as a person sees it: the report, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from agent.cli import exit_codes
from agent.cli.doctor import _report
from agent.cli.output import Output
from agent.cli.root import cli
from agent.doctor.finding import Finding, broken, ok, unchecked, warning

NOWHERE = "amqp://someone:hidden@127.0.0.1:9/"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "agent.toml").touch()
    return {
        "COMPUTE_AGENT_CONFIG": str(tmp_path / "agent.toml"),
        "COMPUTE_AGENT_HOST": "h1",
        "COMPUTE_AGENT_STATE_DIR": str(tmp_path / "state"),
        "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
        "COMPUTE_AGENT_AMQP__URL": NOWHERE,
    }


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], env=environment)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((), exit_codes.OK),
        ((ok("a"),), exit_codes.OK),
        ((ok("a"), unchecked("b")), exit_codes.DOUBTFUL),
        ((ok("a"), warning("b", "c")), exit_codes.DOUBTFUL),
        ((broken("a", "b"), warning("b", "c")), exit_codes.BROKEN),
    ],
)
def test_the_exit_code_says_how_bad_it_is(findings: tuple[Finding, ...], code: int) -> None:
    assert _report(Output(as_json=True), findings) == code


def test_each_finding_is_a_line_and_its_mend_another(environment: dict[str, str]) -> None:
    done = run(environment)
    assert done.exit_code == exit_codes.BROKEN
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("broken      broker"))
    assert lines[at + 1].strip().startswith("-> ")
    assert "hidden" not in done.output


def test_as_json_the_same_is_told_to_programs(environment: dict[str, str]) -> None:
    done = run(environment, "--json")
    report = json.loads(done.stdout)
    assert report["verdict"] == "broken"
    assert {"check", "verdict", "says", "mend"} == set(report["checks"][0])
    assert "hidden" not in done.output


def test_settings_that_cant_be_read_are_the_one_thing_told(environment: dict[str, str]) -> None:
    done = run(environment | {"COMPUTE_AGENT_HYPERVISOR__DRIVER": "xen"}, "--json")
    first, *rest = json.loads(done.stdout)["checks"]
    assert (first["check"], first["verdict"]) == ("settings", "broken")
    assert "hypervisor.driver" in first["says"]
    assert {line["verdict"] for line in rest} == {"not checked"}
    assert done.exit_code == exit_codes.BROKEN


def test_nothing_is_removed_where_no_agent_has_ever_been(environment: dict[str, str]) -> None:
    done = run(environment, "--remove", f"directory:{uuid4()}", "--yes")
    assert done.exit_code == exit_codes.USAGE


def test_where_nobody_can_be_asked_yes_is_needed(environment: dict[str, str]) -> None:
    done = run(environment, "--remove", f"directory:{uuid4()}")
    assert done.exit_code == exit_codes.USAGE
    assert "--yes" in done.output
