"""A header of any image or volume: its size, or InvalidRequest. A parser that stumbles or hangs is the failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InvalidRequest
from agent.hypervisor.storage.inspection import inspect
from agent.spec import DiskFormat
from tests.fuzz.mutations import corpus, spoiled

HEADS = corpus("images")
PLACES = [0, 0, 0, 512, 0x8000, 64 * 1024, 128 * 1024, 192 * 1024]
"""Where formats look for themselves."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "image"


def judge(path: Path, content: bytes, declared: DiskFormat) -> int | None:
    path.write_bytes(content)
    try:
        return inspect(path, declared, "image.format")
    except InvalidRequest as error:
        (field,) = error.details["fields"]
        assert field["path"] == "image.format"
        return None


@pytest.mark.parametrize("name", HEADS)
def test_no_head_of_the_corpus_passes_for_another_format(image: Path, name: str) -> None:
    content = HEADS[name].ljust(1024 * 1024, b"\0")
    assert (judge(image, content, DiskFormat.QCOW2) is not None) == (name in {"qcow2.bin", "qcow2-v2.bin"})
    assert (judge(image, content, DiskFormat.RAW) is not None) == (name == "mbr.bin")


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), spoiled(list(HEADS.values()), longest=4096)), min_size=1, max_size=3
    ),
    st.sampled_from(DiskFormat),
    st.sampled_from([100, 512, 4096, 300 * 1024]),
)
def test_any_header_is_judged(
    image: Path, parts: list[tuple[int, bytes]], declared: DiskFormat, size: int
) -> None:
    content = bytearray(size)
    for place, part in parts:
        content[place : place + len(part)] = part
    size_seen = judge(image, bytes(content[:size]), declared)
    assert size_seen is None or size_seen >= 0
