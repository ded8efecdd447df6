"""What libvirt and QEMU can't do with an instance as a whole, said before anything is made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.hypervisor.limits.problem import Problem
from agent.spec import InstanceSpec

VCPUS = range(1, 256)  # more needs an interrupt-remapping IOMMU
MEMORY_MB = range(1, 16 * 1024 * 1024 + 1)
HOTPLUG_PORTS = range(65)
_NAME_BYTES = 200  # libvirt makes file names of it, with endings of its own
_SOCKET_CHARACTERS, _SOCKET_BYTES = 20, 32  # of these it makes a socket's path, which has 107 bytes in all
_CPU_MODEL = re.compile(r"[A-Za-z0-9_.-]+")


def instance_problems(spec: InstanceSpec) -> Iterator[Problem]:
    yield from _name_problems(spec.name)
    yield from _range_problem("instance.vcpus", spec.vcpus, VCPUS)
    yield from _range_problem("instance.memory_mb", spec.memory_mb, MEMORY_MB)
    yield from _range_problem("instance.machine.hotplug_ports", spec.machine.hotplug_ports, HOTPLUG_PORTS)
    yield from _model_problems(spec)
    yield from _topology_problems(spec)
    yield from _alias_problems(spec)


def _name_problems(name: str) -> Iterator[Problem]:
    path = "instance.name"
    if not name.strip() or name in (".", "..") or "/" in name:
        yield Problem(path, "can't be a file's name", "use a name without /, that isn't . or .. or empty")
    if len(name.encode(errors="replace")) > _NAME_BYTES:
        yield Problem(path, "is too long", f"use at most {_NAME_BYTES} bytes")
    if len(name[:_SOCKET_CHARACTERS].encode(errors="replace")) > _SOCKET_BYTES:
        problem = f"its first {_SOCKET_CHARACTERS} characters take more than {_SOCKET_BYTES} bytes of UTF-8"
        yield Problem(path, problem, "use more ASCII letters")


def _range_problem(path: str, value: int, allowed: range) -> Iterator[Problem]:
    if value not in allowed:
        yield Problem(path, f"{value} is out of range", f"use {allowed.start} to {allowed.stop - 1}")


def _model_problems(spec: InstanceSpec) -> Iterator[Problem]:
    path, model = "instance.cpu.model", spec.cpu.model
    if spec.cpu.mode == "custom":
        if model is None or _CPU_MODEL.fullmatch(model) is None:
            yield Problem(path, "mode custom needs a model", "name one of `virsh cpu-models`")
    elif model is not None:
        yield Problem(path, "a model is for mode custom only", "leave it out, or set the mode to custom")


def _topology_problems(spec: InstanceSpec) -> Iterator[Problem]:
    cpu = spec.cpu
    given = {"sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads}
    known = {name: count for name, count in given.items() if count is not None}
    bad = [name for name, count in known.items() if count < 1]
    for name in bad:
        yield Problem(f"instance.cpu.{name}", "is less than one", "use 1 or more")
    if not known or bad:
        return
    product = (cpu.sockets or 1) * (cpu.cores or 1) * (cpu.threads or 1)
    # Whoever leaves the sockets out gets as many as it takes.
    if spec.vcpus % product if cpu.sockets is None else spec.vcpus != product:
        problem = f"sockets, cores and threads make {product}, not {spec.vcpus}"
        yield Problem("instance.cpu", problem, "make their product equal to vcpus")


def _alias_problems(spec: InstanceSpec) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    named = [(disk.id, f"instance.disks[{place}].id") for place, disk in enumerate(spec.disks)]
    named += [(nic.port_id, f"instance.interfaces[{place}].port_id") for place, nic in enumerate(spec.interfaces)]
    for identity, path in named:
        first = seen.setdefault(identity, path)
        if first != path:
            yield Problem(path, f"is that of {first}", "give each device of an instance its own")
