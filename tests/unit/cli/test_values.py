from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.values import Secrets, Tree, merged, object_of, pair_of, put, scalar, shape_at
from agent.rpc.schema.params import AttachVolume, Spawn
from agent.rpc.shape import shape_of
from agent.secret import Secret


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("kind=blank,size_mb=100", {"kind": "blank", "size_mb": "100"}),
        ("image.url=/a,image.format=raw", {"image": {"url": "/a", "format": "raw"}}),
        ("fixed_ips.0.address=192.0.2.5/24", {"fixed_ips": [{"address": "192.0.2.5/24"}]}),
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("url=https://h/?a=b", {"url": "https://h/?a=b"}),
        ("size_mb=null", {"size_mb": None}),
        ("empty=", {"empty": ""}),
    ],
)
def test_an_object_is_pairs_or_json(text: str, tree: Tree) -> None:
    assert object_of(text) == tree


@pytest.mark.parametrize("text", ["blank", "=x", "a=1,b", "[1]", "{broken", '"a"', ""])
def test_what_is_neither_pairs_nor_an_object_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError):
        object_of(text)


def test_a_pair_that_is_wrong_is_not_repeated_as_it_may_be_a_secret() -> None:
    with pytest.raises(click.UsageError) as caught:
        pair_of("hunter2")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("text", ["1", "true", "no", "2030-01-01", "52:54:00:12:34:56", "1e3"])
def test_a_plain_value_stays_text_as_the_schema_knows_best(text: str) -> None:
    assert scalar(text) == text


def test_a_place_in_a_list_is_replaced_and_the_next_one_added() -> None:
    tree: Tree = {"disks": [{"size_mb": 1}]}
    put(tree, "disks.0.size_mb", 2)
    put(tree, "disks.1.size_mb", 3)
    put(tree, "tags.0", "a")
    assert tree == {"disks": [{"size_mb": 2}, {"size_mb": 3}], "tags": ["a"]}


@pytest.mark.parametrize("path", ["disks.2.x", "disks.one", "name.first", "name.0", "disks.0.size_mb.x.y"])
def test_a_path_that_leads_nowhere_is_wrong_usage(path: str) -> None:
    with pytest.raises(click.UsageError, match=r"^" + path.split(".")[0]):
        put({"disks": [{"size_mb": 1}], "name": "a"}, path, 1)


def test_a_null_on_the_way_is_filled() -> None:
    tree: Tree = {"cpu": None}
    put(tree, "cpu.mode", "maximum")
    assert tree == {"cpu": {"mode": "maximum"}}


trees = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda s: st.dictionaries(st.sampled_from("abc"), s, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@given(trees)
def test_merging_a_tree_with_itself_or_with_nothing_changes_nothing(tree: Tree) -> None:
    assert merged(tree, tree) == tree
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree


@given(trees, trees)
def test_what_stands_above_has_the_last_word(below: Tree, above: Tree) -> None:
    result = merged(below, above)
    assert merged(result, above) == result
    assert result.keys() == below.keys() | above.keys()


SPAWN, ATTACH = shape_of(Spawn), shape_of(AttachVolume)


def test_secrets_come_from_a_prompt_a_file_or_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("from file\n")
    secrets = Secrets(ask=lambda what: f"asked for {what}", environ={"PW": "from variable"})
    drive = {"admin_pass": "-", "user_data": f"@{file}", "files": [{"path": "/x", "content": "env:PW"}]}
    resolved = secrets.resolve({"instance": {"config_drive": drive}}, SPAWN)
    assert resolved["instance"]["config_drive"] == {
        "admin_pass": "asked for admin pass",
        "user_data": "from file",
        "files": [{"path": "/x", "content": "from variable"}],
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hunter2", "can be read by every user"),
        ("env:NONE", "no environment variable NONE"),
        ("@/none", "No such file"),
    ],
)
def test_a_secret_on_the_command_line_itself_is_refused(value: str, words: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        Secrets(environ={}).resolve({"connection_info": {"data": {"auth_password": value}}}, ATTACH)
    assert words in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_secret_in_a_disk_is_found_also_before_its_kind_is_known() -> None:
    disk = {"connection_info": {"data": {"auth_password": "hunter2"}}}
    with pytest.raises(click.UsageError, match="auth_password"):
        Secrets(environ={}).resolve({"instance": {"disks": [disk]}}, SPAWN)


def test_what_was_read_as_a_secret_is_taken_as_it_is() -> None:
    resolved = Secrets().resolve({"config_drive": {"user_data": Secret("-")}}, SPAWN)
    assert resolved == {"config_drive": {"user_data": "-"}}


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("instance.config_drive.admin_pass", True),
        ("instance.disks.0.connection_info.data.auth_password", True),
        ("instance.config_drive.files.3.content", True),
        ("instance.name", False),
        ("instance.no.such.thing", False),
        ("instance.metadata.password", False),
    ],
)
def test_the_shape_at_a_path_says_whether_a_secret_belongs_there(path: str, secret: bool) -> None:
    assert shape_at(SPAWN, {}, path).secret is secret
