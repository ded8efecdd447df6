"""<disk>: one class for each thing that can be behind a disk.

`plugged` makes them. The drive is known by its alias (`ua-<id>`) and serial; `target` is a hint.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, TypeAlias

from agent.hypervisor.xml import At, Element
from agent.spec import DiskBus, DiskFormat


class _Disk(Element):
    """What all disks share. `boot_order` counts from 1."""

    tag: ClassVar[str] = "disk"

    device: Annotated[Literal["disk", "cdrom"], At("@device")] = "disk"
    driver: Annotated[Literal["qemu"], At("driver/@name")] = "qemu"
    format: Annotated[DiskFormat, At("driver/@type")]
    cache: Annotated[Literal["none", "writeback", "writethrough", "unsafe"] | None, At("driver/@cache")] = None
    io: Annotated[Literal["native", "threads", "io_uring"] | None, At("driver/@io")] = None
    discard: Annotated[Literal["unmap", "ignore"] | None, At("driver/@discard")] = None
    target: Annotated[str, At("target/@dev")]
    bus: Annotated[DiskBus, At("target/@bus")]
    readonly: Annotated[bool, At("readonly")] = False
    serial: Annotated[str | None, At("serial")] = None
    boot_order: Annotated[int | None, At("boot/@order")] = None
    alias: Annotated[str, At("alias/@name")]


class FileDisk(_Disk):
    """A file of the host."""

    type: Annotated[Literal["file"], At("@type")] = "file"
    path: Annotated[PurePosixPath, At("source/@file")]


class BlockDisk(_Disk):
    """A block device of the host."""

    type: Annotated[Literal["block"], At("@type")] = "block"
    path: Annotated[PurePosixPath, At("source/@dev")]


class NbdUnixDisk(_Disk):
    """A network block device, through a socket of this host."""

    type: Annotated[Literal["network"], At("@type")] = "network"
    protocol: Annotated[Literal["nbd"], At("source/@protocol")] = "nbd"
    export: Annotated[str | None, At("source/@name")] = None
    transport: Annotated[Literal["unix"], At("source/host/@transport")] = "unix"
    socket: Annotated[PurePosixPath, At("source/host/@socket")]


class NbdTcpDisk(_Disk):
    """A network block device, over TCP."""

    type: Annotated[Literal["network"], At("@type")] = "network"
    protocol: Annotated[Literal["nbd"], At("source/@protocol")] = "nbd"
    export: Annotated[str | None, At("source/@name")] = None
    host: Annotated[str, At("source/host/@name")]
    port: Annotated[int, At("source/host/@port")]


# The socket first: an NBD disk over TCP is one without its transport's word.
AnyDisk: TypeAlias = FileDisk | BlockDisk | NbdUnixDisk | NbdTcpDisk
