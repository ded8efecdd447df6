"""<os>: the machine and its firmware. What boots first is said at the disks, not here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import YES_NO, At, Element


class FirmwareFeature(Element):
    """What the firmware libvirt picks must have, or must not."""

    tag: ClassVar[str] = "feature"

    name: Annotated[Literal["secure-boot"], At("@name")] = "secure-boot"
    enabled: Annotated[bool, At("@enabled", YES_NO)]


class Boot(Element):
    """`machine` may be an alias (`q35`): libvirt stores the version it stands for."""

    tag: ClassVar[str] = "os"

    firmware: Annotated[Literal["efi"] | None, At("@firmware")] = None
    arch: Annotated[str, At("type/@arch")]
    machine: Annotated[str, At("type/@machine")]
    type: Annotated[Literal["hvm"], At("type")] = "hvm"
    features: Annotated[tuple[FirmwareFeature, ...], At("firmware")] = ()
    smbios: Annotated[Literal["sysinfo"] | None, At("smbios/@mode")] = None
