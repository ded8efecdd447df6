"""Every field of the schema means something: another value makes another spec, or another first state."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from agent.operations.control import Control
from agent.rpc import convert
from agent.rpc.schema import METHODS, instance, params
from agent.rpc.schema.base import InstanceParams, Params
from agent.rpc.schema.instance import Instance
from agent.rpc.validation import validate

Fields = dict[str, Any]
UUID = "7b1f1b0e-28a7-4a0b-9a50-2a7d3c3f0a11"
OTHER = "0f0e0d0c-0b0a-4908-8706-050403020100"
SHA = "sha256:" + "0" * 64
IMAGE = {"url": "file:///images/a.qcow2"}


def disk(kind: str, **more: Any) -> Fields:
    needed: Fields = {"image": {"image": IMAGE}, "volume": {"connection_info": volume()["connection_info"]}}
    return {"disks": [{"kind": kind, **needed.get(kind, {"size_mb": 1}), **more}]}


def volume(kind: str = "file", serial: str | None = "v1", **data: Any) -> Fields:
    places: Fields = {"file": {"path": "/v"}, "local": {"device_path": "/dev/v"}, "nbd": {}}
    info = {"driver_volume_type": kind, "serial": serial, "data": {**places[kind], **data}}
    return {"kind": "volume", "connection_info": info}


def volumes(kind: str = "file", serial: str | None = "v1", **data: Any) -> Fields:
    return {"disks": [volume(kind, serial, **data)]}


def nic(type: str = "bridge", **more: Any) -> Fields:
    return {"interfaces": [{"type": type, **({"bridge": "br0"} if type == "bridge" else {}), **more}]}


def address(**more: Any) -> Fields:
    return nic(fixed_ips=[{"address": "192.0.2.5/24", **more}])


def route(destination: str, gateway: str) -> Fields:
    return address(routes=[{"destination": destination, "gateway": gateway}])


def file(path: str, content: str) -> Fields:
    return {"config_drive": {"files": [{"path": path, "content": content}]}}


def image(**more: Any) -> Fields:
    return disk("image", image={**IMAGE, **more})


# Of each field two requests that differ in it alone.
PAIRS: dict[tuple[str, str], tuple[Fields, Fields]] = {
    ("Instance", "uuid"): ({}, {"uuid": OTHER}),
    ("Instance", "name"): ({}, {"name": "other"}),
    ("Instance", "vcpus"): ({}, {"vcpus": 2}),
    ("Instance", "memory_mb"): ({}, {"memory_mb": 128}),
    ("Instance", "disks"): ({}, disk("blank")),
    ("Instance", "interfaces"): ({}, nic()),
    ("Instance", "config_drive"): ({}, {"config_drive": {}}),
    ("Instance", "cpu"): ({}, {"cpu": {"mode": "maximum"}}),
    ("Instance", "machine"): ({}, {"machine": {"type": "pc"}}),
    ("Instance", "firmware"): ({}, {"firmware": "uefi"}),
    ("Instance", "clock"): ({}, {"clock": "localtime"}),
    ("Instance", "console"): ({}, {"console": {"log": False}}),
    ("Instance", "graphics"): ({}, {"graphics": {"type": "none"}}),
    ("Instance", "guest_agent"): ({}, {"guest_agent": False}),
    ("Instance", "metadata"): ({}, {"metadata": {"a": "b"}}),
    ("Instance", "owner"): ({}, {"owner": {"user_id": "u"}}),
    ("DiskBase", "id"): (disk("blank"), disk("blank", id="other")),
    ("DiskBase", "bus"): (disk("blank"), disk("blank", bus="scsi")),
    ("DiskBase", "boot_index"): (disk("blank"), disk("blank", boot_index=1)),
    ("DiskBase", "serial"): (disk("blank"), disk("blank", serial="s")),
    ("DiskBase", "cache"): (disk("blank"), disk("blank", cache="none")),
    ("ImageDisk", "image"): (image(), image(url="file:///images/b.qcow2")),
    ("ImageDisk", "size_mb"): (disk("image"), disk("image", size_mb=1)),
    ("Image", "url"): (image(), image(url="file:///images/b.qcow2")),
    ("Image", "format"): (image(), image(format="raw")),
    ("Image", "checksum"): (image(), image(checksum=SHA)),
    ("BlankDisk", "size_mb"): (disk("blank"), disk("blank", size_mb=2)),
    ("BlankDisk", "format"): (disk("blank"), disk("blank", format="raw")),
    ("EphemeralDisk", "size_mb"): (disk("ephemeral"), disk("ephemeral", size_mb=2)),
    ("EphemeralDisk", "filesystem"): (disk("ephemeral"), disk("ephemeral", filesystem="vfat")),
    ("EphemeralDisk", "label"): (disk("ephemeral"), disk("ephemeral", label="other")),
    ("SwapDisk", "size_mb"): (disk("swap"), disk("swap", size_mb=2)),
    ("VolumeDisk", "connection_info"): (volumes(), volumes(serial="v2")),
    ("VolumeDisk", "device"): (disk("volume"), disk("volume", device="/dev/vdx")),
    ("ConnectionInfo", "driver_volume_type"): (volumes("file"), volumes("local")),
    ("ConnectionInfo", "data"): (volumes(), volumes(path="/other")),
    ("ConnectionInfo", "serial"): (volumes(), volumes(serial="v2")),
    ("VolumeData", "volume_id"): (volumes(serial=None, volume_id="a"), volumes(serial=None, volume_id="b")),
    ("VolumeData", "access_mode"): (volumes(), volumes(access_mode="ro")),
    ("VolumeData", "auth_username"): (volumes(), volumes(auth_username="u")),
    ("VolumeData", "auth_password"): (volumes(), volumes(auth_password="p")),
    ("VolumeData", "device_path"): (volumes("local"), volumes("local", device_path="/dev/w")),
    ("VolumeData", "path"): (volumes(), volumes(path="/w")),
    ("VolumeData", "format"): (volumes(), volumes(format="qcow2")),
    ("VolumeData", "host"): (volumes("nbd", host="a", port=1), volumes("nbd", host="b", port=1)),
    ("VolumeData", "port"): (volumes("nbd", host="a", port=1), volumes("nbd", host="a", port=2)),
    ("VolumeData", "socket"): (volumes("nbd", socket="/a"), volumes("nbd", socket="/b")),
    ("VolumeData", "export"): (volumes("nbd", socket="/a"), volumes("nbd", socket="/a", export="x")),
    ("InterfaceBase", "port_id"): (nic(), nic(port_id="p")),
    ("InterfaceBase", "mac_address"): (nic(), nic(mac_address="52:54:00:00:00:01")),
    ("InterfaceBase", "model"): (nic(), nic(model="e1000")),
    ("InterfaceBase", "mtu"): (nic(), nic(mtu=9000)),
    ("InterfaceBase", "fixed_ips"): (nic(), address()),
    ("InterfaceBase", "dns_servers"): (nic(), nic(dns_servers=["192.0.2.1"])),
    ("BridgeInterface", "bridge"): (nic(), nic(bridge="br1")),
    ("NetworkInterface", "network"): (nic("network", network="a"), nic("network", network="b")),
    ("FixedIp", "address"): (address(), address(address="192.0.2.6/24")),
    ("FixedIp", "gateway"): (address(), address(gateway="192.0.2.1")),
    ("FixedIp", "routes"): (address(), route("192.0.2.0/24", "192.0.2.1")),
    ("Route", "destination"): (route("192.0.2.0/24", "192.0.2.1"), route("198.51.100.0/24", "192.0.2.1")),
    ("Route", "gateway"): (route("192.0.2.0/24", "192.0.2.1"), route("192.0.2.0/24", "192.0.2.2")),
    **{
        ("ConfigDrive", name): ({"config_drive": {}}, {"config_drive": {name: value}})
        for name, value in {
            "hostname": "h",
            "meta": {"a": "b"},
            "user_data": "#!",
            "admin_pass": "p",
            "public_keys": {"a": "ssh-rsa"},
            "files": [{"path": "/f", "content": ""}],
        }.items()
    },
    ("InjectedFile", "path"): (file("/a", ""), file("/b", "")),
    ("InjectedFile", "content"): (file("/a", ""), file("/a", "AAAA")),
    ("Cpu", "mode"): ({}, {"cpu": {"mode": "maximum"}}),
    ("Cpu", "model"): ({"cpu": {"mode": "custom", "model": "a"}}, {"cpu": {"mode": "custom", "model": "b"}}),
    ("Cpu", "sockets"): ({}, {"cpu": {"sockets": 1}}),
    ("Cpu", "cores"): ({}, {"cpu": {"cores": 1}}),
    ("Cpu", "threads"): ({}, {"cpu": {"threads": 1}}),
    ("Machine", "type"): ({}, {"machine": {"type": "pc"}}),
    ("Machine", "hotplug_ports"): ({}, {"machine": {"hotplug_ports": 1}}),
    ("Console", "type"): ({}, {"console": {"type": "unix"}}),
    ("Console", "log"): ({}, {"console": {"log": False}}),
    ("Graphics", "type"): ({}, {"graphics": {"type": "none"}}),
    ("Owner", "project_id"): ({}, {"owner": {"project_id": "p"}}),
    ("Owner", "user_id"): ({}, {"owner": {"user_id": "u"}}),
}


def spec(fields: Fields) -> object:
    return convert.instance(
        Instance.model_validate({"uuid": UUID, "name": "vm1", "vcpus": 1, "memory_mb": 64, **fields})
    )


@pytest.mark.parametrize("field", PAIRS, ids=".".join)
def test_another_value_of_a_field_makes_another_spec(field: tuple[str, str]) -> None:
    one, other = PAIRS[field]
    assert spec(one) == spec(one)
    assert spec(one) != spec(other)


def test_no_field_of_an_instance_is_left_out_above() -> None:
    assert set(fields_of(Instance)) == set(PAIRS)


# --- arguments of the methods ---

ABOUT: Fields = {"instance_uuid": UUID}
OPERATION: Fields = {"operation_id": UUID}
VOLUME = volume()["connection_info"]
ATTACH: Fields = {**ABOUT, "connection_info": VOLUME}
ARGUMENTS: dict[tuple[str, str], tuple[Fields, Fields]] = {
    ("Spawn", "instance"): (
        {"instance": {"uuid": UUID, "name": "a", "vcpus": 1, "memory_mb": 64}},
        {"instance": {"uuid": UUID, "name": "b", "vcpus": 1, "memory_mb": 64}},
    ),
    ("Destroy", "delete_disks"): (ABOUT, ABOUT | {"delete_disks": False}),
    ("AttachVolume", "connection_info"): (ATTACH, ATTACH | {"connection_info": VOLUME | {"serial": "v2"}}),
    ("AttachVolume", "device"): (ATTACH, ATTACH | {"device": "vdx"}),
    ("AttachVolume", "bus"): (ATTACH, ATTACH | {"bus": "scsi"}),
    ("AttachVolume", "boot_index"): (ATTACH, ATTACH | {"boot_index": 1}),
    ("DetachVolume", "volume_id"): (ABOUT | {"volume_id": "a"}, ABOUT | {"volume_id": "b"}),
    ("AttachInterface", "vif"): (ABOUT | {"vif": {"type": "user"}}, ABOUT | {"vif": nic()["interfaces"][0]}),
    ("DetachInterface", "port_id"): (ABOUT | {"port_id": "a"}, ABOUT | {"port_id": "b"}),
    ("Stop", "graceful"): (ABOUT, ABOUT | {"graceful": False}),
    ("Stop", "timeout_s"): (ABOUT, ABOUT | {"timeout_s": 1}),
    ("Reboot", "mode"): (ABOUT, ABOUT | {"mode": "hard"}),
    ("Reboot", "timeout_s"): (ABOUT, ABOUT | {"timeout_s": 1}),
}
CHANGES = {method.params.__name__: method for method in METHODS.values() if method.kind == "change"}


def state(model: str, args: Fields) -> object:
    method = CHANGES[model]
    return convert.STATES[method.name](validate(method, args))


@pytest.mark.parametrize("field", ARGUMENTS, ids=".".join)
def test_another_argument_makes_another_first_state(field: tuple[str, str]) -> None:
    one, other = ARGUMENTS[field]
    assert state(field[0], one) != state(field[0], other)


@pytest.mark.parametrize("model", [name for name in CHANGES if name != "Spawn"])
def test_whom_a_method_is_about_is_in_its_first_state(model: str) -> None:
    needed = next((one for (owner, _), (one, _) in ARGUMENTS.items() if owner == model), None)
    about = OPERATION if issubclass(CHANGES[model].params, params.OperationParams) else ABOUT
    one = needed or about
    other = one | {name: OTHER for name in about}
    assert state(model, one) != state(model, other)
    assert isinstance(state(model, one), Control) == (about is OPERATION)


def test_no_argument_of_a_changing_method_is_left_out_above() -> None:
    shared = {*InstanceParams.model_fields, *params.OperationParams.model_fields, *Params.model_fields}
    own = {(name, field) for name, method in CHANGES.items() for field in method.params.model_fields}
    assert {(name, field) for name, field in own if field not in shared} == set(ARGUMENTS)


# --- the schema, walked ---


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Class and name of each field below `model`, but those that say which variant it is."""
    for kind in {model, *reachable(model)}:
        for name, info in kind.model_fields.items():
            if typing.get_origin(info.annotation) is typing.Literal and len(typing.get_args(info.annotation)) == 1:
                continue
            yield declared(kind, name), name


def declared(kind: type[BaseModel], name: str) -> str:
    """The class that has it first."""
    return [above.__name__ for above in kind.__mro__ if name in vars(above).get("__annotations__", {})][-1]


def reachable(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for info in kind.model_fields.values():
            yield from reachable(info.annotation)
    elif isinstance(kind, types.GenericAlias | types.UnionType) or typing.get_origin(kind) is not None:
        for part in typing.get_args(kind):
            yield from reachable(part)


def test_the_walk_finds_what_lies_deep() -> None:
    assert {instance.Route, instance.VolumeData, instance.InjectedFile} <= set(reachable(Instance))
