"""Faults to order: each of them, at each point, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

import pytest
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from agent import deadline, errors
from agent.errors import AgentError, Internal, OperationFailed, TimedOut, Unavailable
from agent.hypervisor.fake.faults import Fault
from agent.spec import (
    BlankDisk,
    BridgeInterface,
    ConfigDrive,
    FileVolume,
    InstanceSpec,
    PowerState,
    VolumeConnection,
)
from tests.unit.hypervisor.fake.conftest import Fake

NIC = BridgeInterface(port_id="port-1", mac_address="52:54:00:00:00:01", bridge="br0")


async def power(fake: Fake, spec: InstanceSpec) -> PowerState:
    return (await fake.driver.domains.get(spec.uuid)).power_state


@pytest.mark.parametrize("code", sorted(errors.BY_CODE))
async def test_every_error_of_the_contract_can_be_ordered(fake: Fake, code: str) -> None:
    fake.hands.faults.add(Fault(call="host.describe", error=code, message="as ordered"))
    with pytest.raises(errors.BY_CODE[code], match="as ordered"):
        await fake.driver.host.describe()


async def test_a_fault_strikes_as_often_as_it_was_told(fake: Fake) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", error="operation_failed", times=2))
    for _ in range(2):
        with pytest.raises(OperationFailed):
            await fake.driver.domains.start(spec.uuid)
    await fake.driver.domains.start(spec.uuid)
    assert await power(fake, spec) is PowerState.RUNNING


async def test_a_fault_before_the_act_leaves_everything_as_it_was(fake: Fake) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", error="unavailable"))
    with pytest.raises(Unavailable):
        await fake.driver.domains.start(spec.uuid)
    assert await power(fake, spec) is PowerState.SHUTDOWN


async def test_a_fault_after_the_act_loses_the_answer_only(fake: Fake) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", when="after", error="timed_out", times=1))
    with pytest.raises(TimedOut):
        await fake.driver.domains.start(spec.uuid)
    assert await power(fake, spec) is PowerState.RUNNING


async def test_a_fault_for_one_instance_spares_the_others(fake: Fake) -> None:
    sick, well = await fake.define(fake.spec()), await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.*", instance=sick.uuid, error="unavailable"))
    await fake.driver.domains.start(well.uuid)
    with pytest.raises(Unavailable):
        await fake.driver.domains.start(sick.uuid)


async def test_a_fault_for_one_operation_spares_the_others(fake: Fake) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", method="resume", error="unavailable"))
    with bound_contextvars(method="start"):
        await fake.driver.domains.start(spec.uuid)
    with bound_contextvars(method="resume"), pytest.raises(Unavailable):
        await fake.driver.domains.start(spec.uuid)


async def test_a_guest_and_a_spec_say_which_instance_they_are_about(fake: Fake) -> None:
    spec = fake.blank(1)
    fake.hands.faults.add(Fault(call="*.*", instance=spec.uuid, error="busy"))
    with pytest.raises(errors.Busy):
        await fake.define(spec)
    with pytest.raises(errors.Busy):
        await fake.driver.disks.create(spec, spec.disks[0])


async def test_faults_written_by_hand_strike_at_once(fake: Fake) -> None:
    lines = [{"call": "domains.list", "error": "no_capacity", "message": "by hand"}]
    (fake.state / "world" / "faults.json").write_text(json.dumps(lines))
    with pytest.raises(errors.NoCapacity, match="by hand"):
        await fake.driver.domains.list()


async def test_a_faults_file_that_cant_be_read_is_named(fake: Fake) -> None:
    (fake.state / "world" / "faults.json").write_text('[{"cal": "domains.list"}]')
    with pytest.raises(Internal, match=r"faults\.json"):
        await fake.driver.domains.list()


def test_an_error_code_that_doesnt_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="operation_failed"):
        Fault(call="domains.start", error="no_such_error")


async def test_a_slow_call_takes_its_time_and_succeeds(fake: Fake) -> None:
    fake.hands.faults.add(Fault(call="host.describe", slow=0.2))
    began = time.monotonic()
    await fake.driver.host.describe()
    assert time.monotonic() - began >= 0.2


async def test_a_call_slower_than_its_deadline_has_an_unknown_outcome(fake: Fake) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", when="after", slow=60.0))
    with deadline.within(0.1), pytest.raises(TimedOut):
        await fake.driver.domains.start(spec.uuid)
    assert await power(fake, spec) is PowerState.RUNNING


async def test_a_call_that_hangs_without_a_deadline_ends_at_the_drivers_own(
    make_fake: Callable[..., Fake],
) -> None:
    fake = make_fake(call_timeout=0.1)
    fake.hands.faults.add(Fault(call="host.describe", hang=True))
    with pytest.raises(TimedOut):
        await fake.driver.host.describe()


async def test_a_call_that_hangs_goes_on_when_it_is_released_and_holds_nobody_else_up(fake: Fake) -> None:
    sick, well = await fake.define(fake.spec()), await fake.define(fake.spec())
    fake.hands.faults.add(Fault(call="domains.start", hang=True, instance=sick.uuid))
    hanging = asyncio.create_task(fake.driver.domains.start(sick.uuid))
    await fake.driver.domains.start(well.uuid)
    assert not hanging.done()
    fake.hands.faults.clear("domains.start")
    await hanging
    assert await power(fake, sick) is PowerState.RUNNING


async def test_clearing_one_call_leaves_the_faults_of_others(fake: Fake) -> None:
    fake.hands.faults.add(Fault(call="domains.list", error="busy"))
    fake.hands.faults.add(Fault(call="host.describe", error="busy"))
    fake.hands.faults.clear("domains.list")
    assert [fault.call for fault in fake.hands.faults.all()] == ["host.describe"]
    fake.hands.faults.clear()
    assert fake.hands.faults.all() == ()


async def test_while_the_world_is_down_every_call_is_unavailable(fake: Fake) -> None:
    fake.hands.outage(True)
    with pytest.raises(Unavailable):
        await fake.driver.domains.list()
    fake.hands.outage(False)
    assert await fake.driver.domains.list() == ()


# What half an act leaves behind, and that doing it again makes it whole.


def _half(fake: Fake, call: str) -> None:
    fake.hands.faults.add(Fault(call=call, when="half", error="operation_failed", times=1))


async def twice(act: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(AgentError):
        await act()
    await act()


async def test_half_a_start_leaves_taps_that_unplug_removes(fake: Fake) -> None:
    spec = await fake.define(fake.spec(interfaces=(NIC,)))
    taps = fake.state / "world" / "taps"
    _half(fake, "domains.start")
    with pytest.raises(OperationFailed):
        await fake.driver.domains.start(spec.uuid)
    assert await power(fake, spec) is PowerState.SHUTDOWN
    assert len(list(taps.iterdir())) == 1
    await fake.driver.nics.unplug(spec.uuid, NIC)
    assert list(taps.iterdir()) == []


async def test_half_an_attach_is_in_the_definition_and_not_in_the_guest(fake: Fake) -> None:
    spec = await fake.run(fake.bootable())
    _half(fake, "domains.attach_interface")
    with pytest.raises(OperationFailed):
        await fake.driver.domains.attach_interface(spec.uuid, NIC)
    domain = fake.hands.domains()[spec.uuid]
    assert domain.interfaces == (NIC,)
    assert domain.live is not None
    assert domain.live.interfaces == ()
    await fake.driver.domains.attach_interface(spec.uuid, NIC)
    assert fake.hands.guest_macs(spec.uuid) == {NIC.mac_address}


async def test_half_a_detach_is_out_of_the_guest_and_still_in_the_definition(fake: Fake) -> None:
    spec = await fake.run(fake.bootable())
    await fake.driver.domains.attach_interface(spec.uuid, NIC)
    _half(fake, "domains.detach_interface")
    await twice(lambda: fake.driver.domains.detach_interface(spec.uuid, NIC.port_id))
    assert fake.hands.domains()[spec.uuid].interfaces == ()


async def test_half_a_suspend_leaves_the_guest_paused(fake: Fake) -> None:
    spec = await fake.run(fake.spec())
    _half(fake, "domains.suspend")
    with pytest.raises(OperationFailed):
        await fake.driver.domains.suspend(spec.uuid)
    assert await power(fake, spec) is PowerState.PAUSED
    await fake.driver.domains.suspend(spec.uuid)
    assert await power(fake, spec) is PowerState.SUSPENDED


async def test_half_a_disk_is_a_part_that_is_replaced(fake: Fake) -> None:
    spec = fake.blank(8)
    await fake.driver.disks.make_directory(spec.uuid)
    _half(fake, "disks.create")
    with pytest.raises(OperationFailed):
        await fake.driver.disks.create(spec, spec.disks[0])
    directory = fake.driver.instances_dir / str(spec.uuid)
    assert [path.name for path in directory.iterdir()] == ["blank.qcow2.part"]
    await fake.driver.disks.create(spec, spec.disks[0])
    assert [path.name for path in directory.iterdir()] == ["blank.qcow2"]


async def test_half_a_removal_leaves_something_to_remove(fake: Fake) -> None:
    two = (BlankDisk(id="a", size_mb=1), BlankDisk(id="b", size_mb=1))
    spec = fake.spec(disks=two, config_drive=ConfigDrive())
    await fake.driver.disks.make_directory(spec.uuid)
    for disk in two:
        await fake.driver.disks.create(spec, disk)
    _half(fake, "disks.remove")
    with pytest.raises(OperationFailed):
        await fake.driver.disks.remove(spec.uuid)
    directory = fake.driver.instances_dir / str(spec.uuid)
    assert len(list(directory.iterdir())) == 1
    await fake.driver.disks.remove(spec.uuid)
    assert not directory.exists()


async def test_half_a_connect_leaves_a_connection_that_disconnect_removes(fake: Fake) -> None:
    path = fake.state / "volume.raw"
    path.write_bytes(bytes(512))
    connection = VolumeConnection(volume_id="v", target=FileVolume(path=path))
    _half(fake, "volumes.connect")
    with pytest.raises(OperationFailed):
        await fake.driver.volumes.connect(connection)
    volumes = fake.state / "world" / "volumes"
    assert len(list(volumes.iterdir())) == 1
    await fake.driver.volumes.disconnect(connection)
    assert list(volumes.iterdir()) == []


AGENT = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from agent.hypervisor.fake.driver import fake_driver
asyncio.run(fake_driver(Path(sys.argv[1]), hostname="fake-1").domains.start(UUID(sys.argv[2])))
"""


@pytest.mark.parametrize(("when", "state"), [("before", PowerState.SHUTDOWN), ("after", PowerState.RUNNING)])
async def test_an_agent_can_be_made_to_die_at_a_point_and_its_guests_outlive_it(
    fake: Fake, when: str, state: PowerState
) -> None:
    spec = await fake.define(fake.spec())
    fake.hands.faults.add(Fault.model_validate({"call": "domains.start", "when": when, "die": True}))
    command = [sys.executable, "-c", AGENT, str(fake.state), str(spec.uuid)]
    died = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert await died.wait() == -signal.SIGKILL
    fake.hands.faults.clear()
    assert await power(fake, spec) is state
