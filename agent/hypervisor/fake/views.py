"""A fake domain as the ports show it: pure, from the file's model to the values that cross."""

from __future__ import annotations

from typing import Any

from agent.errors import Conflict, Unsupported
from agent.hypervisor.fake.life import Domain, Live
from agent.hypervisor.fake.world import bridge_of, tap_name
from agent.hypervisor.ports import DiskView, DomainView, InterfaceView
from agent.hypervisor.targets import choose_target
from agent.spec import AnyInterface, PluggedDisk


def domain_view(domain: Domain) -> DomainView:
    """What a running guest has; what an inactive one would get."""
    shown = domain.live if domain.live is not None and domain.active else None
    return DomainView(
        uuid=domain.uuid,
        name=domain.name,
        power_state=domain.state,
        reason=domain.reason,
        generation=domain.generation,
        request_id=domain.request_id,
        spec=domain.spec,
        disks=tuple(disk_view(d) for d in (shown or domain).disks),
        interfaces=tuple(interface_view(i, shown) for i in (shown or domain).interfaces),
        volumes=domain.volumes,
        vnc_port=shown.vnc_port if shown else None,
        returning=_ids(domain) - _ids(shown) if shown and domain.persistent else frozenset(),
    )


def _ids(having: Domain | Live) -> frozenset[str]:
    return frozenset(d.id for d in having.disks) | frozenset(i.port_id for i in having.interfaces)


def disk_view(disk: PluggedDisk) -> DiskView:
    """`placed` gave it its target."""
    return DiskView(
        id=disk.id,
        target=disk.target or "",
        bus=disk.bus,
        source=_source(disk),
        serial=disk.serial,
        removable=disk.removable,
    )


def _source(disk: PluggedDisk) -> str | None:
    return disk.backing.export if disk.backing.type == "nbd" else str(disk.backing.path)


def interface_view(interface: AnyInterface, live: Live | None) -> InterfaceView:
    return InterfaceView(
        port_id=interface.port_id,
        type=interface.type,
        mac_address=interface.mac_address,
        source=bridge_of(interface),
        tap=tap_name(interface) if live else None,
    )


def placed(disks: tuple[PluggedDisk, ...], more: tuple[PluggedDisk, ...]) -> tuple[PluggedDisk, ...]:
    """`disks`, then `more` with a target each."""
    taken = list(disks)
    for disk in more:
        target = choose_target(disk, {d.target for d in taken if d.target})
        taken.append(disk.model_copy(update={"target": target}))
    return tuple(taken)


def need_same(what: str, had: object, wanted: object) -> None:
    """Raises Conflict when a device of that id is there and is another one."""
    if had != wanted:
        raise Conflict(f"{what} is attached already, and differs from what was asked for")


def console_tail(domain: Domain, tail_bytes: int) -> bytes:
    """Raises Unsupported when the console isn't logged."""
    if domain.spec is None or not domain.spec.console.log:
        message = f"the console of instance {domain.uuid} isn't logged"
        raise Unsupported(message, details={"feature": "console.log"})
    log = domain.console.encode()
    return log[max(0, len(log) - tail_bytes) :]


def diagnostics(domain: Domain, now: float) -> dict[str, Any]:
    """Counters as nova names them, growing while the guest runs. Raises Conflict when it is off."""
    if domain.live is None or not domain.active or domain.spec is None:
        raise Conflict(f"instance {domain.uuid} is {domain.state}: it has no counters")
    ran = now - domain.live.began
    memory_kib = domain.spec.memory_mb * 1024
    counters: dict[str, Any] = {f"cpu{n}_time": int(ran * 2e8) for n in range(domain.spec.vcpus)}
    counters |= {"memory": memory_kib, "memory-actual": memory_kib, "memory-rss": memory_kib // 2}
    for disk in domain.live.disks:
        counters |= _disk_counters(str(disk.target), ran)
    for interface in domain.live.interfaces:
        counters |= _interface_counters(tap_name(interface) or interface.port_id, ran)
    return counters


def _disk_counters(name: str, ran: float) -> dict[str, int]:
    requests = int(ran * 10)
    return {
        f"{name}_read": requests * 4096,
        f"{name}_read_req": requests,
        f"{name}_write": requests * 2048,
        f"{name}_write_req": requests // 2,
        f"{name}_errors": 0,
    }


def _interface_counters(name: str, ran: float) -> dict[str, int]:
    packets = int(ran * 20)
    counters = {f"{name}_rx": packets * 90, f"{name}_rx_packets": packets}
    counters |= {f"{name}_tx": packets * 60, f"{name}_tx_packets": packets}
    return counters | {f"{name}_{way}_{bad}": 0 for way in ("rx", "tx") for bad in ("errors", "drop")}
