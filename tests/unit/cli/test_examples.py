"""Every example is what it says: a request that the schema takes, by the command in its own comment."""

import re
import shlex
from pathlib import Path

import pytest

from agent.cli import files
from agent.rpc.schema.instance import Instance
from tests.unit.cli.desk import UUID_1, Desk, changed

EXAMPLES = Path(__file__).parents[3] / "examples"
SPECS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".yaml", ".json"))


def method_of(example: Path) -> str:
    """By the command in the file, or by the file's name."""
    told = re.search(r"agent-cli send (\w+)", example.read_text())
    return told[1] if told else example.stem.split("-")[0]


@pytest.mark.parametrize("example", SPECS, ids=lambda path: path.name)
def test_an_example_is_a_request_that_the_schema_takes(example: Path) -> None:
    method = method_of(example)
    desk = Desk({method: changed()})
    instance = () if method == "spawn" else (str(UUID_1),)
    result = desk.run("send", method, *instance, "-f", str(example))
    assert result.exit_code == 0, result.output
    assert [asked.method for asked in desk.calls] == [method]


@pytest.mark.parametrize("example", [path for path in SPECS if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_the_command_in_an_examples_comment_names_the_example(example: Path) -> None:
    told = re.search(r"#\s+(agent-cli .*)", example.read_text())
    assert told is not None
    assert f"examples/{example.name}" in shlex.split(told[1])


def test_there_are_examples_for_what_needs_a_file() -> None:
    assert {"spawn", "attach_volume", "attach_interface"} <= {method_of(example) for example in SPECS}


def test_the_full_example_says_all_that_there_is_to_say() -> None:
    instance = files.load(str(EXAMPLES / "spawn-full.yaml"))["instance"]
    assert set(instance) == set(Instance.model_fields)
    assert {disk["kind"] for disk in instance["disks"]} == {"image", "blank", "ephemeral", "swap", "volume"}
    assert {nic["type"] for nic in instance["interfaces"]} == {"bridge", "network", "user"}
