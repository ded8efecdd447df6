"""<sysinfo>: what the guest reads in its SMBIOS tables."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class Entry(Element):
    tag: ClassVar[str] = "entry"

    name: Annotated[Literal["manufacturer", "product", "version", "serial", "uuid", "family"], At("@name")]
    value: Annotated[str, At(".")]


class SystemInfo(Element):
    tag: ClassVar[str] = "sysinfo"

    type: Annotated[Literal["smbios"], At("@type")] = "smbios"
    system: Annotated[tuple[Entry, ...], At("system")] = ()
