import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.settings import Settings
from agent.settings_doc import default_config, kind, reference, toml_default
from agent.settings_fields import Group, Setting, groups, settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/settings.md"
ABOUT_THEMSELVES = "settings"  # modules of that name only describe them


@pytest.mark.parametrize("known", settings(), ids=lambda known: known.name)
def test_every_setting_has_a_docstring(known: Setting) -> None:
    assert known.doc.strip()


@pytest.mark.parametrize("group", groups(), ids=lambda group: group.name)
def test_every_table_says_what_it_is_about(group: Group) -> None:
    assert group.doc


def test_every_field_of_the_models_is_listed_once() -> None:
    leaves = {
        path
        for name, value in Settings().model_dump().items()
        for path in ([f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name])
    }
    assert sorted(known.name for known in settings()) == sorted(leaves)


def test_the_default_file_holds_every_setting_and_is_toml() -> None:
    parsed = tomllib.loads(default_config())
    assert parsed == {group.name: {} for group in groups() if group.name}
    for known in settings():
        assert f"\n# {known.path[-1]} =" in default_config()


def test_the_default_file_with_its_settings_uncommented_is_the_default() -> None:
    lines = default_config().splitlines()
    set_by_default = {f"# {known.path[-1]} = {toml_default(known)}" for known in settings()}
    bare = "\n".join(line.removeprefix("# ") if line in set_by_default else line for line in lines)
    parsed = tomllib.loads(bare)
    assert Settings(**parsed).model_dump(exclude={"host"}) == Settings().model_dump(exclude={"host"})
    assert len(parsed["rpc"]) == len(Settings.model_fields["rpc"].annotation.model_fields)  # type: ignore[union-attr]


def test_no_line_of_the_default_file_is_longer_than_a_screen_or_ends_in_blanks() -> None:
    assert all(len(line) <= 110 and line == line.rstrip() for line in default_config().splitlines())


def test_the_reference_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == reference(), "run: python -m agent.settings_doc > docs/reference/settings.md"


def test_the_page_can_be_made_from_the_command_line() -> None:
    made = subprocess.run([sys.executable, "-m", "agent.settings_doc"], capture_output=True, text=True, check=True)
    assert made.stdout == reference()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("amqp.heartbeat_s", "a whole number, at least 2, at most 60"),
        ("amqp.ca_file", "a path"),
        ("amqp.url", "text, secret"),
        ("rpc.queue_type", '"quorum" or "classic"'),
        ("storage.allowed_directories", "a list, each item a path"),
        ("report_interval_s", "a number, more than 0"),
    ],
)
def test_the_kind_of_value_is_told_in_words(name: str, words: str) -> None:
    (known,) = (known for known in settings() if known.name == name)
    assert kind(known) == words


def test_every_setting_is_read_by_some_code() -> None:
    """By name: `storage.reserve_mb` counts when some module reads an attribute `reserve_mb`."""
    code = [path for path in (ROOT / "agent").rglob("*.py") if not path.stem.startswith(ABOUT_THEMSELVES)]
    read = {
        node.attr
        for path in code
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert {known.name for known in settings() if known.path[-1] not in read} == set()
