"""Bad arguments: each field named as the caller wrote it, with a mend, and nothing repeated."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from agent.errors import InvalidRequest
from agent.rpc.schema import METHODS
from agent.rpc.schema.params import Spawn
from agent.rpc.shape import Shape, shape_of
from agent.rpc.validation import nearest, validate


def spawn(**changes: Any) -> dict[str, Any]:
    return {"instance": {"uuid": str(uuid4()), "name": "vm", "vcpus": 1, "memory_mb": 64, **changes}}


def fields_of(method: str, args: dict[str, Any]) -> list[dict[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        validate(METHODS[method], args)
    fields = caught.value.details["fields"]
    assert str(caught.value).startswith(f"{fields[0]['path']}: {fields[0]['problem']}; {fields[0]['mend']}")
    return list(fields)


def test_good_arguments_become_params() -> None:
    params = validate(METHODS["spawn"], spawn())
    assert isinstance(params, Spawn)
    assert params.instance.vcpus == 1


IMAGE = {"kind": "image", "image": {"url": "/images/a.qcow2"}}

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"disks": [{"kind": "image", "image": {"url": "ftp://x"}}]}, "instance.disks[0].image.url", "must match"),
    ({"disks": [IMAGE, {"kind": "image"}]}, "instance.disks[1].image", "required"),
    (
        {"disks": [{"kind": "image", "image": {"url": "/a", "format": "vmdk"}}]},
        "instance.disks[0].image.format",
        "'qcow2'",
    ),
    ({"disks": [{"kind": "floppy"}]}, "instance.disks[0]", "'blank'"),
    ({"disks": [{"size_mb": 1}]}, "instance.disks[0]", "'kind'"),
    ({"disks": [{"kind": "blank", "size_md": 1, "size_mb": 1}]}, "instance.disks[0].size_md", "'size_mb'"),
    ({"disks": [{"kind": "blank", "size_mb": 0}]}, "instance.disks[0].size_mb", "greater than or equal to 1"),
    ({"interfaces": [{"type": "bridge", "bridge": "br 0"}]}, "instance.interfaces[0].bridge", "must match"),
    ({"memory_gb": 1}, "instance.memory_gb", "'memory_mb'"),
    ({"interfaces": [{"type": "user", "dns_servers": [5]}]}, "instance.interfaces[0].dns_servers[0]", "a text"),
    (
        {"interfaces": [{"type": "user", "fixed_ips": [{"address": False}]}]},
        "instance.interfaces[0].fixed_ips[0].address",
        "a text",
    ),
    (
        {
            "interfaces": [
                {
                    "type": "user",
                    "fixed_ips": [
                        {"address": "192.0.2.5/24", "routes": [{"destination": 1, "gateway": "192.0.2.1"}]}
                    ],
                }
            ]
        },
        "instance.interfaces[0].fixed_ips[0].routes[0].destination",
        "a text",
    ),
    ({"vcpus": "many"}, "instance.vcpus", "integer"),
    ({"vcpus": 1e400}, "instance.vcpus", "finite"),
    ({"uuid": "nope"}, "instance.uuid", "a UUID"),
    ({"metadata": {"k": 7}}, "instance.metadata.k", "string"),
    ({"config_drive": {"admin_pass": 12}}, "instance.config_drive.admin_pass", "send a string"),
    ({"config_drive": {"files": [{"path": "/a"}]}}, "instance.config_drive.files[0].content", "required"),
]


@pytest.mark.parametrize(("changes", "path", "mend"), CASES)
def test_the_field_is_named_as_the_caller_wrote_it(changes: dict[str, Any], path: str, mend: str) -> None:
    field = fields_of("spawn", spawn(**changes))[0]
    assert field["path"] == path
    assert mend in field["mend"]


def test_a_misspelt_argument_is_told_the_right_name() -> None:
    fields = fields_of("stop", {"instance_uid": "x"})
    by_path = {field["path"]: field for field in fields}
    assert by_path["instance_uid"]["mend"] == "did you mean 'instance_uuid'?"
    assert by_path["instance_uuid"]["problem"] == "is missing"


def test_a_field_like_no_other_is_told_all_names() -> None:
    (field,) = fields_of("ping", {"zzz": 1}) or [{}]
    assert field["path"] == "zzz"
    (field,) = [f for f in fields_of("get_instance", {"zzz": 1}) if f["path"] == "zzz"]
    assert "instance_uuid" in field["mend"]


def test_many_errors_are_counted_and_the_first_twenty_told() -> None:
    args = spawn(disks=[{"kind": "blank", "size_mb": 0} for _ in range(30)])
    with pytest.raises(InvalidRequest, match="and 29 more") as caught:
        validate(METHODS["spawn"], args)
    assert len(caught.value.details["fields"]) == 20


@pytest.mark.parametrize(
    "args",
    [
        spawn(config_drive={"admin_pass": ["hunter2"]}),
        spawn(config_drive={"admin_pass": {"sealed": "hunter2"}}),
        spawn(config_drive={"adminpass": "hunter2"}),
        spawn(config_drive="hunter2"),
        spawn(uuid="hunter2"),
        spawn(name="hunter2 "),
        spawn(vcpus="hunter2"),
        spawn(disks="hunter2"),
        spawn(disks=[{"kind": "hunter2"}]),
        spawn(firmware="hunter2"),
        spawn(interfaces=[{"type": "user", "mac_address": "hunter2", "dns_servers": ["hunter2"]}]),
        spawn(interfaces=[{"type": "user", "fixed_ips": [{"address": "hunter2"}]}]),
        {**spawn(), "not_after": "hunter2"},
        {**spawn(), "if_generation": "hunter2"},
        {**spawn(), "idempotency_key": {"a": "hunter2"}},
    ],
)
def test_a_refused_value_is_never_repeated(args: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(METHODS["spawn"], args)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.details)


@pytest.mark.parametrize("key", ["k" * 10_000, "\x00" + "k" * 10_000, "\x1b[2J"])
def test_a_monstrous_key_is_shown_short_and_printable(key: str) -> None:
    (field,) = fields_of("ping", {key: 1})
    assert len(field["path"]) < 80
    assert field["path"].isprintable()


def test_the_nearest_name_is_one_that_is_near() -> None:
    assert nearest("atach_volume", METHODS) == "attach_volume"
    assert nearest("frobnicate", METHODS) is None


def secrets_in_json_schema(schema: dict[str, Any]) -> int:
    """How often the published schema says "writeOnly"."""
    return str(schema).count("'writeOnly': True")


def secrets_in(shape: Shape, seen: set[int]) -> int:
    if id(shape) in seen:
        return 0
    seen.add(id(shape))
    below = [*shape.fields.values(), *shape.variants.values(), *([shape.items] if shape.items else [])]
    return int(shape.secret) + sum(secrets_in(inner, seen) for inner in below)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_every_secret_of_the_published_schema_is_known(method: Any) -> None:
    assert secrets_in(shape_of(method.params), set()) == secrets_in_json_schema(method.params.model_json_schema())


def test_something_is_secret_at_all() -> None:
    assert secrets_in(shape_of(Spawn), set()) >= 4
