"""<cpu>: the model the guest sees, and how its vCPUs are laid out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class CpuModel(Element):
    """A model of libvirt's list (`virsh cpu-models x86_64`)."""

    tag: ClassVar[str] = "model"

    name: Annotated[str, At(".")]
    fallback: Annotated[Literal["allow", "forbid"], At("@fallback")] = "forbid"


class Cpu(Element):
    """Without `mode` it is the hypervisor's default model. `match` and `model` are for mode custom."""

    tag: ClassVar[str] = "cpu"

    mode: Annotated[Literal["host-model", "host-passthrough", "maximum", "custom"] | None, At("@mode")] = None
    match: Annotated[Literal["exact"] | None, At("@match")] = None
    model: Annotated[CpuModel | None, At(".")] = None
    sockets: Annotated[int | None, At("topology/@sockets")] = None
    cores: Annotated[int | None, At("topology/@cores")] = None
    threads: Annotated[int | None, At("topology/@threads")] = None
