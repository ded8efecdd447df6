"""A booted guest's life over a real broker, libvirtd and QEMU, told as a scheduler would see it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.e2e.story import BOOT_S, bootable, console, small, state, until, uuid_of, writes
from tests.rig import NbdExport, Rig, blank

POWER = "compute.instance.power_state"


@pytest.fixture(scope="module")
def guest(rig: Rig, agent: Daemon) -> Iterator[dict[str, Any]]:
    """One booted guest that several tests share: with a config drive, and disks of every kind."""
    args = bootable(
        rig,
        interfaces=[{"type": "bridge", "bridge": rig.network.bridge}],
        config_drive={
            "hostname": "story",
            "meta": {"role": "test"},
            "user_data": "#!/bin/sh\necho hello-from-user-data",
        },
    )
    args["instance"]["disks"] += [
        {"kind": "blank", "size_mb": 16, "bus": "scsi", "id": "blank"},
        {"kind": "ephemeral", "size_mb": 16, "filesystem": "ext4", "id": "scratch"},
        {"kind": "swap", "size_mb": 16, "id": "swap"},
    ]

    async def boot() -> None:
        async with PlainClient(rig.broker.url, agent.host) as client:
            await client.call("spawn", args)
            await writes(client, uuid_of(args), " efi=")  # the end of the line GUEST-READY

    asyncio.run(boot())
    yield args

    async def end() -> None:
        async with PlainClient(rig.broker.url, agent.host) as client:
            await client.call("destroy", {"instance_uuid": uuid_of(args)})

    asyncio.run(end())


@pytest.fixture
async def it(guest: dict[str, Any], client: PlainClient) -> AsyncIterator[dict[str, str]]:
    """`instance_uuid` of the shared guest, running."""
    named = {"instance_uuid": uuid_of(guest)}
    yield named
    await client.ask("unpause", named)


def port_id() -> str:
    """A new one: the tap is named after it, and taps are the whole box's."""
    return uuid4().hex[:8]


def tap_of(port: str) -> Path:
    return Path(f"/sys/class/net/tap{port}")


def qemu_pid(uuid: str) -> int:
    return int(subprocess.check_output(["pgrep", "-f", f"^[^ ]*qemu.* -uuid {uuid}"], text=True).split()[0])


async def test_the_guest_boots_with_its_config_drive_and_all_its_disks(
    it: dict[str, str], client: PlainClient, guest: dict[str, Any]
) -> None:
    seen = await console(client, it["instance_uuid"])
    assert "CONFIG-DRIVE" in seen
    assert "hostname=story" in seen
    assert "hello-from-user-data" in seen
    ready = next(line for line in seen.splitlines() if "GUEST-READY" in line)
    assert "host=story" in ready
    disks = ready.split("disks=")[1].split()[0].split(",")
    assert sum(name.startswith("vd") for name in disks) == 4  # root, ephemeral, swap, config drive
    assert any(name.startswith("sd") for name in disks)


async def test_a_volume_is_seen_inside_and_gone_after_the_detach(
    it: dict[str, str], client: PlainClient, rig: Rig
) -> None:
    volume = blank(rig.directory / "file-volume.raw", "8M")
    info = {"driver_volume_type": "file", "data": {"path": str(volume), "volume_id": "vol-file"}}
    result = await client.call("attach_volume", {**it, "connection_info": info})
    assert result["attached"] == "vol-file"
    await writes(client, it["instance_uuid"], "serial=vol-file")
    again = await client.call("attach_volume", {**it, "connection_info": info})
    assert again["already"]
    await client.call("detach_volume", {**it, "volume_id": "vol-file"})
    await writes(client, it["instance_uuid"], "HOTPLUG remove disk")
    shown = (await client.call("get_instance", it))["instance"]
    assert "vol-file" not in [disk["id"] for disk in shown["disks"]]
    assert (await client.call("detach_volume", {**it, "volume_id": "vol-file"}))["already"]


async def test_a_volume_behind_nbd_is_seen_inside(it: dict[str, str], client: PlainClient, rig: Rig) -> None:
    disk = blank(rig.directory / "nbd-volume.raw", "8M")
    with NbdExport(rig.directory / "nbd", disk) as export:
        data = {"host": export.host, "port": export.port, "export": export.name, "volume_id": "vol-nbd"}
        info = {"driver_volume_type": "nbd", "data": data}
        await client.call("attach_volume", {**it, "connection_info": info})
        await writes(client, it["instance_uuid"], "serial=vol-nbd")
        await client.call("detach_volume", {**it, "volume_id": "vol-nbd"})


async def test_an_interface_is_seen_inside_and_gone_after_the_detach(
    it: dict[str, str], client: PlainClient, rig: Rig
) -> None:
    port = port_id()
    vif = {
        "type": "bridge",
        "bridge": rig.network.bridge,
        "port_id": port,
        "mac_address": "52:54:00:aa:bb:cc",
    }
    await client.call("attach_interface", {**it, "vif": vif})
    await writes(client, it["instance_uuid"], "mac=52:54:00:aa:bb:cc")
    assert tap_of(port).exists()
    await client.call("detach_interface", {**it, "port_id": port})
    await writes(client, it["instance_uuid"], "HOTPLUG remove nic")
    assert not tap_of(port).exists()


async def test_a_paused_guest_keeps_its_volume_and_the_answer_says_so(
    it: dict[str, str], client: PlainClient, rig: Rig
) -> None:
    volume = blank(rig.directory / "kept-volume.raw", "8M")
    info = {"driver_volume_type": "file", "data": {"path": str(volume), "volume_id": "vol-kept"}}
    await client.call("attach_volume", {**it, "connection_info": info})
    await client.call("pause", it)
    error = await client.fail("detach_volume", {**it, "volume_id": "vol-kept"})
    assert error["code"] == "operation_failed"
    assert "attached" in error["message"]
    shown = (await client.call("get_instance", it))["instance"]
    assert "vol-kept" in [disk["id"] for disk in shown["disks"]]
    await client.call("unpause", it)
    await client.call("detach_volume", {**it, "volume_id": "vol-kept"})


async def test_pausing_suspending_and_resuming_are_told(it: dict[str, str], client: PlainClient) -> None:
    for method, new, reason in (
        ("pause", "paused", "user"),
        ("unpause", "running", "unpaused"),
        ("suspend", "suspended", "saved"),
        ("resume", "running", "restored"),
    ):
        result = await client.call(method, it)
        assert result["power_state"] == new
        # Each has a reason of its own: what tests before this one did may be told only now.
        await client.event(POWER, subject=it["instance_uuid"], new=new, reason=reason)
        assert (await client.call(method, it))["already"]


async def test_a_reboot_from_outside_is_not_told_as_a_stop(it: dict[str, str], client: PlainClient) -> None:
    seen = await console(client, it["instance_uuid"])
    await client.call("reboot", {**it, "mode": "soft", "timeout_s": 90})
    await writes(client, it["instance_uuid"], "GUEST-READY", times=seen.count("GUEST-READY") + 1)
    told = [event for event in client.events if event["type"] == POWER]
    assert [event for event in told if event["subject"] == it["instance_uuid"]] == []


async def test_diagnostics_have_novas_names(it: dict[str, str], client: PlainClient) -> None:
    counters = (await client.call("get_diagnostics", it))["diagnostics"]
    assert {"cpu0_time", "vda_read", "vda_write_req", "memory"} <= counters.keys()


async def test_a_guest_that_switches_itself_off_is_told(rig: Rig, agent: Daemon, client: PlainClient) -> None:
    drive = {"user_data": "#!/bin/sh\npoweroff\n"}
    args = bootable(rig, config_drive=drive)
    await client.call("spawn", args)
    event = await client.event(POWER, timeout=BOOT_S, subject=uuid_of(args), new="shutdown")
    assert event["data"]["reason"] == "shutdown"
    assert event["data"]["request_id"] is None
    await client.call("destroy", {"instance_uuid": uuid_of(args)})


async def test_a_killed_qemu_is_a_crash_and_can_be_started_again(agent: Daemon, client: PlainClient) -> None:
    args = small()
    it = {"instance_uuid": uuid_of(args)}
    await client.call("spawn", args)
    await client.event(POWER, subject=uuid_of(args), new="running")
    os.kill(qemu_pid(uuid_of(args)), signal.SIGKILL)
    event = await client.event(POWER, subject=uuid_of(args), new="crashed")
    assert event["data"]["old"] == "running"
    assert (await client.call("start", it))["power_state"] == "running"
    await client.call("destroy", it)


async def test_an_operators_virsh_destroy_is_told(rig: Rig, agent: Daemon, client: PlainClient) -> None:
    args = small()
    await client.call("spawn", args)
    await client.event(POWER, subject=uuid_of(args), new="running")
    rig.libvirtd.virsh("destroy", uuid_of(args))
    event = await client.event(POWER, subject=uuid_of(args), new="shutdown")
    assert event["data"]["reason"] == "destroyed"
    await client.call("destroy", {"instance_uuid": uuid_of(args)})


async def test_a_graceful_stop_of_a_guest_that_does_not_listen_pulls_the_plug(
    agent: Daemon, client: PlainClient
) -> None:
    args = small()
    it = {"instance_uuid": uuid_of(args)}
    await client.call("spawn", args)
    assert (await client.call("stop", {**it, "timeout_s": 1}))["power_state"] == "shutdown"
    assert (await client.call("stop", it))["already"]
    await client.call("destroy", it)


async def test_after_destroy_there_is_no_domain_no_disk_and_no_tap(
    rig: Rig, agent: Daemon, client: PlainClient
) -> None:
    port = port_id()
    interface = {"type": "bridge", "bridge": rig.network.bridge, "port_id": port}
    args = small(disks=[{"kind": "blank", "size_mb": 1}], interfaces=[interface])
    await client.call("spawn", args)
    assert tap_of(port).exists()
    await client.call("destroy", {"instance_uuid": uuid_of(args)})
    await nothing_left(rig, agent, client, uuid_of(args))
    assert not tap_of(port).exists()


async def nothing_left(rig: Rig, agent: Daemon, client: PlainClient, uuid: str) -> None:
    assert uuid not in rig.libvirtd.virsh("list", "--all", "--uuid")
    assert not (agent.state_dir / "instances" / uuid).exists()
    assert (await client.fail("get_instance", {"instance_uuid": uuid}))["code"] == "not_found"


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"interfaces": [{"type": "bridge", "bridge": "nobridge"}]}, "invalid_request", "nobridge"),
        ({"interfaces": [{"type": "network", "network": "nonet"}]}, "invalid_request", "nonet"),
        (
            {"disks": [{"kind": "image", "image": {"url": "/etc/passwd"}}]},
            "invalid_request",
            "instance.disks[0].image.url",
        ),
        ({"memory_mb": 64 * 1024 * 1024}, "", ""),
    ],
    ids=["no such bridge", "no such network", "outside the allowed directories", "more memory than there is"],
)
async def test_a_spawn_that_can_not_be_leaves_nothing(
    rig: Rig, agent: Daemon, client: PlainClient, fields: dict[str, Any], code: str, word: str
) -> None:
    args = small(**fields)
    error = await client.fail("spawn", args)
    assert code in (error["code"], "")
    assert error["code"] not in ("internal", "operation_stuck")
    assert word in error["message"]
    await nothing_left(rig, agent, client, uuid_of(args))


async def test_an_image_that_lies_about_its_format_is_refused(
    rig: Rig, agent: Daemon, client: PlainClient
) -> None:
    raw = blank(rig.directory / "liar.qcow2", "1M")
    args = small(disks=[{"kind": "image", "image": {"url": str(raw), "format": "qcow2"}}])
    error = await client.fail("spawn", args)
    assert error["code"] == "invalid_request"
    assert "format" in error["message"]
    await nothing_left(rig, agent, client, uuid_of(args))


async def test_a_uuid_that_somebody_elses_domain_has_is_refused_and_that_domain_is_left_alone(
    rig: Rig, agent: Daemon, client: PlainClient
) -> None:
    args = small()
    foreign = rig.directory / "foreign.xml"
    foreign.write_text(
        f"<domain type='qemu'><name>theirs</name><uuid>{uuid_of(args)}</uuid><memory>1024</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    rig.libvirtd.virsh("define", str(foreign))
    try:
        error = await client.fail("spawn", args)
        assert error["code"] == "conflict"
        await client.call("destroy", {"instance_uuid": uuid_of(args)})
        assert uuid_of(args) in rig.libvirtd.virsh("list", "--all", "--uuid")
    finally:
        rig.libvirtd.virsh("undefine", "theirs")


async def test_guests_and_commands_survive_a_killed_libvirtd(rig: Rig, agent: Daemon, client: PlainClient) -> None:
    args = small()
    it = {"instance_uuid": uuid_of(args)}
    await client.call("spawn", args)
    await client.event(POWER, subject=uuid_of(args), new="running")
    rig.libvirtd.kill()
    try:
        shown = (await client.call("get_instance", it))["instance"]
        assert (shown["power_state"], shown["last_known"]) == ("unknown", "running")
    finally:
        rig.libvirtd.restart()

    async def back() -> bool:
        return await state(client, uuid_of(args)) == "running"

    await until(back, 60, "libvirt's answers")
    assert (await client.call("pause", it))["power_state"] == "paused"
    await client.event(POWER, subject=uuid_of(args), new="paused")
    await client.call("destroy", it)
