from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InvalidRequest
from agent.hypervisor.storage.receiving import Receiving

CHUNKS = st.lists(st.one_of(st.binary(min_size=1, max_size=64), st.integers(1, 9000).map(bytes)), max_size=8)


@given(CHUNKS, st.sampled_from(["sha256", "sha512"]))
def test_what_comes_in_is_what_lies_there_holes_or_not(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], algorithm: str
) -> None:
    path = tmp_path_factory.mktemp("in") / "disk"
    receiving = Receiving(path, algorithm, max_bytes=10**6)
    for chunk in chunks:
        receiving.write(chunk)
    digest = receiving.finish()
    receiving.close()
    whole = b"".join(chunks)
    assert path.read_bytes() == whole
    assert digest == hashlib.new(algorithm, whole).hexdigest()


def test_zeroes_take_no_room(tmp_path: Path) -> None:
    receiving = Receiving(tmp_path / "disk", None, max_bytes=10**9)
    for _ in range(64):
        receiving.write(bytes(1024 * 1024))
    receiving.finish()
    receiving.close()
    stat = (tmp_path / "disk").stat()
    assert stat.st_size == 64 * 1024 * 1024
    assert stat.st_blocks * 512 < 1024 * 1024


def test_more_than_the_bound_is_refused(tmp_path: Path) -> None:
    receiving = Receiving(tmp_path / "disk", None, max_bytes=10)
    receiving.write(b"x" * 10)
    with pytest.raises(InvalidRequest, match="larger"):
        receiving.write(b"x")
    receiving.close()
