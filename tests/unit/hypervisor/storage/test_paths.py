from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import InvalidRequest
from agent.hypervisor.storage.paths import AllowedPaths, shown
from agent.hypervisor.storage.sources import local_path

FIELD = "instance.disks[0].image.url"


@pytest.fixture
def allowed(tmp_path: Path) -> AllowedPaths:
    (tmp_path / "images").mkdir()
    (tmp_path / "images-not").mkdir()
    return AllowedPaths([tmp_path / "images"])


def test_a_path_in_an_allowed_directory_is_resolved(allowed: AllowedPaths, tmp_path: Path) -> None:
    assert allowed.resolve(tmp_path / "images" / "a" / ".." / "b", FIELD) == tmp_path / "images" / "b"


@pytest.mark.parametrize("path", ["images-not/a", "images/../secret", "other", "images/../images-not/x"])
def test_a_path_elsewhere_is_refused_and_the_field_named(allowed: AllowedPaths, tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        allowed.resolve(tmp_path / path, FIELD)
    assert caught.value.details["fields"][0]["path"] == FIELD


def test_a_link_out_of_an_allowed_directory_is_refused(allowed: AllowedPaths, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "images" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidRequest):
        allowed.resolve(tmp_path / "images" / "link", FIELD)


def test_a_link_that_stays_inside_is_followed(allowed: AllowedPaths, tmp_path: Path) -> None:
    (tmp_path / "images" / "real").write_text("x")
    (tmp_path / "images" / "link").symlink_to("real")
    assert allowed.resolve(tmp_path / "images" / "link", FIELD) == tmp_path / "images" / "real"


def test_a_link_in_the_place_of_an_allowed_directory_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert AllowedPaths([tmp_path / "link"]).resolve(tmp_path / "link" / "a", FIELD) == tmp_path / "real" / "a"


def test_a_loop_of_links_is_refused(allowed: AllowedPaths, tmp_path: Path) -> None:
    (tmp_path / "images" / "loop").symlink_to("loop")
    with pytest.raises(InvalidRequest):
        allowed.resolve(tmp_path / "images" / "loop", FIELD)


def test_a_relative_path_is_refused(allowed: AllowedPaths) -> None:
    with pytest.raises(InvalidRequest, match="absolute"):
        allowed.resolve(Path("images/a"), FIELD)


def test_where_nothing_is_allowed_the_error_names_the_setting() -> None:
    with pytest.raises(InvalidRequest, match="allowed_directories"):
        AllowedPaths([]).resolve(Path("/a"), FIELD)


@pytest.mark.parametrize(
    ("url", "path"),
    [("/a/b", "/a/b"), ("file:///a/b", "/a/b"), ("file://localhost/a", "/a"), ("file:///a%20b", "/a b")],
)
def test_a_file_url_or_a_plain_path_names_a_file(url: str, path: str) -> None:
    assert local_path(url, FIELD) == Path(path)


@pytest.mark.parametrize(
    "url", ["ftp://h/a", "a/b", "file://other/a", "file:a", "", "nbd:unix:/x", "json:{}", "file://[x/a"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        local_path(url, FIELD)


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("https://user:pass@host:8443/a.img?X-Signature=abc#frag", "https://host:8443/a.img"),
        ("http://host/a", "http://host/a"),
        ("/srv/a.img", "/srv/a.img"),
        ("https://user:pass@host:notaport/a", "(unreadable URL)"),
        ("https://[broken/a?secret", "(unreadable URL)"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, clear: str) -> None:
    assert shown(url) == clear
