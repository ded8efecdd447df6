"""<interface>: one class for each way a guest's network card is wired to the host."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from agent.hypervisor.xml import At, Element


class _Nic(Element):
    tag: ClassVar[str] = "interface"

    mac: Annotated[str, At("mac/@address")]
    model: Annotated[Literal["virtio", "e1000"], At("model/@type")] = "virtio"
    alias: Annotated[str, At("alias/@name")]


class BridgeNic(_Nic):
    """A tap that libvirt makes and puts into a bridge of the host. `mtu` in bytes."""

    type: Annotated[Literal["bridge"], At("@type")] = "bridge"
    bridge: Annotated[str, At("source/@bridge")]
    tap: Annotated[str, At("target/@dev")]
    mtu: Annotated[int | None, At("mtu/@size")] = None


class NetworkNic(_Nic):
    """A tap that libvirt makes and puts into a network of its own. `mtu` in bytes."""

    type: Annotated[Literal["network"], At("@type")] = "network"
    network: Annotated[str, At("source/@network")]
    tap: Annotated[str, At("target/@dev")]
    mtu: Annotated[int | None, At("mtu/@size")] = None


class UserNic(_Nic):
    """QEMU's own network, made of the sockets of a process. It has no MTU to set."""

    type: Annotated[Literal["user"], At("@type")] = "user"


AnyNic: TypeAlias = BridgeNic | NetworkNic | UserNic
