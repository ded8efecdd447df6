"""What is really there, asked of the host itself and not the agent: the fake world's files, or libvirtd."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import libvirt

from agent.hypervisor.fake.control import FakeWorld
from tests.rig import Libvirtd

BYSTANDER = "bystander"


@dataclass(frozen=True)
class Seen:
    """A domain of ours. `live` is None while it is off; `disk`: whether it has one."""

    power: str
    stored: frozenset[str]
    live: frozenset[str] | None
    disk: bool = True


@dataclass
class Picture:
    """`others`: whatever isn't ours, to be compared as text. `litter`: what belongs to no domain of ours."""

    domains: dict[str, Seen] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    litter: list[str] = field(default_factory=list)


@dataclass
class Files:
    """Where the agent keeps instances, and where volumes lie."""

    state_dir: Path
    volumes: Path

    def volume(self, uuid: str, number: int) -> dict[str, Any]:
        path = self.volumes / f"{uuid}-{number}.raw"
        if not path.exists():
            path.write_bytes(bytes(1024 * 1024))
        return {"path": str(path), "volume_id": f"v{number}-{uuid[:8]}"}

    def has_disk(self, uuid: str) -> bool:
        return any((self.state_dir / "instances" / uuid).glob("*"))

    def litter(self, uuids: set[str]) -> Iterator[str]:
        """What belongs to none of the instances."""
        for path in sorted((self.state_dir / "instances").glob("*")):
            if path.name not in uuids:
                yield f"{path} belongs to no instance"
            for inner in path.glob("*.part*"):
                yield f"{inner} is half made"


def arguments(
    files: Files, method: str, uuid: str, rng: random.Random, vif: dict[str, Any], disk: dict[str, Any]
) -> dict[str, Any]:
    """The same for the same spawn: some are repeats of what is there. Ports and volumes have two names each."""
    number = rng.randrange(2)
    port = f"p{number}{uuid[:8]}"
    on = {"instance_uuid": uuid}
    match method:
        case "spawn":
            interfaces = [{**vif, "port_id": f"p9{uuid[:8]}"}]
            return {
                "instance": {
                    "uuid": uuid,
                    "name": f"vm-{uuid[:8]}",
                    "vcpus": 1,
                    "memory_mb": 32,
                    "disks": [disk],
                    "interfaces": interfaces,
                }
            }
        case "attach_volume":
            data = files.volume(uuid, number)
            return {**on, "connection_info": {"driver_volume_type": "file", "data": data}}
        case "detach_volume":
            return {**on, "volume_id": f"v{number}-{uuid[:8]}"}
        case "attach_interface":
            return {**on, "vif": {**vif, "port_id": port}}
        case "detach_interface":
            return {**on, "port_id": port}
        case "stop":
            return {**on, "graceful": rng.random() < 0.5, "timeout_s": 2}
        case "reboot":
            return {**on, "mode": rng.choice(("hard", "hard", "soft")), "timeout_s": 1}
        case _:
            return on


class FakeHost:
    driver = "fake"
    lets_go = True

    def __init__(self, files: Files) -> None:
        self._files = files
        self.world = FakeWorld(files.state_dir)
        self._bystander = uuid4()
        self._image = files.volumes / "image.qcow2"

    def prepare(self) -> None:
        self.world.configure(boot_seconds=0.02, shutdown_seconds=0.02)
        self.world.make_image(self._image)
        self.world.make_foreign(self._bystander, BYSTANDER)

    def args(self, method: str, uuid: str, rng: random.Random) -> dict[str, Any]:
        # With something to boot: only who is up lets devices go.
        disk = {"kind": "image", "image": {"url": str(self._image)}}
        return arguments(self._files, method, uuid, rng, {"type": "bridge", "bridge": "br0"}, disk)

    def picture(self) -> Picture:
        picture, taps = Picture(), set()
        for uuid, domain in self.world.domains().items():
            if domain.spec is None:
                picture.others[str(uuid)] = domain.model_dump_json(exclude={"due", "console", "live"})
                continue
            live = domain.live if domain.active else None
            on = None if live is None else _ids(live)
            disk = self._files.has_disk(str(uuid))
            picture.domains[str(uuid)] = Seen(domain.state.value, _ids(domain), on, disk)
            taps |= {f"tap{i.port_id[:11]}" for i in live.interfaces} if live else set()
        there = {path.name for path in (self._files.state_dir / "world" / "taps").iterdir()}
        picture.litter = [f"tap {name} belongs to no guest" for name in sorted(there - taps)]
        picture.litter += [f"tap {name} is missing" for name in sorted(taps - there)]
        picture.litter += self._files.litter(set(picture.domains))
        return picture


def _ids(having: Any) -> frozenset[str]:
    """Of what can be plugged; an instance's own disk isn't."""
    volumes = {disk.id for disk in having.disks if disk.removable}
    return frozenset(volumes | {nic.port_id for nic in having.interfaces})


POWER = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "shutdown",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}


class LibvirtHost:
    """Asked by libvirt's own library, not through the agent's code."""

    driver = "libvirt"
    lets_go = False  # they have no system: QEMU asks for a device back and nobody hears

    def __init__(self, files: Files, libvirtd: Libvirtd) -> None:
        self._files = files
        self.libvirtd = libvirtd

    def prepare(self) -> None:
        xml = self._files.volumes / "bystander.xml"
        xml.write_text(
            f"<domain type='qemu'><name>{BYSTANDER}</name><memory unit='MiB'>32</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )
        self.libvirtd.virsh("define", str(xml))
        self.libvirtd.virsh("start", BYSTANDER)

    def args(self, method: str, uuid: str, rng: random.Random) -> dict[str, Any]:
        disk = {"kind": "blank", "size_mb": 1}
        args = arguments(self._files, method, uuid, rng, {"type": "user"}, disk)
        if method == "spawn":
            args["instance"]["graphics"] = {"type": "none"}
        return args

    def picture(self) -> Picture:
        """Raises libvirtError, as when a domain goes while it is looked at."""
        picture = Picture()
        connection = libvirt.openReadOnly(self.libvirtd.uri)
        try:
            for domain in connection.listAllDomains():
                self._see(domain, picture)
        finally:
            connection.close()
        picture.litter = [*self._files.litter(set(picture.domains)), *self._processes(picture)]
        return picture

    def _see(self, domain: libvirt.virDomain, picture: Picture) -> None:
        uuid, live = domain.UUIDString(), domain.XMLDesc()
        if "compute-agent" not in live:
            pid = (self._files.volumes.parent / "libvirt/run/qemu" / f"{domain.name()}.pid").read_text()
            picture.others[uuid] = f"{domain.state()} {pid} {live}"
            return
        stored = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        on = plugged(live) if domain.isActive() else None
        picture.domains[uuid] = Seen(_power(domain), plugged(stored), on, self._files.has_disk(uuid))

    def guests(self) -> dict[str, int]:
        """The QEMU process of each running guest of ours, by uuid: one with a disk in our directory. Others on the
        box may have guests of the same name."""
        found = {}
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = any(f"{self._files.state_dir}/instances/" in word for word in words)
            if ours and words[0].rsplit("/", 1)[-1].startswith("qemu-system") and "-uuid" in words:
                found[words[words.index("-uuid") + 1]] = int(line.parent.name)
        return found

    def _processes(self, picture: Picture) -> Iterator[str]:
        for uuid, pid in self.guests().items():
            if str(UUID(uuid)) not in picture.domains and str(UUID(uuid)) not in picture.others:
                yield f"process {pid} is the guest of no domain ({uuid})"


def _power(domain: libvirt.virDomain) -> str:
    state, reason = domain.state()
    if state != libvirt.VIR_DOMAIN_SHUTOFF:
        return POWER.get(state, str(state))
    if domain.hasManagedSaveImage():
        return "suspended"
    return "crashed" if reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED else "shutdown"


def plugged(text: str) -> frozenset[str]:
    """Ids of volumes and ports in a domain's XML."""
    devices = ET.fromstring(text).find("devices")
    assert devices is not None
    names = set()
    for kind in ("disk", "interface"):
        for element in devices.findall(kind):
            alias = element.find("alias")
            name = alias.get("name", "") if alias is not None else ""
            names.add(name.removeprefix("ua-"))
    return frozenset(name for name in names if name[:1] in ("v", "p"))
