"""The fake world on disk: shared by processes, outliving them, and as large as it says."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from agent.errors import InvalidRequest, NoCapacity, NotFound, OperationFailed, Unsupported
from agent.hypervisor.fake.__main__ import main
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.fake.world import PAGE, overwritten
from agent.hypervisor.ports import Kind
from agent.spec import (
    BridgeInterface,
    DiskFormat,
    ImageSource,
    NbdVolume,
    NetworkInterface,
    PowerState,
    VolumeConnection,
)
from tests.contract.world import Observed
from tests.unit.hypervisor.fake.conftest import Fake

MAC = "52:54:00:00:00:01"


async def test_guests_run_on_without_any_agent_and_boot_meanwhile(make_fake: Callable[..., Fake]) -> None:
    first = make_fake()
    first.hands.configure(boot_seconds=0.05)
    spec = first.bootable()
    await first.run(spec)
    second = make_fake()
    view = await second.driver.domains.get(spec.uuid)
    assert (view.power_state, view.reason) == (PowerState.RUNNING, "booted")
    async with asyncio.timeout(60):
        while b"GUEST-READY" not in await second.driver.domains.console_output(spec.uuid, 1000):
            await asyncio.sleep(0.01)


async def test_an_agent_sees_what_another_process_does_to_its_guests(fake: Fake) -> None:
    spec = await fake.run(fake.spec())
    observed = Observed()
    reader = asyncio.create_task(observed.read(fake.driver.observations()))
    await observed.until(lambda o: o.kind is Kind.LISTING, patience=60)
    command = [sys.executable, "-m", "agent.hypervisor.fake", str(fake.state), "kill", str(spec.uuid)]
    killer = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": os.getcwd()})
    seen = await observed.until(lambda o: o.kind is Kind.POWER, patience=60)
    assert (seen.uuid, seen.state, seen.reason) == (spec.uuid, PowerState.CRASHED, "crashed")
    assert await killer.wait() == 0
    reader.cancel()


async def test_changes_by_many_at_once_are_all_kept(make_fake: Callable[..., Fake]) -> None:
    agents = [make_fake() for _ in range(4)]
    specs = [agents[0].spec() for _ in range(20)]

    def all_of(agent: Fake) -> None:
        for spec in specs:
            asyncio.run(agent.driver.domains.stamp(spec.uuid, 2, None))

    for spec in specs:
        await agents[0].define(spec)
    await asyncio.gather(*(asyncio.to_thread(all_of, agent) for agent in agents))
    views = await agents[0].driver.domains.list()
    assert {view.uuid: view.generation for view in views} == {spec.uuid: 2 for spec in specs}


async def test_what_one_has_looked_at_he_sees_changed_when_another_changes_it(
    make_fake: Callable[..., Fake],
) -> None:
    one, other = make_fake(), make_fake()
    spec = await one.run(one.spec())
    for agent, beside, pause in ((one, other, True), (other, one, False)) * 3:
        assert (await beside.driver.domains.get(spec.uuid)).uuid == spec.uuid
        await (agent.driver.domains.pause if pause else agent.driver.domains.unpause)(spec.uuid)
        wanted = PowerState.PAUSED if pause else PowerState.RUNNING
        assert (await beside.driver.domains.get(spec.uuid)).power_state is wanted
        assert [view.power_state for view in await beside.driver.domains.list()] == [wanted]
    one.hands.remove(spec.uuid)
    assert await other.driver.domains.list() == ()
    with pytest.raises(NotFound):
        await one.driver.domains.get(spec.uuid)


@pytest.mark.parametrize("length", [1, 100, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE])
def test_a_file_that_is_written_over_holds_the_new_text_alone(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file"
    for text in ("first", "a" * length, "b" * 50, "c" * length, "last"):
        with overwritten(path, text):
            pass
        assert path.read_text().rstrip("\n") == text
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


async def test_a_hundred_hosts_in_one_process_each_have_their_own_guests(tmp_path: Path) -> None:
    places = [(tmp_path / str(n), f"fake-{n}") for n in range(100)]
    fakes = [Fake(place, fake_driver(place, hostname=name), FakeWorld(place)) for place, name in places]
    specs = await asyncio.gather(*(fake.run(fake.spec()) for fake in fakes))
    for fake, spec in zip(fakes, specs, strict=True):
        assert [view.uuid for view in await fake.driver.domains.list()] == [spec.uuid]
    views = await asyncio.gather(*(fake.driver.host.describe() for fake in fakes))
    assert {(view.hostname, view.vcpus_used) for view in views} == {(f"fake-{n}", 1) for n in range(100)}


@pytest.mark.parametrize(("room", "short_of"), [({"memory_mb": 100}, "memory_mb"), ({"vcpus": 1}, "vcpus")])
async def test_a_guest_that_doesnt_fit_beside_the_others_isnt_started(
    fake: Fake, room: dict[str, int], short_of: str
) -> None:
    fake.hands.configure(**room)
    first = await fake.run(fake.spec())
    second = await fake.define(fake.spec())
    with pytest.raises(NoCapacity, match=short_of):
        await fake.driver.domains.start(second.uuid)
    await fake.driver.domains.power_off(first.uuid)
    await fake.driver.domains.start(second.uuid)


async def test_a_disk_that_doesnt_fit_isnt_made(fake: Fake) -> None:
    fake.hands.configure(disk_mb=100)
    fits, not_any_more = fake.blank(60), fake.blank(60)
    for spec in (fits, not_any_more):
        await fake.driver.disks.make_directory(spec.uuid)
    await fake.driver.disks.create(fits, fits.disks[0])
    assert (await fake.driver.host.describe()).disk_mb_free == 40
    with pytest.raises(NoCapacity):
        await fake.driver.disks.create(not_any_more, not_any_more.disks[0])
    await fake.driver.disks.remove(fits.uuid)
    await fake.driver.disks.create(not_any_more, not_any_more.disks[0])


async def test_a_disk_of_an_image_that_wasnt_fetched_or_without_a_directory_cant_be_made(fake: Fake) -> None:
    spec, blank = fake.bootable(), fake.blank(1)
    await fake.driver.disks.make_directory(spec.uuid)
    with pytest.raises(OperationFailed, match="fetched"):
        await fake.driver.disks.create(spec, spec.disks[0])
    with pytest.raises(OperationFailed, match="directory"):
        await fake.driver.disks.create(blank, blank.disks[0])


async def test_any_bridge_is_there_unless_the_host_names_them(fake: Fake) -> None:
    bridge = BridgeInterface(port_id="p", mac_address=MAC, bridge="br7")
    network = NetworkInterface(port_id="p", mac_address=MAC, network="net7")
    await fake.driver.nics.check(bridge)
    await fake.driver.nics.check(network)
    fake.hands.configure(bridges=["br0"], networks=[])
    with pytest.raises(InvalidRequest, match="br0"):
        await fake.driver.nics.check(bridge)
    with pytest.raises(InvalidRequest, match="net7"):
        await fake.driver.nics.check(network)


async def test_taps_are_there_while_the_guest_runs_whatever_ends_it(fake: Fake) -> None:
    nic = BridgeInterface(port_id="port-1", mac_address=MAC, bridge="br0")
    spec = await fake.define(fake.spec(interfaces=(nic,)))
    taps = fake.state / "world" / "taps"
    for end in (fake.hands.kill, fake.hands.destroy):
        await fake.driver.domains.start(spec.uuid)
        tap = (await fake.driver.domains.get(spec.uuid)).interfaces[0].tap
        assert [path.name for path in taps.iterdir()] == [tap]
        end(spec.uuid)
        assert list(taps.iterdir()) == []


async def test_http_images_are_refused_as_unsupported(fake: Fake) -> None:
    image = ImageSource(url="http://images.example/image.qcow2", format=DiskFormat.QCOW2)
    with pytest.raises(Unsupported):
        await fake.driver.disks.fetch(image, lambda what, share: None)


async def test_a_volumes_credentials_arent_written_into_the_world(fake: Fake) -> None:
    connection = VolumeConnection.model_validate(
        {
            "volume_id": "v",
            "target": NbdVolume(host="127.0.0.1", port=1),
            "auth_username": "u",
            "auth_password": "not-for-anybody",
        }
    )
    await fake.driver.volumes.connect(connection)
    for path in (fake.state / "world").rglob("*"):
        assert path.is_dir() or "not-for-anybody" not in path.read_text()


async def test_a_stubborn_guest_keeps_its_devices_until_it_changes_its_mind(
    make_fake: Callable[..., Fake],
) -> None:
    fake = make_fake(detach_timeout=0.2)
    fake.hands.configure(boot_seconds=0.0)
    spec = await fake.run(fake.bootable())
    nic = BridgeInterface(port_id="port-1", mac_address=MAC, bridge="br0")
    await fake.driver.domains.attach_interface(spec.uuid, nic)
    fake.hands.make_stubborn(spec.uuid)
    with pytest.raises(OperationFailed, match="still attached"):
        await fake.driver.domains.detach_interface(spec.uuid, "port-1")
    fake.hands.make_stubborn(spec.uuid, False)
    await fake.driver.domains.detach_interface(spec.uuid, "port-1")


async def test_a_deaf_guest_ignores_the_power_button(fake: Fake) -> None:
    spec = await fake.run(fake.bootable())
    fake.hands.make_deaf(spec.uuid)
    await fake.driver.domains.shutdown(spec.uuid)
    off = frozenset({PowerState.SHUTDOWN})
    assert await fake.driver.domains.wait_for(spec.uuid, off, 0.1) is None
    fake.hands.make_deaf(spec.uuid, False)
    await fake.driver.domains.shutdown(spec.uuid)
    assert await fake.driver.domains.wait_for(spec.uuid, off, 5.0) is PowerState.SHUTDOWN


def test_the_shell_lists_the_guests(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    spec = asyncio.run(fake.run(fake.spec()))
    assert main([str(fake.state), "list"]) == 0
    assert capsys.readouterr().out == f"{spec.uuid} running {spec.name}\n"


def test_the_shell_says_what_it_cant_do(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    absent, off = uuid4(), asyncio.run(fake.define(fake.spec()))
    assert main([str(fake.state), "kill", str(absent)]) == 1
    assert str(absent) in capsys.readouterr().err
    assert main([str(fake.state), "kill", str(off.uuid)]) == 1
    assert "shutdown" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["kill"], ["down", str(uuid4())], ["fly"]])
def test_the_shell_refuses_misuse(fake: Fake, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as misuse:
        main([str(fake.state), *arguments])
    assert misuse.value.code == 2


def test_the_shell_makes_no_world_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "nowhere"), "list"])
    assert not (tmp_path / "nowhere").exists()
