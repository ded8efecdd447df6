"""The host side of interfaces: real bridges, real taps."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from agent.errors import InvalidRequest
from agent.hypervisor.network.bridges import HostNics
from agent.hypervisor.network.taps import IFF_TAP, TUN, TUNSETIFF, remove_tap
from agent.hypervisor.targets import tap_name
from agent.spec import AnyInterface

INSTANCE = uuid4()
KNOWN_NETWORK = "default"
MULTI_QUEUE = 0x0100
NET = Path("/sys/class/net")


async def network_exists(name: str) -> bool:
    return name == KNOWN_NETWORK


@pytest.fixture
def nics() -> HostNics:
    return HostNics(network_exists)


@pytest.fixture
def port() -> str:
    return str(uuid4())


def interface(port: str = "p", **more: object) -> AnyInterface:
    facts = {"type": "bridge", "port_id": port, "mac_address": "52:54:00:00:00:01"} | more
    made: AnyInterface = TypeAdapter(AnyInterface).validate_python(facts)
    return made


def bridge(name: str) -> AnyInterface:
    return interface(bridge=name)


@pytest.fixture
def real_bridge() -> Iterator[str]:
    name = f"nicbr{uuid4().hex[:8]}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def tap(port: str) -> Iterator[str]:
    """A persistent tap with the port's name, used by nobody."""
    name = tap_name(port)
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def hold(name: str, flags: int = 0) -> int:
    """Use a tap as a guest does; it is let go by closing what is returned."""
    fd = os.open(TUN, os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | flags))
    return fd


async def test_a_bridge_that_is_there_passes(nics: HostNics, real_bridge: str) -> None:
    await nics.check(bridge(real_bridge))


@pytest.mark.parametrize("name", ["nosuchbridge", "lo", "", ".", "..", "../lo", "lo/../lo"])
async def test_what_is_no_bridge_is_refused_and_named(nics: HostNics, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await nics.check(bridge(name))
    assert caught.value.details["fields"][0]["path"] == "interfaces[p].bridge"


async def test_a_path_to_a_real_bridge_is_no_bridge(nics: HostNics, real_bridge: str) -> None:
    with pytest.raises(InvalidRequest):
        await nics.check(bridge(f"../net/{real_bridge}"))


async def test_libvirt_is_asked_for_its_networks(nics: HostNics) -> None:
    await nics.check(interface(type="network", network=KNOWN_NETWORK))
    with pytest.raises(InvalidRequest) as caught:
        await nics.check(interface(type="network", network="other"))
    assert caught.value.details["fields"][0]["path"] == "interfaces[p].network"


async def test_a_user_interface_needs_nothing(nics: HostNics) -> None:
    await nics.check(interface(type="user"))
    await nics.unplug(INSTANCE, interface(type="user"))


async def test_a_left_over_tap_is_removed_and_twice_is_fine(nics: HostNics, port: str, tap: str) -> None:
    assert (NET / tap).exists()
    await nics.unplug(INSTANCE, interface(port, bridge="br0"))
    await nics.unplug(INSTANCE, interface(port, bridge="br0"))
    assert not (NET / tap).exists()


async def test_a_left_over_tap_of_a_libvirt_network_is_removed(nics: HostNics, port: str, tap: str) -> None:
    await nics.unplug(INSTANCE, interface(port, type="network", network=KNOWN_NETWORK))
    assert not (NET / tap).exists()


async def test_a_left_over_tap_with_many_queues_is_removed(nics: HostNics, port: str) -> None:
    name = tap_name(port)
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "multi_queue"], check=True)
    await nics.unplug(INSTANCE, interface(port, bridge="br0"))
    assert not (NET / name).exists()


async def test_a_tap_in_use_is_left_alone(nics: HostNics, port: str, tap: str) -> None:
    guest = hold(tap)
    try:
        remove_tap(tap)  # nothing to complain of
        await nics.unplug(INSTANCE, interface(port, bridge="br0"))
        assert (NET / tap).exists()
    finally:
        os.close(guest)


async def test_a_tap_with_many_queues_in_use_stays_as_long_as_it_is_used(nics: HostNics, port: str) -> None:
    name = tap_name(port)
    guest = hold(name, MULTI_QUEUE)
    try:
        await nics.unplug(INSTANCE, interface(port, bridge="br0"))
        assert (NET / name).exists()
    finally:
        os.close(guest)
    assert not (NET / name).exists()


async def test_what_has_the_name_but_is_no_tap_is_left_alone(nics: HostNics, port: str) -> None:
    name = tap_name(port)
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        await nics.unplug(INSTANCE, interface(port, bridge="br0"))
        assert (NET / name).exists()
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)
