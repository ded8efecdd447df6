"""Volumes: what a connection names is checked on the host and becomes a disk for a guest."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.errors import AgentError, InvalidRequest, NotFound, Unavailable
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.volumes import HostVolumes
from agent.spec import VolumeConnection
from tests.integration.storage_ground import MIB, qcow2, qemu_img
from tests.rig.nbd import NbdExport
from tests.rig.places import free_port, rig_directory

LISTENING = 0x10000
VOLUME = "3d4e0f6c-8a53-45b8-9f3d-4c1b7b6ad9b1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "volumes").mkdir()
    return tmp_path / "volumes"


@pytest.fixture
def volumes(root: Path) -> HostVolumes:
    return HostVolumes(AllowedPaths([root]), nbd_timeout_s=60)


def connection(**target: Any) -> VolumeConnection:
    return VolumeConnection.model_validate({"volume_id": VOLUME, "target": target})


def file(path: Path, form: str = "raw") -> VolumeConnection:
    return connection(type="file", path=path, format=form)


def raw(path: Path) -> Path:
    path.write_bytes(bytes(MIB))
    return path


async def refused(volumes: HostVolumes, asked: VolumeConnection, error: type[AgentError] = InvalidRequest) -> str:
    with pytest.raises(error) as caught:
        await volumes.connect(asked)
    path: str = caught.value.details.get("fields", [{"path": ""}])[0]["path"]
    return path.removeprefix("connection_info.data.")


# Files.


@pytest.mark.parametrize("form", ["raw", "qcow2"])
async def test_a_file_volume_is_a_disk_that_can_be_taken_out(volumes: HostVolumes, root: Path, form: str) -> None:
    path = raw(root / "v") if form == "raw" else qcow2(root / "v")
    disk = await volumes.connect(file(path, form))
    assert (disk.id, disk.serial, disk.removable, disk.readonly) == (VOLUME, VOLUME, True, False)
    assert disk.backing.model_dump(mode="json") == {"type": "file", "path": str(path), "format": form}
    await volumes.connect(file(path, form))  # a repeat is harmless
    await volumes.disconnect(file(path, form))
    assert path.exists()


async def test_a_volume_to_be_read_only_is_read_only(volumes: HostVolumes, root: Path) -> None:
    asked = file(raw(root / "v")).model_copy(update={"access_mode": "ro"})
    assert (await volumes.connect(asked)).readonly


async def test_the_page_cache_is_passed_by_where_that_works(volumes: HostVolumes, root: Path) -> None:
    path = raw(root / "v")
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        expected = "writeback"
    else:
        expected = "none"
    assert (await volumes.connect(file(path))).cache == expected


async def test_a_raw_volume_is_raw_whatever_its_guest_wrote_into_it(volumes: HostVolumes, root: Path) -> None:
    path = root / "v"
    qemu_img("create", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", path, "8M")
    disk = await volumes.connect(file(path, "raw"))
    assert disk.backing.format == "raw"


async def test_a_qcow2_volume_must_be_one_and_stand_alone(volumes: HostVolumes, root: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", root / "backed", "8M")
    for path in (raw(root / "raw"), root / "backed"):
        assert await refused(volumes, file(path, "qcow2")) == "format"


async def test_a_file_elsewhere_is_refused_whoever_links_to_it(
    volumes: HostVolumes, root: Path, tmp_path: Path
) -> None:
    outside = raw(tmp_path / "outside")
    (root / "link").symlink_to(outside)
    for path in (outside, root / "link", root / ".." / "outside"):
        assert await refused(volumes, file(path)) == "path"


async def test_a_missing_file_is_not_found_and_a_directory_no_volume(volumes: HostVolumes, root: Path) -> None:
    await refused(volumes, file(root / "missing"), NotFound)
    assert await refused(volumes, file(root)) == "path"


# Block devices.


@pytest.fixture
def device(root: Path) -> Iterator[Path]:
    path = root / "device"
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    yield path
    path.unlink()


async def test_a_block_device_is_given_as_raw_without_cache(volumes: HostVolumes, device: Path) -> None:
    disk = await volumes.connect(connection(type="local", device_path=device))
    assert disk.backing.model_dump(mode="json") == {"type": "block", "path": str(device), "format": "raw"}
    assert (disk.cache, disk.removable, disk.serial) == ("none", True, VOLUME)


async def test_a_link_to_a_device_outside_dev_is_replaced_by_what_it_leads_to(
    volumes: HostVolumes, device: Path, root: Path
) -> None:
    (root / "link").symlink_to(device)
    disk = await volumes.connect(connection(type="local", device_path=root / "link"))
    assert disk.backing.model_dump(mode="json")["path"] == str(device)


async def test_what_is_no_device_or_not_allowed_or_not_there_is_refused(volumes: HostVolumes, root: Path) -> None:
    assert await refused(volumes, connection(type="local", device_path=raw(root / "v"))) == "device_path"
    assert await refused(volumes, connection(type="local", device_path="/dev/null")) == "device_path"
    assert await refused(volumes, connection(type="local", device_path="v")) == "device_path"
    await refused(volumes, connection(type="local", device_path=root / "missing"), NotFound)


# NBD.


@pytest.mark.parametrize("unix", [True, False])
async def test_an_nbd_server_that_is_there_is_a_disk_and_stays_unharmed(unix: bool) -> None:
    with rig_directory() as directory:
        volumes = HostVolumes(AllowedPaths([directory]))
        with NbdExport(directory / "nbd", raw(directory / "disk"), unix=unix) as export:
            target = {"socket": export.socket} if unix else {"host": export.host, "port": export.port}
            asked = connection(type="nbd", export=export.name, **target)
            for _ in range(20):
                disk = await volumes.connect(asked)
            assert disk.backing.model_dump() == {
                "type": "nbd",
                "host": None,
                "port": None,
                "socket": None,
                "export": export.name,
                "format": "raw",
                **target,
            }
            assert disk == volumes.describe(asked).model_copy(update={"cache": disk.cache})
            assert export.running
            export.kill()
            with pytest.raises(Unavailable):
                await volumes.connect(asked)


def listens(socket: Path) -> bool:
    """Told without connecting: whoever comes first may be the only one. The file is there before that."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return any(row[-1] == str(socket) and int(row[3], 16) & LISTENING for row in rows)


async def test_the_only_place_of_a_server_for_one_client_isnt_used_up(root: Path) -> None:
    volumes = HostVolumes(AllowedPaths([root]))
    socket = root / "one"
    server = await asyncio.create_subprocess_exec(
        "qemu-nbd", "-f", "raw", "-k", socket, "-x", "v", raw(root / "disk"), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not listens(socket):
                await asyncio.sleep(0.01)
        asked = connection(type="nbd", socket=socket, export="v")
        await volumes.connect(asked)
        await volumes.connect(asked)
        assert server.returncode is None
        client = await asyncio.create_subprocess_exec(
            "qemu-img", "info", "-f", "raw", f"nbd+unix:///v?socket={socket}", stdout=asyncio.subprocess.DEVNULL
        )
        assert await client.wait() == 0
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


async def test_no_server_is_unavailable(volumes: HostVolumes, root: Path) -> None:
    await refused(volumes, connection(type="nbd", host="127.0.0.1", port=free_port()), Unavailable)
    await refused(volumes, connection(type="nbd", socket=root / "missing"), Unavailable)


@asynccontextmanager
async def answering(greeting: bytes | None) -> AsyncIterator[int]:
    """A server that says something, or nothing, and then waits."""
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is not None:
            writer.write(greeting)
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        gone.set()


async def test_a_server_that_says_nothing_is_unavailable_soon(root: Path) -> None:
    volumes = HostVolumes(AllowedPaths([root]), nbd_timeout_s=1)
    async with answering(None) as port:
        async with asyncio.timeout(60):
            await refused(volumes, connection(type="nbd", host="127.0.0.1", port=port), Unavailable)


async def test_what_speaks_something_else_is_refused(volumes: HostVolumes) -> None:
    async with answering(b"220 mail.example ready\r\n") as port:
        await refused(volumes, connection(type="nbd", host="127.0.0.1", port=port))


@pytest.mark.parametrize(
    "target",
    [{}, {"host": "127.0.0.1"}, {"host": "127.0.0.1", "port": 1, "socket": "/x"}, {"socket": "/run/elsewhere"}],
)
async def test_an_address_that_is_none_is_refused(volumes: HostVolumes, target: dict[str, Any]) -> None:
    await refused(volumes, connection(type="nbd", **target))


def test_describing_looks_at_nothing(volumes: HostVolumes) -> None:
    for target in ({"type": "file", "path": "/no"}, {"type": "local", "device_path": "/no"}):
        disk = volumes.describe(connection(**target))
        assert (disk.id, disk.removable) == (VOLUME, True)
