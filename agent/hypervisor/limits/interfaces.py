"""What libvirt and QEMU can't do with network interfaces, said before anything is made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.hypervisor.limits.disks import ID, ID_MEND
from agent.hypervisor.limits.problem import Problem
from agent.hypervisor.targets import tap_name
from agent.spec import AnyInterface, BridgeInterface, InstanceSpec, NetworkInterface, UserInterface

_MAC = re.compile(r"[0-9a-f][0-9a-f](:[0-9a-f]{2}){5}", re.IGNORECASE)
_DEVICE = re.compile(r"[A-Za-z0-9_.:-]{1,15}")  # the kernel's limit for a device's name
_NETWORK = re.compile(r"[^/]+")
_MTU = range(68, 65536)  # the least that IPv4 allows, the most a tap takes


def interface_problems(spec: InstanceSpec) -> Iterator[Problem]:
    """Problems of all interfaces of `spec`."""
    for place, interface in enumerate(spec.interfaces):
        yield from own_problems(interface, f"instance.interfaces[{place}]")
    yield from _shared(spec, "mac_address", [i.mac_address.lower() for i in spec.interfaces])
    taps = [i.port_id if isinstance(i, UserInterface) else tap_name(i.port_id) for i in spec.interfaces]
    yield from _shared(spec, "port_id", taps)


def own_problems(interface: AnyInterface, path: str) -> Iterator[Problem]:
    """Problems of one interface by itself."""
    if ID.fullmatch(interface.port_id) is None:
        yield Problem(f"{path}.port_id", "can't name a device", ID_MEND)
    yield from _mac_problems(interface.mac_address, f"{path}.mac_address")
    yield from _mtu_problems(interface, f"{path}.mtu")
    if isinstance(interface, BridgeInterface) and _DEVICE.fullmatch(interface.bridge) is None:
        yield Problem(f"{path}.bridge", "can't name a bridge", "use 1 to 15 letters, digits and . _ : -")
    if isinstance(interface, NetworkInterface) and _NETWORK.fullmatch(interface.network) is None:
        yield Problem(f"{path}.network", "can't name a network", "use a name without /")


def _mac_problems(mac: str, path: str) -> Iterator[Problem]:
    if _MAC.fullmatch(mac) is None:
        yield Problem(path, "isn't a MAC address", "write it as 52:54:00:12:34:56")
    elif int(mac[:2], 16) & 1:
        yield Problem(path, "is a multicast address", "make its first byte even")


def _mtu_problems(interface: AnyInterface, path: str) -> Iterator[Problem]:
    if interface.mtu is None:
        return
    if isinstance(interface, UserInterface):
        yield Problem(path, "user-mode networking has no MTU to set", "leave it out")
    elif interface.mtu not in _MTU:
        yield Problem(path, "isn't an MTU", f"use {_MTU.start} to {_MTU.stop - 1}")


def _shared(spec: InstanceSpec, field: str, values: list[str]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for place, value in enumerate(values):
        first = seen.setdefault(value, place)
        if first != place:
            problem = f"gives the same name on the host as instance.interfaces[{first}]"
            yield Problem(f"instance.interfaces[{place}].{field}", problem, "give each its own")
