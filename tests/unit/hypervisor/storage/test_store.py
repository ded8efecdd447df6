from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hypervisor.storage.store import About, CachedImage, Kept, Store, victims
from agent.spec import DiskFormat

ABOUT = About(1024, DiskFormat.RAW, "/srv/a.img")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "instances").mkdir()
    made = Store(tmp_path / "cache", tmp_path / "instances")
    made.prepare()
    return made


def put(store: Store, name: str, content: bytes = b"x" * 8192) -> CachedImage:
    part = store.begin()
    (part / "disk").write_bytes(content)
    return store.publish(part, name, ABOUT)


def hold(store: Store, tmp_path: Path, image: CachedImage) -> Path:
    home = tmp_path / "instances" / "6a1c0a4e"
    home.mkdir(exist_ok=True)
    store.hold(home, "root", image)
    return home


def test_what_was_published_is_found_and_nothing_else(store: Store) -> None:
    put(store, "a")
    found = store.find("a")
    assert found is not None
    assert (found.path.read_bytes(), found.about) == (b"x" * 8192, ABOUT)
    assert store.find("b") is None


def test_a_published_image_can_be_read_by_all_and_written_by_none(store: Store) -> None:
    image = put(store, "a")
    assert image.path.stat().st_mode & 0o777 == 0o444
    assert all(path.stat().st_mode & 0o005 == 0o005 for path in (image.path.parent, store.directory))


def test_the_modes_dont_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = Store(tmp_path / "cache", tmp_path / "instances")
        store.prepare()
        image = put(store, "a")
    finally:
        os.umask(before)
    assert image.path.stat().st_mode & 0o777 == 0o444
    assert image.path.parent.stat().st_mode & 0o777 == 0o755


def test_publishing_what_is_there_keeps_the_first(store: Store) -> None:
    first = put(store, "a").path.stat().st_ino
    assert put(store, "a").path.stat().st_ino == first


def test_publishing_replaces_what_was_damaged_by_hand(store: Store) -> None:
    put(store, "a").path.unlink()
    assert store.find("a") is None
    put(store, "a", b"y" * 512)
    found = store.find("a")
    assert found is not None
    assert found.path.read_bytes() == b"y" * 512


def test_what_a_killed_agent_left_half_way_is_gone_at_the_next_start(store: Store) -> None:
    put(store, "a")
    (store.begin() / "disk").write_bytes(b"half")
    (store.directory / "a").rename(store.directory / ".gone-a")
    store.prepare()
    assert list(store.directory.iterdir()) == []


def test_an_image_is_in_use_from_the_note_until_the_instances_directory_is_gone(
    store: Store, tmp_path: Path
) -> None:
    image = put(store, "a")
    assert [kept.in_use for kept in store.kept()] == [False]
    home = hold(store, tmp_path, image)
    hold(store, tmp_path, image)  # a repeat is harmless
    assert [kept.in_use for kept in store.kept()] == [True]
    shutil.rmtree(home)
    assert [kept.in_use for kept in store.kept()] == [False]


def test_a_file_in_the_place_of_an_instance_is_no_use_and_no_harm(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    (tmp_path / "instances" / "stray").write_text("x")
    assert [kept.in_use for kept in store.kept()] == [False]


def test_a_sparse_image_counts_what_it_takes_on_disk(store: Store) -> None:
    part = store.begin()
    with (part / "disk").open("wb") as file:
        file.truncate(1024**3)
    store.publish(part, "a", ABOUT)
    assert store.kept()[0].size < 1024**2


def test_finding_an_image_makes_it_young_again(store: Store) -> None:
    about = put(store, "a").path.with_name("about.json")
    os.utime(about, (1, 1))
    assert store.kept()[0].last_used == 1
    store.find("a")
    assert store.kept()[0].last_used > 1


def test_an_image_from_the_future_counts_as_used_now(store: Store) -> None:
    about = put(store, "a").path.with_name("about.json")
    os.utime(about, (2**40, 2**40))
    assert store.kept()[0].last_used < 2**40


kept_images = st.lists(
    st.builds(
        Kept,
        name=st.text(min_size=1, max_size=4),
        size=st.integers(0, 100),
        last_used=st.floats(0, 1000),
        in_use=st.booleans(),
    ),
    unique_by=lambda kept: kept.name,
)


@given(kept_images, st.integers(0, 300), st.floats(0, 1000), st.integers(0, 100))
def test_eviction_spares_what_is_in_use_and_takes_no_more_than_it_must(
    kept: list[Kept], max_bytes: int, max_idle_s: float, coming: int
) -> None:
    now = 1000.0
    gone = victims(kept, now=now, max_bytes=max_bytes, max_idle_s=max_idle_s, coming=coming)
    by_name = {image.name: image for image in kept}
    left = [image for image in kept if image.name not in gone]
    assert not any(by_name[name].in_use for name in gone)
    # What is left fits, or is all in use.
    assert sum(image.size for image in left) + coming <= max_bytes or all(image.in_use for image in left)
    # Nothing idle for too long is left, unless in use.
    assert all(image.in_use or now - image.last_used <= max_idle_s for image in left)
    # Without the last one that was not too old, it wouldn't have fitted.
    young = [name for name in gone if now - by_name[name].last_used <= max_idle_s]
    if young:
        assert sum(image.size for image in left) + by_name[young[-1]].size + coming > max_bytes


def test_the_longest_unused_goes_first() -> None:
    kept = [Kept(name, 10, used, in_use=False) for name, used in (("new", 9.0), ("old", 1.0), ("mid", 5.0))]
    assert victims(kept, now=10, max_bytes=10, max_idle_s=100) == ["old", "mid"]
