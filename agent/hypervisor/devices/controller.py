"""<controller>: what other devices hang from. libvirt adds those that aren't named here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class PcieRootPort(Element):
    """A slot of a q35 machine that one device can be plugged into while the guest runs."""

    tag: ClassVar[str] = "controller"

    type: Annotated[Literal["pci"], At("@type")] = "pci"
    index: Annotated[int, At("@index")]  # 0 is the root itself
    model: Annotated[Literal["pcie-root-port"], At("@model")] = "pcie-root-port"


class VirtioScsi(Element):
    """Fifteen SCSI disks hang from one; libvirt picks it by the disk's target name."""

    tag: ClassVar[str] = "controller"

    type: Annotated[Literal["scsi"], At("@type")] = "scsi"
    index: Annotated[int, At("@index")] = 0
    model: Annotated[Literal["virtio-scsi"], At("@model")] = "virtio-scsi"


class NoUsb(Element):
    """Says that there is no USB; libvirt adds a controller when nothing is said."""

    tag: ClassVar[str] = "controller"

    type: Annotated[Literal["usb"], At("@type")] = "usb"
    model: Annotated[Literal["none"], At("@model")] = "none"
