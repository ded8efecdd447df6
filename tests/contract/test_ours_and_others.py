"""Whose domain it is: ours carry our metadata and our host's name, and all others don't exist for us."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from agent.errors import Conflict, NotFound
from agent.hypervisor.ports import Domains, Kind
from agent.secret import MASK, Secret
from agent.spec import (
    ConfigDrive,
    DiskBus,
    DiskFormat,
    FileBacking,
    FileVolume,
    InjectedFile,
    InstanceSpec,
    PluggedDisk,
    PowerState,
    UserInterface,
    VolumeConnection,
)
from tests.contract.world import World, guest_of, made, running

pytestmark = pytest.mark.timeout(120)

Act = Callable[[World, InstanceSpec], Awaitable[object]]

NIC = UserInterface(port_id="port-1", mac_address="52:54:00:00:00:01")


def _disk(world: World) -> PluggedDisk:
    backing = FileBacking(path=world.outside, format=DiskFormat.QCOW2)
    return PluggedDisk(id="volume-1", bus=DiskBus.VIRTIO, backing=backing)


def _volume(world: World) -> VolumeConnection:
    return VolumeConnection(volume_id="volume-1", target=FileVolume(path=world.outside))


NEEDS_THE_GUEST: dict[str, Act] = {
    "get": lambda w, s: w.hypervisor.domains.get(s.uuid),
    "start": lambda w, s: w.hypervisor.domains.start(s.uuid),
    "shutdown": lambda w, s: w.hypervisor.domains.shutdown(s.uuid),
    "reboot": lambda w, s: w.hypervisor.domains.reboot(s.uuid),
    "reset": lambda w, s: w.hypervisor.domains.reset(s.uuid),
    "pause": lambda w, s: w.hypervisor.domains.pause(s.uuid),
    "unpause": lambda w, s: w.hypervisor.domains.unpause(s.uuid),
    "suspend": lambda w, s: w.hypervisor.domains.suspend(s.uuid),
    "attach_disk": lambda w, s: w.hypervisor.domains.attach_disk(s.uuid, _disk(w)),
    "detach_disk": lambda w, s: w.hypervisor.domains.detach_disk(s.uuid, "volume-1"),
    "attach_interface": lambda w, s: w.hypervisor.domains.attach_interface(s.uuid, NIC),
    "detach_interface": lambda w, s: w.hypervisor.domains.detach_interface(s.uuid, "port-1"),
    "note_volume": lambda w, s: w.hypervisor.domains.note_volume(s.uuid, _volume(w)),
    "diagnostics": lambda w, s: w.hypervisor.domains.diagnostics(s.uuid),
    "console_output": lambda w, s: w.hypervisor.domains.console_output(s.uuid, 100),
}
ABSENT_IS_FINE: dict[str, Act] = {
    "undefine": lambda w, s: w.hypervisor.domains.undefine(s.uuid),
    "power_off": lambda w, s: w.hypervisor.domains.power_off(s.uuid),
    "settle": lambda w, s: w.hypervisor.domains.settle(s.uuid),
    "break_off": lambda w, s: w.hypervisor.domains.break_off(s.uuid),
    "forget_volume": lambda w, s: w.hypervisor.domains.forget_volume(s.uuid, "volume-1"),
    "stamp": lambda w, s: w.hypervisor.domains.stamp(s.uuid, 9, "r9"),
    "wait_for": lambda w, s: w.hypervisor.domains.wait_for(s.uuid, frozenset(PowerState), 0.0),
    "wait_for_reboot": lambda w, s: w.hypervisor.domains.wait_for_reboot(s.uuid, 0.0),
}
ASKS_OTHERWISE = {"render", "list", "define", "suspect"}


async def test_every_method_of_the_port_has_a_rule_for_absent_guests(world: World) -> None:
    methods = {name for name, _ in inspect.getmembers(Domains, inspect.isfunction) if name[0] != "_"}
    assert methods == NEEDS_THE_GUEST.keys() | ABSENT_IS_FINE.keys() | ASKS_OTHERWISE


@pytest.mark.parametrize("act", sorted(NEEDS_THE_GUEST))
async def test_an_absent_guest_isnt_found_by(world: World, act: str) -> None:
    with pytest.raises(NotFound):
        await NEEDS_THE_GUEST[act](world, world.spec())


@pytest.mark.parametrize("act", sorted(ABSENT_IS_FINE))
async def test_an_absent_guest_is_fine_for(world: World, act: str) -> None:
    spec = world.spec()
    await ABSENT_IS_FINE[act](world, spec)
    assert await world.fingerprint(spec.uuid) is None


async def _no_agents(world: World, spec: InstanceSpec) -> None:
    await world.make_foreign(spec.uuid, "somebody-elses")


async def _another_hosts(world: World, spec: InstanceSpec) -> None:
    await world.make_of(spec, "another-host")


foreign_domains = pytest.mark.parametrize(
    ("make", "whose"), [(_no_agents, "no agent's"), (_another_hosts, "'another-host'")]
)
Make = Callable[[World, InstanceSpec], Awaitable[None]]


@foreign_domains
async def test_a_foreign_domain_isnt_found_nor_touched_by_any_method(world: World, make: Make, whose: str) -> None:
    spec = world.spec()
    await make(world, spec)
    before = await world.fingerprint(spec.uuid)
    assert before is not None
    for act in NEEDS_THE_GUEST.values():
        with pytest.raises(NotFound):
            await act(world, spec)
    for act in ABSENT_IS_FINE.values():
        assert not await act(world, spec)
    assert await world.fingerprint(spec.uuid) == before


@foreign_domains
async def test_a_foreign_domain_is_never_listed_or_observed(world: World, make: Make, whose: str) -> None:
    mark = world.observed.mark()
    foreign, ours = world.spec(), await made(world, world.spec())
    await make(world, foreign)
    await world.destroy(foreign.uuid)
    await world.hypervisor.domains.start(ours.uuid)
    await world.observed.until(lambda o: o.uuid == ours.uuid, since=mark, patience=world.patience)
    assert foreign.uuid not in {view.uuid for view in await world.hypervisor.domains.list()}
    assert foreign.uuid not in {seen.uuid for seen in world.observed.all}
    await world.restart_driver()
    assert foreign.uuid not in {view.uuid for view in world.observed.all[0].domains}


@foreign_domains
async def test_a_uuid_that_a_foreign_domain_has_cant_be_defined_and_it_is_said_whose_it_is(
    world: World, make: Make, whose: str
) -> None:
    spec = world.spec()
    await make(world, spec)
    before = await world.fingerprint(spec.uuid)
    with pytest.raises(Conflict, match=whose):
        await world.hypervisor.domains.define(guest_of(world, spec))
    assert await world.fingerprint(spec.uuid) == before


async def test_another_hosts_guests_arent_counted_as_this_hosts(world: World) -> None:
    before = (await world.hypervisor.host.describe()).instances
    await world.make_of(world.spec(), "another-host")
    assert (await world.hypervisor.host.describe()).instances == before


async def test_a_guest_that_names_no_host_is_ours_and_names_us_from_its_next_stamp_on(world: World) -> None:
    spec = world.spec()
    await world.make_of(spec, None)
    us = (await world.hypervisor.host.describe()).hostname
    before = await world.fingerprint(spec.uuid)
    assert before is not None
    assert us not in before
    assert (await world.hypervisor.domains.get(spec.uuid)).power_state is PowerState.RUNNING
    await world.hypervisor.domains.stamp(spec.uuid, 9, "r9")
    after = await world.fingerprint(spec.uuid)
    assert after is not None
    assert us in after


async def test_a_name_that_a_foreign_domain_has_cant_be_defined(world: World) -> None:
    spec, foreign = world.spec(), uuid4()
    await world.make_foreign(foreign, spec.name)
    before = await world.fingerprint(foreign)
    with pytest.raises(Conflict):
        await world.hypervisor.domains.define(guest_of(world, spec))
    assert await world.fingerprint(foreign) == before
    assert await world.fingerprint(spec.uuid) is None


async def test_a_name_that_another_guest_of_ours_has_cant_be_defined(world: World) -> None:
    first = await made(world, world.spec())
    second = world.spec().model_copy(update={"name": first.name})
    with pytest.raises(Conflict):
        await world.hypervisor.domains.define(guest_of(world, second))
    assert await world.fingerprint(second.uuid) is None


async def test_the_spec_is_read_back_as_it_was_defined(world: World) -> None:
    spec = world.spec().model_copy(update={"metadata": {"role": '<db> & "ünïcode"'}})
    await made(world, spec)
    assert (await world.hypervisor.domains.get(spec.uuid)).spec == spec


async def test_secrets_are_masked_in_what_is_read_back_and_in_what_is_rendered(world: World) -> None:
    clear = "bm90LWZvci1hbnlib2R5"
    drive = ConfigDrive(
        admin_pass=Secret(clear),
        user_data=Secret(clear),
        files=(InjectedFile(path="/etc/key", content=Secret(clear)),),
    )
    spec = world.spec().model_copy(update={"config_drive": drive})
    assert clear not in world.hypervisor.domains.render(guest_of(world, spec))
    await made(world, spec)
    view = await world.hypervisor.domains.get(spec.uuid)
    assert view.spec is not None
    assert view.spec.config_drive is not None
    assert view.spec.config_drive.admin_pass == Secret(MASK)
    fingerprint = await world.fingerprint(spec.uuid)
    assert fingerprint is not None
    assert clear not in fingerprint


async def test_what_is_rendered_is_the_domain_that_is_to_be_and_makes_nothing(world: World) -> None:
    spec = world.spec()
    guest = guest_of(world, spec)
    text = world.hypervisor.domains.render(guest)
    assert text == world.hypervisor.domains.render(guest)
    assert str(spec.uuid) in text
    assert spec.name in text
    assert await world.fingerprint(spec.uuid) is None


async def test_the_generation_stamped_on_a_guest_outlives_the_driver_and_the_daemon(world: World) -> None:
    spec = await running(world, world.spec())
    for _ in range(2):
        await world.hypervisor.domains.stamp(spec.uuid, 7, "request-7")
    await world.restart_driver()
    listed = {view.uuid: view for view in world.observed.all[0].domains}
    assert (listed[spec.uuid].generation, listed[spec.uuid].request_id) == (7, "request-7")
    mark = world.observed.mark()
    async with world.daemon_down():
        pass
    await world.observed.until(lambda o: o.kind is Kind.LISTING, since=mark, patience=world.patience)
    assert (await world.hypervisor.domains.get(spec.uuid)).generation == 7


async def test_the_generation_stamped_on_a_running_guest_is_there_when_it_is_off(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.stamp(spec.uuid, 8, None)
    await world.hypervisor.domains.power_off(spec.uuid)
    view = await world.hypervisor.domains.get(spec.uuid)
    assert (view.generation, view.request_id, view.spec) == (8, None, spec)


async def test_a_noted_volume_is_known_without_its_secrets_until_it_is_forgotten(world: World) -> None:
    spec = await running(world, world.spec())
    domains, volume = world.hypervisor.domains, world.file_volume()
    secret = volume.model_copy(update={"auth_username": "cinder", "auth_password": Secret("hidden")})
    other = _volume(world)
    for noted in (secret, other, other):
        await domains.note_volume(spec.uuid, noted)
    await domains.stamp(spec.uuid, 5, None)
    await world.restart_driver()
    domains = world.hypervisor.domains
    known = {seen.volume_id: seen for seen in (await domains.get(spec.uuid)).volumes}
    masked = secret.model_copy(update={"auth_password": Secret(MASK)})
    assert known == {secret.volume_id: masked, "volume-1": other}
    assert "hidden" not in (await world.fingerprint(spec.uuid) or "")
    for _ in range(2):
        await domains.forget_volume(spec.uuid, secret.volume_id)
    await domains.power_off(spec.uuid)
    view = await domains.get(spec.uuid)
    assert (view.volumes, view.generation) == ((other,), 5)


async def test_guests_live_on_while_the_driver_is_restarted(world: World) -> None:
    running_one, suspended = await running(world, world.spec()), await running(world, world.spec())
    await world.hypervisor.domains.suspend(suspended.uuid)
    await world.restart_driver()
    states = {view.uuid: view.power_state for view in await world.hypervisor.domains.list()}
    assert states[running_one.uuid] is PowerState.RUNNING
    assert states[suspended.uuid] is PowerState.SUSPENDED
