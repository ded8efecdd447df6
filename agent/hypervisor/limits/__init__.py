"""What no guest can be, refused before anything is made. Pure; needs neither libvirt nor lxml.

`check` is for a spec as it comes in, `check_host` for what this host lacks, `check_guest` for a guest whose
disks storage has laid out, the others for one thing to be plugged. All problems of a
request are told at once, each with its field and the mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from agent.errors import Unsupported
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.limits.disks import connection_problems, disk_problems, plugged_problems, too_many_ide
from agent.hypervisor.limits.instance import instance_problems
from agent.hypervisor.limits.interfaces import interface_problems, own_problems
from agent.hypervisor.limits.problem import Problem, refuse
from agent.hypervisor.limits.text import text_problems
from agent.spec import AnyInterface, DiskBus, InstanceSpec, PluggedDisk, VolumeConnection

HOT_PLUGGABLE = frozenset({DiskBus.VIRTIO, DiskBus.SCSI})
"""Buses whose disks can come and go while the guest runs."""

_CHECKS = (instance_problems, disk_problems, interface_problems, text_problems)


def check(spec: InstanceSpec) -> None:
    """Raises InvalidRequest naming every field that can't be as it is, such as `instance.disks[3].bus`."""
    refuse(chain.from_iterable(problems(spec) for problems in _CHECKS))


def check_host(spec: InstanceSpec, facts: HostFacts) -> None:
    """Raises Unsupported with `details.feature` for what this host hasn't got."""
    machine, mode = spec.machine.type, spec.cpu.mode
    lacking = {
        "arch": facts.arch != "x86_64",
        f"machine.{machine}": machine not in facts.machines,
        "firmware.uefi": spec.firmware == "uefi" and not facts.uefi,
        f"cpu.{mode}": mode == "host-passthrough" and facts.virt_type != "kvm",
    }
    for feature, lacks in lacking.items():
        if lacks:
            raise Unsupported(f"this host doesn't support {feature}", details={"feature": feature})


def check_guest(disks: tuple[PluggedDisk, ...], machine: str) -> None:
    """For the disks of a guest, the config drive with them. Raises InvalidRequest."""
    refuse(_guest_problems(disks, machine))


def check_disk(disk: PluggedDisk, machine: str, path: str = "disk") -> None:
    """For a disk to be attached to a machine of type `machine` (q35 or pc). Raises InvalidRequest."""
    refuse(plugged_problems(disk, machine, path))


def check_connection(connection: VolumeConnection, path: str = "connection_info") -> None:
    """For a volume to be connected, as far as it shows without looking at the host. Raises InvalidRequest."""
    refuse(connection_problems(connection, path))


def check_interface(interface: AnyInterface, path: str = "vif") -> None:
    """For an interface to be attached. Raises InvalidRequest."""
    refuse(own_problems(interface, path))


def _guest_problems(disks: tuple[PluggedDisk, ...], machine: str) -> Iterator[Problem]:
    for place, disk in enumerate(disks):
        yield from plugged_problems(disk, machine, f"instance.disks[{place}]")
    if too_many_ide(disks):
        yield Problem("instance.disks", "IDE has room for 4 disks, the config drive among them", "use virtio")
