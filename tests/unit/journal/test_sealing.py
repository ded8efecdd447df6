from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from agent.errors import Internal
from agent.journal import KeyFile, StartRefused


def test_a_key_is_made_once_for_the_agent_only(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    sealed = KeyFile.load_or_create(path).seal("opensesame")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyFile.load_or_create(path).open(sealed) == "opensesame"
    assert [file.name for file in tmp_path.iterdir()] == ["journal.key"]


def test_what_a_killed_start_left_half_made_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "journal.key.new").write_bytes(b"hal")
    KeyFile.load_or_create(tmp_path / "journal.key")
    assert [file.name for file in tmp_path.iterdir()] == ["journal.key"]


def test_a_key_handed_over_works_as_one_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    sealed = KeyFile.load_or_create(path).seal("opensesame")
    assert KeyFile.from_bytes(path.read_bytes()).open(sealed) == "opensesame"


@pytest.mark.parametrize("content", [b"", b"short", b"canary" * 20, b"\xff\xfe" * 22])
def test_a_damaged_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StartRefused, match="32 bytes") as in_file:
        KeyFile.load_or_create(path)
    with pytest.raises(StartRefused, match="32 bytes") as handed_over:
        KeyFile.from_bytes(content)
    assert "canary" not in f"{in_file.value} {handed_over.value}"
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "journal.key"
    KeyFile.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(StartRefused, match="chmod 600"):
        KeyFile.load_or_create(path)


def test_a_key_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="absent"):
        KeyFile.load_or_create(tmp_path / "absent" / "journal.key")


def test_a_sealed_value_shows_nothing_and_differs_each_time() -> None:
    key = KeyFile(Fernet.generate_key())
    first, second = key.seal("opensesame"), key.seal("opensesame")
    assert first != second
    assert "opensesame" not in first + second


def test_an_altered_or_foreign_seal_is_not_opened() -> None:
    key = KeyFile(Fernet.generate_key())
    sealed = key.seal("opensesame")
    for bad in (sealed[:-4] + "AAA=", "", "rubbish", KeyFile(Fernet.generate_key()).seal("x")):
        with pytest.raises(Internal):
            key.open(bad)


def test_a_digest_depends_on_key_content_and_where_parts_end() -> None:
    key = KeyFile(Fernet.generate_key())
    assert key.digest(b"a", b"bc") == key.digest(b"a", b"bc")
    other = KeyFile(Fernet.generate_key())
    assert len({key.digest(b"a", b"bc"), key.digest(b"ab", b"c"), other.digest(b"a", b"bc")}) == 3


def test_a_key_does_not_show() -> None:
    clear = Fernet.generate_key()
    assert clear.decode() not in repr(KeyFile(clear))
