"""The port `Volumes`: what cinder's `connection_info` names becomes something a guest can be given.

A table by the kind of target; a new kind is a function and a line. These kinds need nothing done on the
host, so `disconnect` has nothing to undo; kinds that log in somewhere will.

    local   a block device of this host, in an allowed directory
    file    a file of this host, in an allowed directory
    nbd     a server, asked whether it is there before a guest is told of it

`id` and `serial` are the volume's id, so the disk is known again whatever the guest calls it. Bus, boot
index and target are the operation's to set.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from agent.deadline import remaining
from agent.errors import InvalidRequest, NotFound, Unavailable
from agent.hypervisor.storage.blocking import look
from agent.hypervisor.storage.capacity import direct_io_works
from agent.hypervisor.storage.faults import faults_as_errors
from agent.hypervisor.storage.inspection import inspect
from agent.hypervisor.storage.paths import AllowedPaths
from agent.spec import (
    Backing,
    BlockBacking,
    DiskBus,
    DiskFormat,
    FileBacking,
    FileVolume,
    LocalVolume,
    NbdBacking,
    NbdVolume,
    PluggedDisk,
    VolumeConnection,
)

Cache = Literal["none", "writeback"]
Found = tuple[Backing, Cache]

DATA = "connection_info.data"
LOOKING = "looking at the volume"
GREETING = b"NBDMAGIC"  # first bytes of every NBD server, https://github.com/NetworkBlockDevice/nbd
NBD_TIMEOUT_S = 5.0


class HostVolumes:
    """Volumes that this host can reach by itself. `nbd_timeout_s`: for a server's first answer."""

    def __init__(self, allowed: AllowedPaths, *, nbd_timeout_s: float = NBD_TIMEOUT_S) -> None:
        self._allowed = allowed
        self._nbd_timeout_s = nbd_timeout_s
        self._finders: dict[type[Any], Callable[[Any], Awaitable[Found]]] = {
            LocalVolume: self._find_device,
            FileVolume: self._find_file,
            NbdVolume: self._find_server,
        }

    async def connect(self, connection: VolumeConnection) -> PluggedDisk:
        with faults_as_errors("reaching the volume"):
            backing, cache = await self._finders[type(connection.target)](connection.target)
        return _plugged(connection, backing, cache)

    def describe(self, connection: VolumeConnection) -> PluggedDisk:
        return _plugged(connection, _backing(connection.target), None)

    async def disconnect(self, connection: VolumeConnection) -> None:
        """Nothing of these kinds is left on the host."""

    async def _find_device(self, target: LocalVolume) -> Found:
        field = f"{DATA}.device_path"
        path, mode = await self._look_at(target.device_path, field)
        if not stat.S_ISBLK(mode):
            raise InvalidRequest.field(field, "not a block device", "name a block device")
        return BlockBacking(path=_lasting_name(target.device_path, path)), "none"

    async def _find_file(self, target: FileVolume) -> Found:
        field = f"{DATA}.path"
        path, mode = await self._look_at(target.path, field)
        if not stat.S_ISREG(mode):
            raise InvalidRequest.field(field, "not a regular file", "name a file")
        # A raw volume holds whatever its guest wrote, any header too: it is never looked into.
        if target.format is DiskFormat.QCOW2:
            await look(lambda: inspect(path, target.format, f"{DATA}.format"), LOOKING, path)
        direct = await look(lambda: direct_io_works(path), LOOKING, path)
        return FileBacking(path=path, format=target.format), "none" if direct else "writeback"

    async def _find_server(self, target: NbdVolume) -> Found:
        _check_address(target)
        if (given := target.socket) is not None:
            socket = await look(lambda: self._allowed.resolve(given, f"{DATA}.socket"), LOOKING, given)
            target = target.model_copy(update={"socket": socket})
        await self._greet(target)
        return _backing(target), "writeback"

    async def _look_at(self, given: Path, field: str) -> tuple[Path, int]:
        """Where a path leads, and the mode of what is there."""

        def seen() -> tuple[Path, int]:
            path = self._allowed.resolve(given, field)
            return path, _mode(path)

        return await look(seen, LOOKING, given)

    async def _greet(self, target: NbdVolume) -> None:
        seconds = remaining(self._nbd_timeout_s)
        try:
            async with asyncio.timeout(seconds):
                greeting = await _greeting(target)
        except TimeoutError:
            raise Unavailable(f"no answer from {_address(target)} within {seconds:.1f} s") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Unavailable(f"no NBD server at {_address(target)} ({type(error).__name__})") from None
        if greeting != GREETING:
            raise InvalidRequest.field(DATA, "what answers there isn't an NBD server", "name an NBD server")


def _plugged(connection: VolumeConnection, backing: Backing, cache: Cache | None) -> PluggedDisk:
    return PluggedDisk(
        id=connection.volume_id,
        bus=DiskBus.VIRTIO,
        backing=backing,
        serial=connection.volume_id,
        cache=cache,
        readonly=connection.access_mode == "ro",
        removable=True,
    )


def _backing(target: LocalVolume | FileVolume | NbdVolume) -> Backing:
    match target:
        case LocalVolume(device_path=path):
            return BlockBacking(path=path)
        case FileVolume(path=path, format=format):
            return FileBacking(path=path, format=format)
        case NbdVolume(host=host, port=port, socket=socket, export=export):
            return NbdBacking(host=host, port=port, socket=socket, export=export)


def _check_address(target: NbdVolume) -> None:
    if (target.socket is None) == (target.host is None):
        raise InvalidRequest.field(DATA, "needs either socket or host", "give one of them")
    if target.host is not None and target.port is None:
        raise InvalidRequest.field(f"{DATA}.port", "missing", "give the server's port")


def _address(target: NbdVolume) -> str:
    return str(target.socket) if target.socket is not None else f"{target.host}:{target.port}"


async def _greeting(target: NbdVolume) -> bytes:
    if target.socket is not None:
        reader, writer = await asyncio.open_unix_connection(target.socket)
    else:
        reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        return await reader.readexactly(len(GREETING))
    finally:
        # Leaving before the negotiation: a server that serves one client only goes on waiting for it.
        writer.transport.abort()


def _lasting_name(given: Path, real: Path) -> Path:
    # udev's links (by-id, by-path, logical volumes) are there again after a restart of the host, numbers may
    # not be. Links elsewhere could be turned round after the check.
    return given if given.is_relative_to("/dev") and ".." not in given.parts else real


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        raise NotFound(f"no volume at {path}") from None
