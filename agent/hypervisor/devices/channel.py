"""<channel>: a line between the host and a program in the guest."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class GuestAgentChannel(Element):
    """QEMU's guest agent. libvirt names the socket itself and talks through it."""

    tag: ClassVar[str] = "channel"

    type: Annotated[Literal["unix"], At("@type")] = "unix"
    target: Annotated[Literal["virtio"], At("target/@type")] = "virtio"
    name: Annotated[Literal["org.qemu.guest_agent.0"], At("target/@name")] = "org.qemu.guest_agent.0"
