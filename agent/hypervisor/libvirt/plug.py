"""Devices in and out of guests.

In: into the stored definition and the live guest by one call; libvirt does both or neither.

Out: libvirt only passes the request on. It returns at once, and the guest lets go when and if it likes:

    ┌─> look: in the live guest? ──no──> out of the stored definition, done
    │          │ yes
    │          ├─ paused: can't answer, so it isn't asked; a request would strike when it goes on, maybe
    │          │          after the caller was told that the device is still attached
    │          └─ ask
    └── DEVICE_REMOVED heard, or a while gone by: the guest may have been booting, and the request is lost

The stored definition comes last, so a guest that doesn't let go keeps the device in both.
Devices are told by alias, never by target.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from agent import deadline, telemetry
from agent.errors import Conflict, OperationFailed, Unsupported
from agent.hypervisor import limits, readback
from agent.hypervisor.libvirt.api import Affect, Domain, Xml
from agent.hypervisor.libvirt.connection import tolerating
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.lifecycle import Power
from agent.hypervisor.libvirt.news import DeviceGone, Ear, News
from agent.hypervisor.libvirt.views import Here, need, ours
from agent.hypervisor.plugged import ALIAS, disk_xml, interface_xml, scsi_controller_xml
from agent.hypervisor.ports import DiskView, InterfaceView
from agent.hypervisor.readback import LiveDisk
from agent.hypervisor.targets import choose_target, scsi_controller
from agent.spec import AnyInterface, DiskBus, PluggedDisk, PowerState

V = TypeVar("V")

ASK_AGAIN_S = 3.0
MARGIN_S = 0.2
"""Kept from the caller's deadline, so that the truth can still be told in time."""

PLUGGABLE = (
    PowerState.RUNNING,
    PowerState.PAUSED,
    PowerState.SHUTDOWN,
    PowerState.CRASHED,
    PowerState.NOSTATE,
)
"""Not suspended: saved memory knows the devices it was saved with."""


# --- in ---


class _Texts:
    """A domain's XML: what it would start with and, while it runs, what it has."""

    def __init__(self, domain: Domain) -> None:
        self.power = need(domain, *PLUGGABLE)
        # A domain that was undefined while it runs has no stored definition of its own.
        self.stored = domain.XMLDesc(Xml.INACTIVE) if domain.isPersistent() else None
        self.live = domain.XMLDesc(Xml.LIVE) if self.power.on else None

    @property
    def all(self) -> list[str]:
        return [text for text in (self.live, self.stored) if text is not None]

    def lacking(self, has: Callable[[str], bool]) -> Affect:
        """Where what `has` looks for isn't yet."""
        affect = Affect.CURRENT
        if self.stored is not None and not has(self.stored):
            affect |= Affect.CONFIG
        if self.live is not None and not has(self.live):
            affect |= Affect.LIVE
        return affect


def attach_disk(here: Here, uuid: UUID, disk: PluggedDisk, direct_io: bool) -> DiskView:
    """Raises NotFound, InvalidRequest, Conflict (suspended, or another disk has the id), Unsupported."""
    domain = ours(here, uuid)
    texts = _Texts(domain)
    limits.check_disk(disk, readback.machine_type(texts.all[0]))
    had = [seen for text in texts.all for seen in readback.disks(text) if seen.id == disk.id]
    target = had[0].target if had else _choose_target(disk, texts)
    boots = disk.boot_index is not None and texts.stored is not None
    order = readback.next_boot_order(texts.stored or "") if boots else None
    text = disk_xml(disk, target, boot_order=order, direct_io=direct_io)
    (wanted,) = readback.disks(f"<domain><devices>{text}</devices></domain>")
    if any(seen.source != wanted.source for seen in had):
        raise Conflict(f"another disk is attached to instance {uuid} as {disk.id}")
    affect = texts.lacking(lambda there: readback.disk_element(there, disk.id) is not None)
    if Affect.LIVE in affect and disk.bus not in limits.HOT_PLUGGABLE:
        feature = f"hotplug.{disk.bus}"
        raise Unsupported(f"a running guest takes no {disk.bus} disk", details={"feature": feature})
    if affect:
        _attach_scsi_controller(domain, disk, target, texts)
        domain.attachDeviceFlags(text, affect)
    return _shown(readback.disks, domain, lambda seen: seen.id == disk.id)


def _choose_target(disk: PluggedDisk, texts: _Texts) -> str:
    taken = frozenset[str]().union(*(readback.targets(text) for text in texts.all))
    return choose_target(disk, taken)


def _attach_scsi_controller(domain: Domain, disk: PluggedDisk, target: str, texts: _Texts) -> None:
    """The one that libvirt would add by itself is of a kind that guests have no driver for."""
    if disk.bus is not DiskBus.SCSI:
        return
    index = scsi_controller(target)
    affect = texts.lacking(lambda text: index in readback.scsi_controllers(text))
    if affect:
        domain.attachDeviceFlags(scsi_controller_xml(index), affect)


def attach_interface(here: Here, uuid: UUID, interface: AnyInterface) -> InterfaceView:
    """Raises NotFound, InvalidRequest, Conflict (suspended, or another interface has the id), Unsupported."""
    domain = ours(here, uuid)
    texts = _Texts(domain)
    limits.check_interface(interface)
    port_id = interface.port_id
    seen = [view for text in texts.all for view in readback.interfaces(text) if view.port_id == port_id]
    if any(view.mac_address != interface.mac_address or view.type != interface.type for view in seen):
        raise Conflict(f"another interface is attached to instance {uuid} as {port_id}")
    affect = texts.lacking(lambda text: readback.interface_element(text, port_id) is not None)
    if affect:
        domain.attachDeviceFlags(interface_xml(interface), affect)
    return _shown(readback.interfaces, domain, lambda view: view.port_id == port_id)


def _shown(read: Callable[[str], tuple[V, ...]], domain: Domain, wanted: Callable[[V], bool]) -> V:
    return next(view for view in read(domain.XMLDesc(Xml.LIVE)) if wanted(view))


# --- out ---


class Answer(enum.Enum):
    """What became of asking for a device."""

    OUT = enum.auto()
    ASKED = enum.auto()
    PAUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class Device:
    """A device to take out: its identifier, and how to find its element in a domain's XML."""

    id: str
    element: Callable[[str, str], str | None]

    def within(self, text: str) -> str | None:
        return self.element(text, self.id)


# QEMU's "is already in the process of unplug", libvirt's "no device found with alias": looking again tells.
_HARMLESS = (Code.INTERNAL_ERROR, Code.OPERATION_FAILED, Code.DEVICE_MISSING, Code.OPERATION_INVALID)


def ask(here: Here, uuid: UUID, device: Device) -> Answer:
    """Ask the guest for the device, or forget it once it is out. Raises NotFound, Conflict when suspended."""
    domain = ours(here, uuid)
    texts = _Texts(domain)
    if texts.live is not None and (element := device.within(texts.live)) is not None:
        if texts.power.state is PowerState.PAUSED:
            return Answer.PAUSED
        with tolerating(*_HARMLESS):
            domain.detachDeviceAlias(LiveDisk.from_xml(element).alias or ALIAS + device.id, Affect.LIVE)
        return Answer.ASKED
    if texts.stored is not None and (element := device.within(texts.stored)) is not None:
        with tolerating(Code.DEVICE_MISSING):
            domain.detachDeviceFlags(element, Affect.CONFIG)
    return Answer.OUT


class Ask(Protocol):
    """`ask` in a worker."""

    def __call__(self, fn: Callable[[Here], Answer]) -> Awaitable[Answer]: ...


class Unplug:
    """`timeout`: seconds a guest has when the caller has no earlier deadline."""

    def __init__(self, news: News, timeout: float, ask_again_s: float = ASK_AGAIN_S) -> None:
        self._news = news
        self._timeout = timeout
        self._ask_again_s = ask_again_s

    async def take_out(self, uuid: UUID, device: Device, in_worker: Ask) -> None:
        """Returns when the guest let go. Raises OperationFailed at the deadline, NotFound, Conflict."""
        ends = time.monotonic() + max(0.0, deadline.remaining(self._timeout) - MARGIN_S)
        with self._news.of(uuid) as heard:
            while (answer := await in_worker(partial(ask, uuid=uuid, device=device))) is not Answer.OUT:
                until = min(ends, time.monotonic() + self._ask_again_s)
                if not await self._hears(heard, device, until) and time.monotonic() >= ends:
                    raise _still_attached(uuid, device, answer)

    async def _hears(self, heard: Ear, device: Device, until: float) -> bool:
        """Whether there came a reason to look again at once.

        A refusal by the guest is none: asked again at once, it would refuse again.
        """
        gone = DeviceGone(ALIAS + device.id)
        with telemetry.share("wait"):
            while (item := await heard.next(until - time.monotonic())) is not None:
                if isinstance(item, Power) or item == gone:
                    return True
        return False


def _still_attached(uuid: UUID, device: Device, answer: Answer) -> OperationFailed:
    why = "the guest did not let go in time"
    if answer is Answer.PAUSED:
        why = "the guest is paused and can't let go; unpause it and detach again"
    return OperationFailed(
        f"{device.id} is still attached to instance {uuid}: {why}", details={"still_attached": device.id}
    )
