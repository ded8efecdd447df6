"""What strangers send: real inputs of the corpus, spoiled; as bytes, or as documents that are still JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
Way = tuple[str | int, ...]


def corpus(room: str) -> dict[str, bytes]:
    """The inputs of one room by name. An input that once broke something stays here for good."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / room).iterdir())}


def documents(room: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in corpus(room).values()]


@st.composite
def spoiled(draw: st.DrawFn, seeds: Sequence[bytes], longest: int = 60_000) -> bytes:
    """A seed with up to four places cut out, overwritten, filled, repeated, or with a piece of another seed."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 40)))
        data = data[:begin] + draw(_instead_of(data[begin:end], seeds)) + data[end:]
    return data[:longest]


def _instead_of(old: bytes, seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    pieces = st.sampled_from(seeds).flatmap(
        lambda seed: st.integers(0, len(seed)).map(lambda at: seed[at : at + 40])
    )
    return st.one_of(
        st.just(b""),
        st.binary(max_size=12),
        st.sampled_from([b"\0" * 8, b"\xff" * 8, b"\xed\xa0\x80", b"1" * 5000, b"\x7f\xff\xff\xff"]),
        st.integers(2, 1000).map(lambda times: old * times),
        pieces,
    )


WILD: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers() | st.sampled_from([2**63, 10**400, -1, 0, 65536]),
    st.text(max_size=20),
    st.sampled_from(
        [
            "http://[",
            "https://[::1",
            "http://a\u2100b/",
            "file:////..//x",
            "//",
            "/..",
            "fe80::1%a b/64",
            "0.0.0.0/0",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "=",
            "a" * 300,
            "\x00",
            "\ufffe",
        ]
    ),
    st.builds(list) | st.builds(dict) | st.lists(st.integers(), max_size=3),
    st.integers(1, 150).map(lambda depth: json.loads('{"a":' * depth + "1" + "}" * depth)),
)


@st.composite
def wild_documents(draw: st.DrawFn, seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A seed in which up to three values are something else, gone, many, or under another name."""
    document: dict[str, Any] = deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 3))):
        ways = list(places(document))
        if ways:
            _spoil(document, draw(st.sampled_from(ways)), draw)
    return document


def places(value: Any, way: Way = ()) -> Iterator[Way]:
    """The way to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (*way, step)
        yield from places(inner, (*way, step))


def holder(document: Any, way: Way) -> Any:
    """What the last step of a way leads out of."""
    for step in way[:-1]:
        document = document[step]
    return document


def _spoil(document: dict[str, Any], way: Way, draw: st.DrawFn) -> None:
    inside, step = holder(document, way), way[-1]
    draw(st.sampled_from([_replace, _remove, _multiply, _rename]))(inside, step, draw)


def _replace(inside: Any, step: Any, draw: st.DrawFn) -> None:
    inside[step] = draw(WILD)


def _remove(inside: Any, step: Any, draw: st.DrawFn) -> None:
    del inside[step]


def _multiply(inside: Any, step: Any, draw: st.DrawFn) -> None:
    many: Callable[[Any], Any] = (
        list if draw(st.booleans()) else lambda items: {str(k): v for k, v in enumerate(items)}
    )
    inside[step] = many([inside[step]] * draw(st.integers(0, 300)))


def _rename(inside: Any, step: Any, draw: st.DrawFn) -> None:
    value = inside.pop(step)
    if isinstance(inside, dict):
        inside[draw(st.text(max_size=8) | st.sampled_from(["", "\x00", "k" * 300, f"{step}s"]))] = value
