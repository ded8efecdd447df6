"""What the host says of itself, and the driver as `service` gets it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.errors import InvalidRequest, Unavailable
from agent.hypervisor.libvirt.driver import libvirt_driver
from agent.hypervisor.ports import Guest, Hypervisor, Kind
from agent.settings import Hypervisor as HypervisorSettings
from agent.settings import Settings
from agent.spec import Interface, NetworkInterface
from tests.integration.libvirt_ground import remove_guests, spec
from tests.rig.libvirtd import Libvirtd
from tests.rig.places import rig_directory, tag


def memory_of_this_host_mb() -> int:
    first, size, _ = Path("/proc/meminfo").read_text().splitlines()[0].split()
    assert first == "MemTotal:"
    return int(size) // 1024


@pytest.fixture
def place() -> Iterator[Path]:
    with rig_directory() as directory:
        yield directory


def settings(place: Path, uri: str) -> Settings:
    return Settings(host="h1", state_dir=place, hypervisor=HypervisorSettings(uri=uri, virt_type="qemu"))


@pytest.fixture
async def driver(libvirtd: Libvirtd, place: Path) -> AsyncIterator[Hypervisor]:
    made = await libvirt_driver(settings(place, libvirtd.uri))
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.to_thread(remove_guests, libvirtd)


async def test_the_host_says_what_it_is_and_what_is_used(driver: Hypervisor) -> None:
    before = await driver.host.describe()
    assert (before.hostname, before.hypervisor_type, before.virt_type) == ("h1", "QEMU", "qemu")
    assert before.vcpus == os.cpu_count()
    assert before.memory_mb == memory_of_this_host_mb()
    assert 0 < before.capabilities["memory_mb_free"] < before.memory_mb
    assert 0 < before.disk_mb_free <= before.disk_mb
    assert (before.instances, before.vcpus_used, before.memory_mb_used) == (0, 0, 0)
    assert before.capabilities["machine_types"] == ["pc", "q35"]
    assert "virtio" in before.capabilities["disk_buses"]
    assert before.capabilities["firmware"][0] == "bios"
    runs, off = spec(memory_mb=48), spec()
    for each in (runs, off):
        await driver.disks.make_directory(each.uuid)
        await driver.domains.define(Guest(spec=each, disks=(), generation=1))
    await driver.domains.start(runs.uuid)
    after = await driver.host.describe()
    assert (after.instances, after.vcpus_used, after.memory_mb_used) == (2, 1, 48)


async def test_a_network_that_isnt_there_or_not_active_is_refused(
    driver: Hypervisor, libvirtd: Libvirtd, place: Path
) -> None:
    name = f"net-{tag(place)}"
    interface = NetworkInterface(port_id="p", mac_address="52:54:00:00:00:01", network=name)
    with pytest.raises(InvalidRequest, match="no active network"):
        await driver.nics.check(interface)
    file = place / "network.xml"
    file.write_text(f"<network><name>{name}</name><bridge name='rign{tag(place)}'/></network>")
    libvirtd.virsh("net-define", str(file))
    try:
        with pytest.raises(InvalidRequest, match="no active network"):
            await driver.nics.check(interface)
        libvirtd.virsh("net-start", name)
        await driver.nics.check(interface)
        libvirtd.virsh("net-destroy", name)
    finally:
        libvirtd.virsh("net-undefine", name)
    assert isinstance(interface, Interface)


async def test_the_driver_comes_up_without_libvirt_and_says_so(place: Path) -> None:
    made = await libvirt_driver(settings(place, "qemu:///system?socket=/nowhere/libvirt-sock"))
    running = asyncio.create_task(made.run())
    try:
        assert (await anext(aiter(made.observations()))).kind is Kind.LOST
        with pytest.raises(Unavailable):
            await made.host.describe()
        assert "<domain" in made.domains.render(Guest(spec=spec(), disks=(), generation=1))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
