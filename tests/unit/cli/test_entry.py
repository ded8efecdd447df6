"""The program as people start it: help without delay, completion, nothing heavy at the top."""

import os
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from agent.cli.catalogue import COMMANDS, help_text
from agent.cli.root import cli

HEAVY = ("aio_pika", "aiormq", "pydantic", "pydantic_settings", "rich", "yaml", "agent.rpc", "agent.settings")


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def imported_by(code: str) -> set[str]:
    """Names of all modules that `code` imports, as -X importtime tells them."""
    told = python("-X", "importtime", "-c", code).stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in told if line.startswith("import time:")}


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if any(name == top or name.startswith(top + ".") for top in HEAVY)}


@pytest.mark.parametrize("module", ["agent.cli.main", "agent.cli.root", "agent.cli.app"])
def test_the_top_of_the_command_line_imports_nothing_heavy(module: str) -> None:
    modules = imported_by(f"import {module}")
    assert module in modules
    assert heavy(modules) == set()


def test_the_entry_does_not_even_import_click() -> None:
    assert "click" not in imported_by("import agent.cli.main")


def test_a_command_does_import_what_it_needs() -> None:
    """Or the tests above could not fail."""
    assert "pydantic" in heavy(imported_by("import agent.cli.send"))


def test_the_overview_takes_at_most_three_times_a_bare_interpreter() -> None:
    # In turn, so that both have the machine as it is.
    runs = [(spent("-c", "pass"), spent("-m", "agent.cli.main", "--help")) for _ in range(9)]
    bare, overview = map(min, zip(*runs, strict=True))
    assert overview <= 3 * bare


def spent(*arguments: str) -> float:
    """Seconds of processor time, as others may use the machine too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_the_overview_is_the_same_with_and_without_click() -> None:
    done = python("-m", "agent.cli.main", "--help")
    assert (done.returncode, done.stdout) == (0, help_text())
    with click.Context(cli) as ctx:
        assert cli.get_help(ctx) == help_text().rstrip("\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_in_the_overview_is_its_own(name: str) -> None:
    with click.Context(cli) as ctx:
        command = cli.get_command(ctx, name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]
    assert f"  {name} " in help_text()


def test_no_command_at_all_is_wrong_usage_and_shows_the_overview() -> None:
    done = python("-m", "agent.cli.main")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == help_text().strip()


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert python("-m", "agent.cli.main", "--version").stdout == f"agent-cli {version('compute-agent')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_calls_the_program_back(shell: str) -> None:
    done = python("-m", "agent.cli.main", "completion", shell)
    assert done.returncode == 0
    assert f"_AGENT_CLI_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("agent-cli ", "plain,operations"),
        ("agent-cli send at", "plain,attach_volume"),
        ("agent-cli list --h", "plain,--host"),
    ],
)
def test_a_shell_is_told_what_can_follow(words: str, expected: str) -> None:
    parts = words.split(" ")
    done = python(
        "-m",
        "agent.cli.main",
        _AGENT_CLI_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(parts) - 1),
    )
    assert expected in done.stdout.splitlines()


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", "completion", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    with program.stderr as stderr:
        said = stderr.read()
    assert (program.wait(), said) == (141, b"")


WITHOUT_THE_DAEMON = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ImportError(f"{name} belongs to the daemon")

sys.meta_path.insert(0, Absent())
from agent.cli.catalogue import COMMANDS
for where, _ in COMMANDS.values():
    importlib.import_module(where.partition(":")[0])
importlib.import_module("agent.rpc.client")
"""


def test_the_bare_install_is_enough_for_every_command() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    daemon = [re.split(r"[^\w.-]", one)[0] for one in project["optional-dependencies"]["daemon"]]
    named_otherwise = {"libvirt-python": "libvirt", "oslo.utils": "oslo_utils"}
    modules = [named_otherwise.get(name, name) for name in daemon]
    assert {"libvirt", "structlog", "lxml"} <= set(modules)
    done = python("-c", WITHOUT_THE_DAEMON, ",".join(modules))
    assert (done.returncode, done.stderr) == (0, "")


DAEMON_WITHOUT_ITS_PACKAGES = """
import runpy, sys
sys.modules["structlog"] = None
sys.argv = ["compute-agent"]
runpy.run_module("agent", run_name="__main__")
"""


def test_the_daemon_of_a_bare_install_names_what_to_install() -> None:
    done = python("-c", DAEMON_WITHOUT_ITS_PACKAGES)
    assert done.returncode == 2
    assert done.stderr == "compute-agent: structlog isn't installed: install compute-agent[daemon]\n"
