"""<serial>: the guest's first serial port, its console. What it says may also go to a log file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

from agent.hypervisor.xml import ON_OFF, At, Element


class _Serial(Element):
    """`append` False empties the log at each start."""

    tag: ClassVar[str] = "serial"

    target: Annotated[Literal["isa-serial"], At("target/@type")] = "isa-serial"
    port: Annotated[int, At("target/@port")] = 0
    log: Annotated[PurePosixPath | None, At("log/@file")] = None
    append: Annotated[bool | None, At("log/@append", ON_OFF)] = None


class PtySerial(_Serial):
    """Behind a pseudo terminal that QEMU opens."""

    type: Annotated[Literal["pty"], At("@type")] = "pty"


class UnixSerial(_Serial):
    """Behind a socket that QEMU listens on; one reader at a time."""

    type: Annotated[Literal["unix"], At("@type")] = "unix"
    mode: Annotated[Literal["bind"], At("source/@mode")] = "bind"
    path: Annotated[PurePosixPath, At("source/@path")]
