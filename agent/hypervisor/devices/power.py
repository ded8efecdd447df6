"""<features> and <pm>: what the guest and its power buttons can do."""

from __future__ import annotations

from typing import Annotated, ClassVar

from agent.hypervisor.xml import YES_NO, At, Element


class Features(Element):
    """Without `acpi` a guest can't see the power button, nor devices come and go."""

    tag: ClassVar[str] = "features"

    acpi: Annotated[bool, At("acpi")] = True
    apic: Annotated[bool, At("apic")] = True


class PowerManagement(Element):
    """The sleep states a guest may put itself into."""

    tag: ClassVar[str] = "pm"

    suspend_to_mem: Annotated[bool, At("suspend-to-mem/@enabled", YES_NO)]
    suspend_to_disk: Annotated[bool, At("suspend-to-disk/@enabled", YES_NO)]
