"""<rng>: entropy from the host."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import At, Element


class Rng(Element):
    tag: ClassVar[str] = "rng"

    model: Annotated[Literal["virtio"], At("@model")] = "virtio"
    backend: Annotated[Literal["random"], At("backend/@model")] = "random"
    source: Annotated[PurePosixPath, At("backend")] = PurePosixPath("/dev/urandom")
