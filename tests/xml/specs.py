"""Specs and guests for the rules of whole domains: good ones, made so, and wild ones, as strangers send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agent.hypervisor.facts import HostFacts
from agent.hypervisor.ports import Guest
from agent.secret import Secret
from agent.spec import (
    AnyDisk,
    AnyInterface,
    Backing,
    BlockBacking,
    Cpu,
    DiskBus,
    DiskFormat,
    FileBacking,
    FileVolume,
    InstanceSpec,
    LocalVolume,
    NbdBacking,
    NbdVolume,
    PluggedDisk,
    VolumeDisk,
)
from tests.xml.strategies import Overrides, values

DIRECTORY = Path("/var/lib/compute-agent/instances/here")
FACTS = HostFacts(
    hostname="host-1", virt_type="qemu", emulator=Path("/usr/bin/qemu-system-x86_64"), instance_dir=DIRECTORY
)

SECRET = "s3cr3t"
SECRETS = st.text("abc", max_size=3).map(lambda text: Secret(SECRET + text))
_WORD = st.text("abcXYZ019-_", min_size=1, max_size=12)
_PATH = st.text("abc/-_. é&<", min_size=1, max_size=12).map(lambda text: Path("/x" + text))
_DISK: Overrides = {
    "id": _WORD,
    "boot_index": st.none() | st.integers(-1, 9),
    "serial": st.none() | st.text("abc019-_+. ", min_size=1, max_size=36),
}
_NIC: Overrides = {
    "port_id": _WORD,
    "mac_address": st.from_regex(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", fullmatch=True),
    "mtu": st.none() | st.integers(68, 65535),
}
_DISKS = ("ImageDisk", "BlankDisk", "EphemeralDisk", "SwapDisk", "VolumeDisk")
_NICS = ("BridgeInterface", "NetworkInterface", "UserInterface")
_GOOD: Overrides = {
    **{f"{kind}.{field}": how for kind in _DISKS for field, how in _DISK.items()},
    **{f"{kind}.{field}": how for kind in _NICS for field, how in _NIC.items()},
    "BridgeInterface.bridge": st.text("abc019-_.", min_size=1, max_size=15),
    "NetworkInterface.network": st.text("abc019-_. é", min_size=1, max_size=15),
    "LocalVolume.device_path": _PATH,
    "FileVolume.path": _PATH,
    "NbdVolume.host": st.sampled_from(["127.0.0.1", "::1", "nbd.example", "fe80::1"]),
    "NbdVolume.port": st.integers(1, 65535),
    "NbdVolume.socket": st.none() | _PATH,
    "InstanceSpec.name": st.text("abc-_.:é &<>\"'", max_size=12).map(lambda text: "i" + text),
    "InstanceSpec.vcpus": st.integers(1, 255),
    "InstanceSpec.memory_mb": st.integers(1, 1 << 24),
    "Machine.hotplug_ports": st.integers(0, 64),
}


_nearly_good = values(InstanceSpec, _GOOD, st.text("abc é&<\"'", max_size=9), SECRETS)


@st.composite
def good_specs(draw: st.DrawFn) -> InstanceSpec:
    spec: InstanceSpec = draw(_nearly_good)
    disks = tuple(_good_disk(place, disk, spec.machine.type) for place, disk in enumerate(spec.disks))
    nics = tuple(_good_nic(place, nic) for place, nic in enumerate(spec.interfaces))
    more: dict[str, Any] = {"disks": disks, "interfaces": nics, "cpu": draw(_cpus(spec.vcpus))}
    return spec.model_copy(update=more)


@st.composite
def wild_specs(draw: st.DrawFn) -> InstanceSpec:
    """A good spec of which one text, number or path is anything."""
    spec = draw(good_specs())
    path = draw(st.sampled_from(list(_leaves(spec))))
    spoiled: InstanceSpec = _replaced(spec, path, lambda old: draw(_wild(old)))
    return spoiled


def _leaves(value: Any) -> Iterator[tuple[str | int, ...]]:
    match value:
        case BaseModel():
            parts: Iterable[tuple[Any, Any]] = [(name, getattr(value, name)) for name in type(value).model_fields]
        case tuple():
            parts = enumerate(value)
        case str() | int() | PurePath():
            yield ()
            return
        case _:
            return
    for step, part in parts:
        yield from ((step, *rest) for rest in _leaves(part))


def _replaced(value: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    step, *rest = path
    if isinstance(step, int):
        return (*value[:step], _replaced(value[step], tuple(rest), change), *value[step + 1 :])
    # Past pydantic's own checks for a Literal and the like is no way: those stay what they may be.
    changed = {name: getattr(value, name) for name in type(value).model_fields}
    changed[step] = _replaced(changed[step], tuple(rest), change)
    try:
        return type(value).model_validate(changed)
    except ValidationError:
        return value


def _wild(old: object) -> st.SearchStrategy[Any]:
    if isinstance(old, int):
        return st.integers() | st.integers(-2, 70000)
    text = st.text(max_size=40) | st.text("ab/.:, \x00\n\x7f\ud800\ufffe<&", max_size=6)
    return text.map(Path) if isinstance(old, PurePath) else text


@st.composite
def _cpus(draw: st.DrawFn, vcpus: int) -> Cpu:
    mode = draw(st.sampled_from([None, "host-model", "maximum", "custom", "none"]))
    cores = draw(st.none() | st.sampled_from([n for n in range(1, vcpus + 1) if vcpus % n == 0]))
    sockets = None if cores is None else draw(st.none() | st.just(vcpus // cores))
    model = "Nehalem" if mode == "custom" else None
    return Cpu.model_validate({"mode": mode, "model": model, "cores": cores, "sockets": sockets})


def _good_disk(place: int, disk: AnyDisk, machine: str) -> AnyDisk:
    bus = disk.bus
    if bus is DiskBus.IDE and machine != "pc":
        bus = DiskBus.SATA
    if isinstance(disk, VolumeDisk):
        disk = disk.model_copy(update={"connection": _good_connection(disk.connection)})
        if disk.connection.access_mode == "ro" and bus in (DiskBus.IDE, DiskBus.SATA):
            bus = DiskBus.SCSI
    boot = disk.boot_index if disk.boot_index is None or disk.boot_index < 0 else place
    return disk.model_copy(update={"id": f"d{place}{disk.id}", "bus": bus, "boot_index": boot})


def _good_connection(connection: Any) -> Any:
    target = connection.target
    if isinstance(target, NbdVolume) and target.socket is not None:
        target = target.model_copy(update={"host": None, "port": None})
    return connection.model_copy(update={"target": target})


def _good_nic(place: int, nic: AnyInterface) -> AnyInterface:
    mtu = None if nic.type == "user" else nic.mtu
    mac = f"{nic.mac_address[:-2]}{place:02x}"
    return nic.model_copy(update={"port_id": f"n{place}{nic.port_id}", "mac_address": mac, "mtu": mtu})


def guest_of(spec: InstanceSpec) -> Guest:
    """A guest of `spec`, as storage could have laid it out."""
    disks = [_plugged(disk) for disk in spec.disks]
    if spec.config_drive is not None:
        backing = FileBacking(path=DIRECTORY / "config.iso", format=DiskFormat.RAW)
        disks.append(PluggedDisk(id="config", bus=DiskBus.VIRTIO, backing=backing, readonly=True))
    return Guest(spec=spec, disks=tuple(disks), generation=7, request_id="req-1", operation_id="op-1")


def _plugged(disk: AnyDisk) -> PluggedDisk:
    volume = isinstance(disk, VolumeDisk)
    return PluggedDisk(
        id=disk.id,
        bus=disk.bus,
        backing=_volume(disk) if isinstance(disk, VolumeDisk) else _file(disk),
        serial=disk.serial,
        boot_index=disk.boot_index,
        cache=disk.cache,
        readonly=isinstance(disk, VolumeDisk) and disk.connection.access_mode == "ro",
        removable=volume,
    )


def _file(disk: AnyDisk) -> Backing:
    return FileBacking(path=DIRECTORY / f"{disk.id}.qcow2", format=DiskFormat.QCOW2)


def _volume(disk: VolumeDisk) -> Backing:
    match disk.connection.target:
        case LocalVolume(device_path=path):
            return BlockBacking(path=path)
        case FileVolume(path=path, format=form):
            return FileBacking(path=path, format=form)
        case NbdVolume(host=host, port=port, socket=socket, export=export):
            return NbdBacking(host=host, port=port, socket=socket, export=export)
