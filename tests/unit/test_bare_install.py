"""The page on the client and its install names what is there."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from agent.cli.catalogue import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/client.md").read_text()


def test_every_command_is_said_to_work_over_the_broker_or_on_the_host() -> None:
    section = PAGE.split("## What the command line does")[1]
    assert {name for name in COMMANDS if f"`{name}`" not in section} == set()


def test_every_package_of_the_bare_install_is_there_with_what_it_brings() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [Requirement(line).name for line in project["dependencies"]]
    rows = [re.split(r" *\| *", line)[1:3] for line in PAGE.splitlines() if line.startswith("| ")]
    told = {first.lower(): set(with_it.lower().replace(" ", "").split(",")) - {""} for first, with_it in rows}
    assert set(direct) <= told.keys()
    brought = {name: closure(name) - {name} for name in direct}
    seen: set[str] = set()
    for name in direct:  # each is told once, where it is met first
        assert brought[name] - seen - set(direct) <= told[name] | seen, name
        seen |= told[name] | {name}
    everything = set().union(*brought.values(), direct)
    assert seen == everything
    assert f"| packages | {len(everything)}, beside its own |" in PAGE


def closure(name: str) -> set[str]:
    """What is installed with it."""
    found, todo = set[str](), [name]
    while todo:
        package = todo.pop()
        found.add(package)
        for line in requires(package) or ():
            needed = Requirement(line)
            key = needed.name.lower().replace("_", "-")
            if key not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                todo.append(key)
    return found
