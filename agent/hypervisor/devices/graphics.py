"""<graphics> and <video>: the guest's screen, and who may look at it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import YES_NO, At, Element


class Vnc(Element):
    """A VNC server on a port that libvirt picks (5900 and up) when the guest starts."""

    tag: ClassVar[str] = "graphics"

    type: Annotated[Literal["vnc"], At("@type")] = "vnc"
    port: Annotated[int, At("@port")] = -1
    autoport: Annotated[bool, At("@autoport", YES_NO)] = True
    listen_type: Annotated[Literal["address"], At("listen/@type")] = "address"
    listen: Annotated[str, At("listen/@address")] = "127.0.0.1"


class Video(Element):
    tag: ClassVar[str] = "video"

    model: Annotated[Literal["vga", "virtio"], At("model/@type")] = "vga"
