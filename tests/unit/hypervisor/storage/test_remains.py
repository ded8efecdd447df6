"""Instances' directories as things: what is found, what is never, and how one is removed."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from agent.hypervisor.remains import Kind, Thing
from agent.hypervisor.storage.remains import GONE, find, remove


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / str(uuid4())
    made.mkdir()
    (made / "root.qcow2").write_bytes(b"disk")
    return made


def only(instances: Path, kind: Kind = Kind.DIRECTORY) -> Thing:
    (thing,) = (thing for thing in find(instances) if thing.kind is kind)
    return thing


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def test_directories_of_instances_are_found_and_nothing_else(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / str(uuid4())).touch()
    (tmp_path / str(uuid4())).symlink_to(directory)
    (tmp_path / directory.name.upper()).mkdir()
    (tmp_path / uuid4().hex).mkdir()
    assert [thing.path for thing in find(tmp_path)] == [directory]
    assert list(find(tmp_path / "none")) == []


def test_half_made_files_are_found_but_links(directory: Path, tmp_path: Path) -> None:
    (directory / "root.qcow2.part").touch()
    (directory / "link.part").symlink_to("/etc/passwd")
    thing = only(tmp_path, Kind.FILE)
    assert (thing.id, thing.path) == (f"{directory.name}/root.qcow2.part", directory / "root.qcow2.part")


async def test_a_directory_is_removed_with_all_in_it_and_nothing_beside_it(
    directory: Path, tmp_path: Path
) -> None:
    other = tmp_path / str(uuid4())
    other.mkdir()
    (directory / "root.base").symlink_to(other)
    thing = next(thing for thing in find(tmp_path) if thing.path == directory)
    assert await remove(thing, yes)
    assert list(tmp_path.iterdir()) == [other]


async def test_a_directory_that_is_wanted_meanwhile_is_given_back(directory: Path, tmp_path: Path) -> None:
    assert not await remove(only(tmp_path), no)
    assert (directory / "root.qcow2").read_bytes() == b"disk"
    assert list(tmp_path.iterdir()) == [directory]


async def test_while_it_is_looked_at_for_the_last_time_nobody_finds_it(directory: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    async def wanted_anew() -> bool:
        seen.extend(path.name for path in tmp_path.iterdir())
        directory.mkdir()  # a spawn of this uuid makes its own
        return False

    assert not await remove(only(tmp_path), wanted_anew)
    assert seen == [f"{GONE}{directory.name}"]
    assert (directory / "root.qcow2").exists()


async def test_a_new_directory_with_something_in_it_is_left_alone(directory: Path, tmp_path: Path) -> None:
    async def wanted_anew() -> bool:
        directory.mkdir()
        (directory / "root.qcow2").write_bytes(b"new")
        return False

    assert not await remove(only(tmp_path), wanted_anew)
    assert (directory / "root.qcow2").read_bytes() == b"new"
    assert {path.name for path in tmp_path.iterdir()} == {directory.name, f"{GONE}{directory.name}"}


async def test_a_removal_that_was_killed_is_found_and_finished(directory: Path, tmp_path: Path) -> None:
    directory.rename(tmp_path / f"{GONE}{directory.name}")
    assert await remove(only(tmp_path), yes)
    assert list(tmp_path.iterdir()) == []


async def test_a_half_made_file_is_removed_alone_and_kept_when_it_is_wanted(
    directory: Path, tmp_path: Path
) -> None:
    part = directory / "a.part"
    part.touch()
    thing = only(tmp_path, Kind.FILE)
    assert not await remove(thing, no)
    assert part.exists()
    assert await remove(thing, yes)
    assert os.listdir(directory) == ["root.qcow2"]
