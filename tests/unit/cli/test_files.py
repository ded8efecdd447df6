import json
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.files import _Loader, load
from tests.unit.cli.desk import write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        ("12:30", "12:30"),
        ("no", "no"),
        ("on", "on"),
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("128", 128),
        ("-1.5", -1.5),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("'128'", "128"),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_reads_them(tmp_path: Path, text: str, value: object) -> None:
    assert load(write(tmp_path / "a.yaml", f"key: {text}\n")) == {"key": value}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "a: 1\nb: [\n", ":3: "),
        ("a.yaml", "a: 1\nb: 2\na: 3\n", ":3: 'a' is given twice"),
        ("a.yaml", "- 1\n", "an object with the arguments is expected"),
        ("a.yaml", "", "an object with the arguments is expected"),
        ("a.yaml", "1: 2\n", "an object with the arguments is expected"),
        ("a.yaml", "a: !!python/object/apply:os.getpid []\n", ":1: "),
        ("a.yaml", "a: \x00\n", "special characters are not allowed"),
        ("a.json", '{"a": 1,\n}', ":2: "),
        ("a.json", "a: 1", ":1: "),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        load(write(tmp_path / name, text))
    assert caught.value.message.startswith(str(tmp_path / name))
    assert words in caught.value.message


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="No such file"):
        load(str(tmp_path / "none.yaml"))
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(click.UsageError, match="UTF-8"):
        load(str(tmp_path / "a.yaml"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text("abc", min_size=1), s, max_size=3),
    max_leaves=10,
)


@given(values)
def test_json_read_as_yaml_is_the_same_data(value: Any) -> None:
    assert yaml.load(json.dumps({"a": value}), _Loader) == {"a": value}
