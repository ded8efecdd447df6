"""Any settings file: settings, or SettingsError with a line for each problem, and no secret in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from agent.settings import Settings
from agent.settings_errors import SettingsError, read
from tests.fuzz.mutations import corpus, spoiled

FILES = corpus("settings")


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that this process's settings are read from."""
    path = tmp_path_factory.mktemp("settings") / "agent.toml"
    before = os.environ.get("COMPUTE_AGENT_CONFIG")
    os.environ["COMPUTE_AGENT_CONFIG"] = str(path)
    yield path
    del os.environ["COMPUTE_AGENT_CONFIG"]
    if before is not None:
        os.environ["COMPUTE_AGENT_CONFIG"] = before


def outcome(main: Path, content: bytes) -> Settings | SettingsError:
    main.write_bytes(content)
    try:
        return read()
    except SettingsError as error:
        refused = error
    assert refused.problems
    assert all(problem.where and problem.wrong for problem in refused.problems)
    return refused


@pytest.mark.parametrize("name", FILES)
def test_only_the_good_file_of_the_corpus_is_taken(main: Path, name: str) -> None:
    assert isinstance(outcome(main, FILES[name]), Settings) == (name == "good.toml")


@given(spoiled(list(FILES.values())))
def test_any_file_is_taken_or_refused(main: Path, content: bytes) -> None:
    outcome(main, content)


@given(spoiled([FILES["good.toml"].replace(b"hunter2", b"XhunterX2")]))
def test_what_is_said_of_a_broken_file_holds_no_secret(main: Path, content: bytes) -> None:
    assert "XhunterX2" not in repr(outcome(main, content))
