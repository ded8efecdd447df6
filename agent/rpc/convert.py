"""The published schema to the inner spec. Pure; the only place that knows both.

Names are decided here, before anything is made: ids of disks and ports, MAC addresses. The same request
always gets the same names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from agent.errors import InvalidRequest, Unsupported
from agent.hypervisor import limits
from agent.operations.control import Control
from agent.operations.destroy import Destroy
from agent.operations.interfaces import AttachInterface, DetachInterface
from agent.operations.power import Power, Reboot, Stop
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume, DetachVolume
from agent.rpc.schema import instance as wire
from agent.rpc.schema import params
from agent.spec import (
    AnyDisk,
    AnyInterface,
    BlankDisk,
    BridgeInterface,
    ConfigDrive,
    DiskBus,
    EphemeralDisk,
    FileVolume,
    FixedIp,
    Frozen,
    ImageDisk,
    ImageSource,
    InjectedFile,
    InstanceSpec,
    LocalVolume,
    NbdVolume,
    NetworkInterface,
    Route,
    SwapDisk,
    UserInterface,
    VolumeConnection,
    VolumeDisk,
    VolumeTarget,
)


def instance(asked: wire.Instance) -> InstanceSpec:
    """Raises InvalidRequest naming the field, Unsupported naming the volume type."""
    disks = tuple(disk(item, index) for index, item in enumerate(asked.disks))
    interfaces = tuple(
        interface(item, asked.uuid, f"port{index}", f"instance.interfaces[{index}]")
        for index, item in enumerate(asked.interfaces)
    )
    _refuse_logins(asked.disks)
    plain = {"cpu", "machine", "firmware", "clock", "console", "graphics", "guest_agent", "metadata", "owner"}
    spec = InstanceSpec(
        uuid=asked.uuid,
        name=asked.name,
        vcpus=asked.vcpus,
        memory_mb=asked.memory_mb,
        disks=disks,
        interfaces=interfaces,
        config_drive=config_drive(asked.config_drive),
        **asked.model_dump(include=plain),
    )
    limits.check(spec)
    return spec


def disk(asked: wire.Disk, index: int) -> AnyDisk:
    path = f"instance.disks[{index}]"
    look: dict[str, Any] = {
        "id": asked.id or f"disk{index}",
        "bus": DiskBus(asked.bus),
        "boot_index": asked.boot_index,
        "serial": asked.serial,
        "cache": asked.cache,
    }
    match asked:
        case wire.ImageDisk():
            image = ImageSource.model_validate(asked.image.model_dump())
            return ImageDisk(**look, image=image, size_mb=asked.size_mb)
        case wire.BlankDisk():
            return BlankDisk(**look, **asked.model_dump(include={"size_mb", "format"}))
        case wire.EphemeralDisk():
            return EphemeralDisk(**look, **asked.model_dump(include={"size_mb", "filesystem", "label"}))
        case wire.SwapDisk():
            return SwapDisk(**look, size_mb=asked.size_mb)
        case wire.VolumeDisk():
            connected = connection(asked.connection_info, f"{path}.connection_info")
            return VolumeDisk(**{**look, "id": connected.volume_id}, connection=connected, device=asked.device)


def _local(data: wire.VolumeData, path: str) -> VolumeTarget:
    if data.device_path is None:
        raise InvalidRequest.field(f"{path}.device_path", "is missing", "name the host's block device")
    return LocalVolume.model_validate({"device_path": data.device_path})


def _file(data: wire.VolumeData, path: str) -> VolumeTarget:
    if data.path is None:
        raise InvalidRequest.field(f"{path}.path", "is missing", "name the file")
    return FileVolume.model_validate({"path": data.path, "format": data.format})


def _nbd(data: wire.VolumeData, path: str) -> VolumeTarget:
    return NbdVolume.model_validate(data.model_dump(include={"host", "port", "socket", "export"}))


VOLUME_TYPES: dict[str, Callable[[wire.VolumeData, str], VolumeTarget]] = {
    "local": _local,
    "file": _file,
    "nbd": _nbd,
}


def connection(asked: wire.ConnectionInfo, path: str) -> VolumeConnection:
    """Raises InvalidRequest naming the field, Unsupported naming the type."""
    kind = VOLUME_TYPES.get(asked.driver_volume_type)
    if kind is None:
        known = ", ".join(sorted(VOLUME_TYPES))
        raise Unsupported(
            f"{path}.driver_volume_type: this host has no {asked.driver_volume_type!r} volumes; it has {known}",
            details={"feature": f"driver_volume_type {asked.driver_volume_type}"},
        )
    volume_id = asked.serial or asked.data.volume_id
    if volume_id is None:
        raise InvalidRequest.field(f"{path}.serial", "is missing", "give the volume's id, or data.volume_id")
    return VolumeConnection(
        volume_id=volume_id,
        target=kind(asked.data, f"{path}.data"),
        access_mode=asked.data.access_mode,
        auth_username=asked.data.auth_username,
        auth_password=asked.data.auth_password,
    )


def mac_address(port_id: str) -> str:
    """One that stays the same for the same port, in QEMU's own range."""
    digest = hashlib.sha256(port_id.encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def interface(asked: wire.Interface, owner: UUID, default: str, path: str) -> AnyInterface:
    port_id = asked.port_id or str(uuid5(owner, default))
    look: dict[str, Any] = {
        "port_id": port_id,
        "mac_address": (asked.mac_address or mac_address(port_id)).lower(),
        "model": asked.model,
        "mtu": asked.mtu,
        "fixed_ips": tuple(_fixed_ip(item, f"{path}.fixed_ips[{i}]") for i, item in enumerate(asked.fixed_ips)),
        "dns_servers": tuple(str(server) for server in asked.dns_servers),
    }
    match asked:
        case wire.BridgeInterface():
            return BridgeInterface(**look, bridge=asked.bridge)
        case wire.NetworkInterface():
            return NetworkInterface(**look, network=asked.network)
        case wire.UserInterface():
            return UserInterface(**look)


def _fixed_ip(asked: wire.FixedIp, path: str) -> FixedIp:
    if asked.gateway is not None and asked.gateway.version != asked.address.version:
        raise InvalidRequest.field(
            f"{path}.gateway", "is of another IP version", "give one of the address's version"
        )
    routes = tuple(Route(destination=str(r.destination), gateway=str(r.gateway)) for r in asked.routes)
    return FixedIp(
        address=str(asked.address), gateway=str(asked.gateway) if asked.gateway else None, routes=routes
    )


def config_drive(asked: wire.ConfigDrive | None) -> ConfigDrive | None:
    if asked is None:
        return None
    files = tuple(InjectedFile(path=file.path, content=file.content) for file in asked.files)
    for index, file in enumerate(files):
        try:
            file.data()
        except ValueError:  # beside bad base64 (binascii.Error): characters that aren't ASCII
            path = f"instance.config_drive.files[{index}].content"
            raise InvalidRequest.field(path, "is not base64", "encode the file's bytes") from None
    return ConfigDrive(
        hostname=asked.hostname,
        meta=asked.meta,
        user_data=asked.user_data,
        admin_pass=asked.admin_pass,
        public_keys=asked.public_keys,
        files=files,
    )


def _refuse_logins(disks: Iterable[wire.Disk]) -> None:
    # A URL is kept with the domain and shown to whoever asks: it is no place for a password.
    for index, item in enumerate(disks):
        path = f"instance.disks[{index}].image.url"
        if isinstance(item, wire.ImageDisk) and _has_login(item.image.url, path):
            raise InvalidRequest.field(path, "holds a login", "serve the image without one, or from a file")


def _has_login(url: str, path: str) -> bool:
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:  # such as a host that begins with [ and has no ]
        raise InvalidRequest.field(path, "isn't a URL", "mend the name of its host") from None


def _power(asked: Any) -> Power:
    return Power(instance_uuid=asked.instance_uuid)


def _attach_volume(asked: params.AttachVolume) -> AttachVolume:
    connected = connection(asked.connection_info, "connection_info")
    limits.check_connection(connected)
    return AttachVolume(
        instance_uuid=asked.instance_uuid,
        connection=connected,
        bus=DiskBus(asked.bus),
        boot_index=asked.boot_index,
        device=asked.device,
    )


def _attach_interface(asked: params.AttachInterface) -> AttachInterface:
    # Without a port id the request has no name of its own; one is made from what it asks for.
    default = hashlib.sha256(asked.vif.model_dump_json().encode()).hexdigest()[:12]
    plugged = interface(asked.vif, asked.instance_uuid, default, "vif")
    limits.check_interface(plugged)
    return AttachInterface(instance_uuid=asked.instance_uuid, interface=plugged)


STATES: dict[str, Callable[[Any], Frozen]] = {
    "spawn": lambda p: Spawn(instance_uuid=p.instance.uuid, spec=instance(p.instance)),
    "destroy": lambda p: Destroy(instance_uuid=p.instance_uuid, delete_disks=p.delete_disks),
    "attach_volume": _attach_volume,
    "detach_volume": lambda p: DetachVolume(instance_uuid=p.instance_uuid, volume_id=p.volume_id),
    "attach_interface": _attach_interface,
    "detach_interface": lambda p: DetachInterface(instance_uuid=p.instance_uuid, port_id=p.port_id),
    "start": _power,
    "stop": lambda p: Stop(instance_uuid=p.instance_uuid, graceful=p.graceful, timeout_s=p.timeout_s),
    "reboot": lambda p: Reboot(instance_uuid=p.instance_uuid, mode=p.mode, timeout_s=p.timeout_s),
    "pause": _power,
    "unpause": _power,
    "suspend": _power,
    "resume": _power,
    "cancel_operation": lambda p: Control(operation_id=p.operation_id),
    "retry_operation": lambda p: Control(operation_id=p.operation_id),
    "abandon_operation": lambda p: Control(operation_id=p.operation_id),
}
"""The first state of each operation, from the validated arguments of its method."""
