"""Who shall die at a step's mark dies when the mark is in the journal, and where it was is told in truth."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.accidents.steps import struck_at
from tests.chaos.coverage import Place
from tests.chaos.load import Aim

AIM = Aim(Place("spawn", "define", "begun"), "an-instance")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE operations (number, instance_uuid, method)")
        db.execute("CREATE TABLE steps (operation, name, position, mark)")
        db.executemany(
            "INSERT INTO operations VALUES (?, ?, ?)", [(1, "an-instance", "spawn"), (2, "another", "spawn")]
        )
        db.commit()
    return path


def mark(journal: Path, operation: int, position: int, name: str, mark: str) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.execute("INSERT INTO steps VALUES (?, ?, ?, ?)", (operation, name, position, mark))
        db.commit()


def test_it_strikes_at_the_mark_it_was_told(journal: Path) -> None:
    struck: list[bool] = []
    mark(journal, 1, 0, "check", "done")
    mark(journal, 1, 1, "define", "begun")
    assert struck_at(journal, AIM, lambda: struck.append(True), lambda: False) == AIM.place
    assert struck == [True]


def test_a_mark_that_was_passed_already_is_told_as_where_it_was(journal: Path) -> None:
    mark(journal, 1, 0, "define", "done")
    mark(journal, 1, 1, "start", "begun")
    assert struck_at(journal, AIM, lambda: None, lambda: False) == Place("spawn", "start", "begun")


def test_the_marks_of_another_instance_and_of_earlier_steps_are_none(journal: Path) -> None:
    struck: list[bool] = []
    mark(journal, 1, 0, "check", "done")
    mark(journal, 2, 0, "define", "begun")
    looks = iter([False, False, True])
    assert struck_at(journal, AIM, lambda: struck.append(True), lambda: next(looks)) is None
    assert struck == []
