"""From the published schema to the inner spec: names decided, twins refused, every field carried over."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.errors import InvalidRequest, Unsupported
from agent.rpc import convert
from agent.rpc.schema import METHODS
from agent.rpc.schema.instance import ConnectionInfo, Instance
from agent.spec import FileVolume, InstanceSpec, LocalVolume, NbdVolume

UUID = "7b1f1b0e-28a7-4a0b-9a50-2a7d3c3f0a11"


def asked(**fields: Any) -> Instance:
    return Instance.model_validate({"uuid": UUID, "name": "vm1", "vcpus": 1, "memory_mb": 64, **fields})


def first_state(method: str, **args: Any) -> Any:
    model = METHODS[method].params
    return convert.STATES[method](model.model_validate({"instance_uuid": UUID, **args}))


def path_of(error: pytest.ExceptionInfo[InvalidRequest]) -> str:
    return str(error.value.details["fields"][0]["path"])


def test_every_changing_method_has_a_first_state() -> None:
    assert set(convert.STATES) == {name for name, method in METHODS.items() if method.kind == "change"}


def test_the_same_request_always_gets_the_same_names() -> None:
    request = asked(
        disks=[{"kind": "blank", "size_mb": 1}, {"kind": "swap", "size_mb": 1}], interfaces=[{"type": "user"}]
    )
    first, second = convert.instance(request), convert.instance(request)
    assert first == second
    assert [disk.id for disk in first.disks] == ["disk0", "disk1"]


def test_a_mac_address_is_unicast_and_made_from_the_port() -> None:
    spec = convert.instance(
        asked(interfaces=[{"type": "user", "port_id": "p1"}, {"type": "user", "port_id": "p2"}])
    )
    first, second = (interface.mac_address for interface in spec.interfaces)
    assert first != second
    assert first.startswith("52:54:00:")
    # As every version of the agent makes it: what was asked for before an upgrade is known after it.
    assert convert.mac_address("p1") == first == "52:54:00:f6:45:51"


def test_a_given_mac_address_is_kept() -> None:
    spec = convert.instance(asked(interfaces=[{"type": "user", "mac_address": "FA:16:3E:00:00:01"}]))
    assert spec.interfaces[0].mac_address == "fa:16:3e:00:00:01"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (
            {"disks": [{"kind": "swap", "size_mb": 1, "id": "a"}, {"kind": "swap", "size_mb": 1, "id": "a"}]},
            "instance.disks[1].id",
        ),
        (
            {"interfaces": [{"type": "user", "port_id": "p"}, {"type": "user", "port_id": "p"}]},
            "instance.interfaces[1].port_id",
        ),
        (
            {"interfaces": [{"type": "user", "mac_address": "52:54:00:00:00:01"}] * 2},
            "instance.interfaces[1].mac_address",
        ),
    ],
)
def test_what_must_differ_and_does_not_is_refused_by_name(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        convert.instance(asked(**fields))
    assert path_of(error) == path


@pytest.mark.parametrize(
    ("kind", "data", "target"),
    [
        ("local", {"device_path": "/dev/vg/v"}, LocalVolume),
        ("file", {"path": "/volumes/v.qcow2", "format": "qcow2"}, FileVolume),
        ("nbd", {"host": "192.0.2.1", "port": 10809, "export": "v"}, NbdVolume),
        ("nbd", {"socket": "/run/nbd.sock"}, NbdVolume),
    ],
)
def test_a_connection_becomes_the_volume_of_its_type(kind: str, data: dict[str, Any], target: type) -> None:
    info = ConnectionInfo.model_validate({"driver_volume_type": kind, "data": {**data, "volume_id": "v1"}})
    connection = convert.connection(info, "connection_info")
    assert isinstance(connection.target, target)
    assert connection.volume_id == "v1"


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        ("local", {}, "connection_info.data.device_path"),
        ("file", {}, "connection_info.data.path"),
        ("nbd", {}, "connection_info.data"),
        ("nbd", {"host": "h", "port": 1, "socket": "/s"}, "connection_info.data"),
        ("nbd", {"host": "h"}, "connection_info.data.port"),
    ],
)
def test_a_connection_without_what_its_type_needs_names_the_field(
    kind: str, data: dict[str, Any], path: str
) -> None:
    info = {"driver_volume_type": kind, "data": data, "serial": "v1"}
    with pytest.raises(InvalidRequest) as error:
        first_state("attach_volume", connection_info=info)
    assert path_of(error) == path


def test_a_volume_is_known_by_its_serial_or_by_its_volume_id() -> None:
    both = {"driver_volume_type": "file", "serial": "v1", "data": {"path": "/v", "volume_id": "v2"}}
    assert convert.connection(ConnectionInfo.model_validate(both), "c").volume_id == "v1"
    with pytest.raises(InvalidRequest) as error:
        first_state("attach_volume", connection_info={"driver_volume_type": "file", "data": {"path": "/v"}})
    assert path_of(error) == "connection_info.serial"


def test_an_interface_that_no_guest_can_have_is_refused_before_anything_is_journaled() -> None:
    with pytest.raises(InvalidRequest) as error:
        first_state("attach_interface", vif={"type": "user", "mtu": 1400})
    assert path_of(error) == "vif.mtu"


def test_a_volume_type_that_this_host_has_not_is_unsupported_by_name() -> None:
    info = ConnectionInfo.model_validate({"driver_volume_type": "rbd", "data": {}, "serial": "v1"})
    with pytest.raises(Unsupported, match="rbd"):
        convert.connection(info, "connection_info")


def test_keys_of_cinder_that_this_host_has_no_use_for_are_no_error() -> None:
    data = {"path": "/v", "volume_id": "v1", "qos_specs": None, "encrypted": False, "multipath": True}
    info = ConnectionInfo.model_validate({"driver_volume_type": "file", "data": data, "status": "reserved"})
    assert convert.connection(info, "c").volume_id == "v1"


def test_a_gateway_of_another_ip_version_is_refused_by_name() -> None:
    interface = {"type": "user", "fixed_ips": [{"address": "192.0.2.5/24", "gateway": "2001:db8::1"}]}
    with pytest.raises(InvalidRequest) as error:
        convert.instance(asked(interfaces=[interface]))
    assert path_of(error) == "instance.interfaces[0].fixed_ips[0].gateway"


@pytest.mark.parametrize("content", ["canary!", "canaries!", "canary\u00e9"])
def test_an_injected_file_that_is_not_base64_is_refused_without_its_content(content: str) -> None:
    drive = {"files": [{"path": "/etc/motd", "content": content}]}
    with pytest.raises(InvalidRequest) as error:
        convert.instance(asked(config_drive=drive))
    assert path_of(error) == "instance.config_drive.files[0].content"
    assert "canar" not in str(error.value)


def test_two_interfaces_plugged_without_a_port_id_are_the_same_when_they_ask_the_same() -> None:
    bridges = ("br0", "br0", "br1")
    plugged = [first_state("attach_interface", vif={"type": "bridge", "bridge": name}) for name in bridges]
    first, again, other = plugged
    assert first == again
    assert first.interface.port_id != other.interface.port_id


def test_a_login_in_an_image_url_is_refused_without_showing_it() -> None:
    disk = {"kind": "image", "image": {"url": "https://u:canary@images.example/i.qcow2"}}
    with pytest.raises(InvalidRequest) as error:
        convert.instance(asked(disks=[disk]))
    assert path_of(error) == "instance.disks[0].image.url"
    assert "canary" not in str(error.value)


def test_what_no_guest_can_be_is_refused_before_anything_is_journaled() -> None:
    disks = [{"kind": "blank", "size_mb": 1, "bus": "ide"}]
    with pytest.raises(InvalidRequest) as error:
        convert.instance(asked(disks=disks, machine={"type": "q35"}))
    assert path_of(error) == "instance.disks[0].bus"


def test_no_error_about_a_model_quotes_what_was_sent() -> None:
    for model, value in ((Instance, {"name": ["canary"]}), (InstanceSpec, {"name": ["canary"]})):
        with pytest.raises(ValidationError) as error:
            model.model_validate(value)
        assert "canary" not in str(error.value)
