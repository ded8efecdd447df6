"""<memballoon>: lets the host see, and take back, memory that the guest doesn't use."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class Balloon(Element):
    """`stats_period` in seconds: how old the guest's own memory figures may be."""

    tag: ClassVar[str] = "memballoon"

    model: Annotated[Literal["virtio"], At("@model")] = "virtio"
    stats_period: Annotated[int, At("stats/@period")]
