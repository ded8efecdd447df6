"""What a recorded agent was doing when it was stopped, and what an agent of today must make of it.

A case is one instance. What is `before` is done; then `method` is asked for, and the agent is stopped when the
last fault holds it up, if that one hangs; else it was let go to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from agent.hypervisor.fake.faults import Fault
from agent.journal.records import Status
from agent.operations.base import State
from agent.operations.destroy import Destroy
from agent.operations.interfaces import AttachInterface
from agent.operations.power import Power, Stop
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume, DetachVolume
from agent.secret import Secret
from agent.spec import (
    BlankDisk,
    BridgeInterface,
    ConfigDrive,
    InstanceSpec,
    NbdVolume,
    PowerState,
    UserInterface,
    VolumeConnection,
    VolumeDisk,
)

KEY = b"bm90IGEgc2VjcmV0LCBpdCBpcyBpbiB0aGUgdGVzdHM="
SECRET = "cinder's password"
SPACE = UUID("8d3c5b52-2a1c-4d0f-9b6e-3f6f0f3b1a70")
FAR = datetime(2100, 1, 1, tzinfo=UTC)
PAST = datetime(2001, 1, 1, tzinfo=UTC)


def uuid_of(name: str) -> UUID:
    return uuid5(SPACE, name)


def volume(name: str) -> VolumeConnection:
    target = NbdVolume(host="storage.example", port=10809, export=name)
    return VolumeConnection(
        volume_id=f"vol-{name}", target=target, auth_username="u", auth_password=Secret(SECRET)
    )


def spawn(name: str) -> Spawn:
    spec = InstanceSpec(
        uuid=uuid_of(name),
        name=name,
        vcpus=1,
        memory_mb=64,
        disks=(BlankDisk(id="disk0", size_mb=1), VolumeDisk(id=f"vol-{name}", connection=volume(name))),
        interfaces=(UserInterface(port_id=f"p-{name}", mac_address="52:54:00:00:00:01"),),
        config_drive=ConfigDrive(hostname=name, admin_pass=Secret(SECRET)),
    )
    return Spawn(instance_uuid=spec.uuid, spec=spec)


def attach(name: str) -> AttachVolume:
    return AttachVolume(instance_uuid=uuid_of(name), connection=volume(f"{name}-more"))


def detach(name: str) -> DetachVolume:
    return DetachVolume(instance_uuid=uuid_of(name), volume_id=f"vol-{name}-more")


def plug(name: str) -> AttachInterface:
    nic = BridgeInterface(port_id=f"p2-{name}", mac_address="52:54:00:00:00:02", bridge="br0")
    return AttachInterface(instance_uuid=uuid_of(name), interface=nic)


def destroy(name: str) -> Destroy:
    return Destroy(instance_uuid=uuid_of(name))


def power(name: str) -> Power:
    return Power(instance_uuid=uuid_of(name))


def stop(name: str) -> Stop:
    return Stop(instance_uuid=uuid_of(name), graceful=False)


MAKE: dict[str, Any] = {
    "spawn": spawn,
    "destroy": destroy,
    "attach_volume": attach,
    "detach_volume": detach,
    "attach_interface": plug,
    "pause": power,
    "start": power,
    "stop": stop,
}


@dataclass(frozen=True)
class Case:
    """`status` and `power` (None: no instance) are what today's agent makes of it; `volumes`: how many volumes it
    has connected then."""

    method: str
    status: Status
    power: PowerState | None
    volumes: int = 1
    before: Sequence[str] = ("spawn",)
    faults: Sequence[Fault] = ()
    given: dict[str, Any] = field(default_factory=dict)
    left: Status = Status.RUNNING
    late: bool = False
    """Its `not_after` passed while the agent was away."""

    def state(self, name: str) -> State:
        made: State = MAKE[self.method](name)
        return made


def hangs(call: str, when: Any = "before") -> Fault:
    return Fault(call=call, when=when, hang=True, times=1)


def fails(call: str, error: str = "no_capacity") -> Fault:
    return Fault(call=call, error=error, times=1)


RUNNING, SHUTDOWN, PAUSED = PowerState.RUNNING, PowerState.SHUTDOWN, PowerState.PAUSED
DONE, UNDONE = Status.SUCCEEDED, Status.FAILED
IN_TIME = {"not_after": FAR}

CASES: dict[str, Case] = {
    "spawn-making-disks": Case("spawn", DONE, RUNNING, 1, (), [hangs("disks.create", "half")], IN_TIME),
    "spawn-defining": Case("spawn", DONE, RUNNING, 1, (), [hangs("domains.define", "after")], IN_TIME),
    "spawn-starting": Case("spawn", DONE, RUNNING, 1, (), [hangs("domains.start", "half")], IN_TIME),
    "spawn-too-late": Case("spawn", UNDONE, None, 0, (), [hangs("domains.start")], IN_TIME, late=True),
    "spawn-undoing": Case(
        "spawn", UNDONE, None, 0, (), [fails("domains.start"), hangs("domains.undefine")], IN_TIME
    ),
    "spawn-unknown": Case(
        "spawn", Status.UNKNOWN, RUNNING, 1, (), [Fault(call="domains.start", when="after", error="timed_out")],
        IN_TIME, Status.UNKNOWN,
    ),
    "spawned": Case("spawn", DONE, RUNNING, 1, (), (), IN_TIME, DONE),
    "attaching": Case("attach_volume", DONE, RUNNING, 2, faults=[hangs("domains.attach_disk", "half")]),
    "attach-undoing": Case(
        "attach_volume", UNDONE, RUNNING, faults=[fails("domains.attach_disk"), hangs("volumes.disconnect")]
    ),
    "attach-stuck": Case(
        "attach_volume", Status.STUCK, RUNNING, 2,
        faults=[fails("domains.attach_disk"), fails("volumes.disconnect", "operation_failed")], left=Status.STUCK,
    ),
    "detaching": Case(
        "detach_volume", DONE, RUNNING, before=("spawn", "attach_volume"), faults=[hangs("volumes.disconnect")]
    ),
    "plugging": Case("attach_interface", DONE, RUNNING, faults=[hangs("domains.attach_interface", "after")]),
    "destroying-early": Case("destroy", DONE, None, 0, faults=[hangs("domains.power_off", "after")]),
    "destroying-late": Case("destroy", DONE, None, 0, faults=[hangs("disks.remove", "half")]),
    "pausing": Case("pause", DONE, PAUSED, faults=[hangs("domains.pause")]),
    "stopping": Case("stop", DONE, SHUTDOWN, faults=[hangs("domains.power_off", "after")]),
}  # fmt: skip
