"""One case for every operation of the table: what is there before, what is asked, what must come of it.

A new operation without a case fails `test_every_operation_has_a_case`; with one, it is held to all the rules
of this directory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from agent.operations.base import State
from agent.operations.destroy import Destroy
from agent.operations.interfaces import AttachInterface, DetachInterface
from agent.operations.power import Power, Reboot, Stop
from agent.operations.spawn import Spawn
from agent.operations.volumes import AttachVolume, DetachVolume
from agent.secret import Secret
from agent.spec import (
    BlankDisk,
    BridgeInterface,
    ConfigDrive,
    DiskFormat,
    FileVolume,
    ImageDisk,
    ImageSource,
    InjectedFile,
    InstanceSpec,
    PowerState,
    UserInterface,
    VolumeConnection,
    VolumeDisk,
)
from tests.unit.operations.conftest import Inside

UUID_ = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")

Make = Callable[[Path], State]


@dataclass(frozen=True)
class Case:
    """`before` are done first; `power` is the state that the operation leaves behind, None: no instance."""

    asked: Make
    before: tuple[tuple[str, Make], ...] = ()
    power: PowerState | None = PowerState.RUNNING

    async def prepare(self, inside: Inside) -> None:
        inside.world.make_image(inside.directory / "image.qcow2")
        for name in ("root.raw", "more.raw"):
            (inside.directory / name).write_bytes(bytes(1024 * 1024))
        for method, make in self.before:
            record = await inside.do(method, make(inside.directory))
            assert record.error is None, record.error


def volume(directory: Path, name: str) -> VolumeConnection:
    return VolumeConnection(
        volume_id=f"vol-{name}",
        target=FileVolume(path=directory / f"{name}.raw"),
        auth_username="cinder",
        auth_password=Secret("hidden"),
    )


def spec(directory: Path) -> InstanceSpec:
    """Something of everything a spawn has to make."""
    image = ImageSource(url=f"file://{directory}/image.qcow2", format=DiskFormat.QCOW2)
    return InstanceSpec(
        uuid=UUID_,
        name="vm-1",
        vcpus=1,
        memory_mb=64,
        disks=(
            ImageDisk(id="root", image=image),
            BlankDisk(id="blank", size_mb=1),
            VolumeDisk(id="vol-root", connection=volume(directory, "root")),
        ),
        interfaces=(
            BridgeInterface(port_id="port-a", mac_address="52:54:00:00:00:01", bridge="br0"),
            UserInterface(port_id="port-b", mac_address="52:54:00:00:00:02"),
        ),
        config_drive=ConfigDrive(
            hostname="vm-1", user_data=Secret("c2VjcmV0"), files=(InjectedFile(path="/f", content=Secret("eA==")),)
        ),
    )


def spawn(directory: Path) -> Spawn:
    return Spawn(instance_uuid=UUID_, spec=spec(directory))


def attach_volume(directory: Path) -> AttachVolume:
    return AttachVolume(instance_uuid=UUID_, connection=volume(directory, "more"))


def attach_interface(_: Path) -> AttachInterface:
    interface = BridgeInterface(port_id="port-c", mac_address="52:54:00:00:00:03", bridge="br0")
    return AttachInterface(instance_uuid=UUID_, interface=interface)


def power(_: Path) -> Power:
    return Power(instance_uuid=UUID_)


THERE: tuple[tuple[str, Make], ...] = (("spawn", spawn),)
STOP = ("stop", lambda _: Stop(instance_uuid=UUID_, graceful=False))

CASES: dict[str, Case] = {
    "spawn": Case(spawn),
    "destroy": Case(lambda _: Destroy(instance_uuid=UUID_), THERE, power=None),
    "attach_volume": Case(attach_volume, THERE),
    "detach_volume": Case(
        lambda _: DetachVolume(instance_uuid=UUID_, volume_id="vol-more"),
        (*THERE, ("attach_volume", attach_volume)),
    ),
    "attach_interface": Case(attach_interface, THERE),
    "detach_interface": Case(
        lambda _: DetachInterface(instance_uuid=UUID_, port_id="port-c"),
        (*THERE, ("attach_interface", attach_interface)),
    ),
    "start": Case(power, (*THERE, STOP)),
    "stop": Case(lambda _: Stop(instance_uuid=UUID_, timeout_s=5), THERE, power=PowerState.SHUTDOWN),
    "reboot": Case(lambda _: Reboot(instance_uuid=UUID_, timeout_s=5), THERE),
    "pause": Case(power, THERE, power=PowerState.PAUSED),
    "unpause": Case(power, (*THERE, ("pause", power))),
    "suspend": Case(power, THERE, power=PowerState.SUSPENDED),
    "resume": Case(power, (*THERE, ("suspend", power))),
}
