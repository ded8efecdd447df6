"""The guests and devices whose XML is kept in `golden/`. Between them they use every field there is."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from uuid import UUID

from agent.hypervisor.devices.balloon import Balloon
from agent.hypervisor.devices.boot import Boot, FirmwareFeature
from agent.hypervisor.devices.channel import GuestAgentChannel
from agent.hypervisor.devices.clock import Clock, Timer
from agent.hypervisor.devices.console import PtySerial, UnixSerial
from agent.hypervisor.devices.controller import NoUsb, PcieRootPort, VirtioScsi
from agent.hypervisor.devices.cpu import Cpu as CpuElement
from agent.hypervisor.devices.cpu import CpuModel
from agent.hypervisor.devices.disk import BlockDisk, FileDisk, NbdTcpDisk, NbdUnixDisk
from agent.hypervisor.devices.graphics import Video, Vnc
from agent.hypervisor.devices.interface import BridgeNic, NetworkNic, UserNic
from agent.hypervisor.devices.power import Features, PowerManagement
from agent.hypervisor.devices.rng import Rng
from agent.hypervisor.devices.sysinfo import Entry, SystemInfo
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.ports import Guest
from agent.hypervisor.xml import Element
from agent.secret import Secret
from agent.spec import (
    BlankDisk,
    BlockBacking,
    BridgeInterface,
    ConfigDrive,
    Console,
    Cpu,
    DiskBus,
    DiskFormat,
    EphemeralDisk,
    FileBacking,
    FileVolume,
    FixedIp,
    Graphics,
    ImageDisk,
    ImageSource,
    InjectedFile,
    InstanceSpec,
    LocalVolume,
    Machine,
    NbdBacking,
    NbdVolume,
    NetworkInterface,
    Owner,
    PluggedDisk,
    Route,
    SwapDisk,
    UserInterface,
    VolumeConnection,
    VolumeDisk,
)

CLEAR = "this must not be seen"
UUIDS = [UUID(f"00000000-0000-4000-8000-00000000000{n}") for n in range(10)]
HERE = Path("/var/lib/compute-agent/instances")


def facts(uuid: UUID, **more: object) -> HostFacts:
    base = {
        "hostname": "host-1",
        "virt_type": "kvm",
        "emulator": "/usr/bin/qemu-system-x86_64",
        "instance_dir": HERE / str(uuid),
    }
    return HostFacts.model_validate(base | more)


def file(uuid: UUID, name: str, form: DiskFormat = DiskFormat.QCOW2) -> FileBacking:
    return FileBacking(path=HERE / str(uuid) / name, format=form)


def _full() -> tuple[Guest, HostFacts]:
    """Every feature of a q35 machine that can be had at once."""
    uuid = UUIDS[0]
    image = ImageSource(url="https://images.example/a.qcow2", format=DiskFormat.QCOW2, checksum="sha256:00ff")
    spec = InstanceSpec(
        uuid=uuid,
        name='web <1> & "é"',
        vcpus=8,
        memory_mb=2048,
        disks=(
            ImageDisk(id="root", image=image, size_mb=10240, boot_index=0, serial="ROOT-1", cache="none"),
            BlankDisk(id="data", size_mb=512, format=DiskFormat.RAW, bus=DiskBus.SCSI, cache="writethrough"),
            EphemeralDisk(
                id="scratch", size_mb=64, filesystem="vfat", label="fast", bus=DiskBus.SATA, cache="unsafe"
            ),
            SwapDisk(id="swap", size_mb=128, cache="writeback"),
        ),
        interfaces=(
            BridgeInterface(
                port_id="6f0c9a53-6f0e-4b7c-9f7e-1d2c3b4a5f60",
                mac_address="fa:16:3e:00:00:01",
                bridge="br-ex",
                mtu=1450,
                fixed_ips=(
                    FixedIp(
                        address="192.0.2.10/24",
                        gateway="192.0.2.1",
                        routes=(Route(destination="198.51.100.0/24", gateway="192.0.2.2"),),
                    ),
                ),
                dns_servers=("192.0.2.53",),
            ),
        ),
        config_drive=ConfigDrive(
            hostname="web",
            meta={"role": "web\x07"},  # a bell: JSON can say it, XML can't
            user_data=Secret(CLEAR),
            admin_pass=Secret(CLEAR),
            public_keys={"mine": "ssh-ed25519 AAAA"},
            files=(InjectedFile(path="/etc/motd", content=Secret(CLEAR)),),
        ),
        cpu=Cpu(mode="host-passthrough", sockets=2, cores=2, threads=2),
        machine=Machine(hotplug_ports=4),
        clock="localtime",
        console=Console(type="unix"),
        metadata={"team": "<blue> & green", "odd": "\x00\ufffe"},
        owner=Owner(project_id="p-1", user_id="u-1"),
    )
    disks = (
        PluggedDisk(
            id="root", bus=DiskBus.VIRTIO, backing=file(uuid, "root"), serial="ROOT-1", boot_index=0, cache="none"
        ),
        PluggedDisk(
            id="data",
            bus=DiskBus.SCSI,
            backing=file(uuid, "data", DiskFormat.RAW),
            cache="writethrough",
            target="sdc",
        ),
        PluggedDisk(id="scratch", bus=DiskBus.SATA, backing=file(uuid, "scratch", DiskFormat.RAW), cache="unsafe"),
        PluggedDisk(id="swap", bus=DiskBus.VIRTIO, backing=file(uuid, "swap", DiskFormat.RAW), cache="writeback"),
        PluggedDisk(
            id="config",
            bus=DiskBus.SCSI,
            device="cdrom",
            backing=file(uuid, "config.iso", DiskFormat.RAW),
            readonly=True,
        ),
    )
    guest = Guest(spec=spec, disks=disks, generation=12, request_id="req-7", operation_id="op-9")
    return guest, facts(uuid, agent_version="0.1.0", direct_io=True)


def _minimal_pc() -> tuple[Guest, HostFacts]:
    """As little as can be, on the old machine: nothing of PCIe in it."""
    uuid = UUIDS[1]
    raw = ImageSource(url="file:///srv/images/tiny.raw", format=DiskFormat.RAW)
    spec = InstanceSpec(
        uuid=uuid,
        name="tiny",
        vcpus=1,
        memory_mb=64,
        cpu=Cpu(mode="none"),
        machine=Machine(type="pc"),
        console=Console(log=False),
        graphics=Graphics(type="none"),
        guest_agent=False,
        disks=(ImageDisk(id="root", image=raw, bus=DiskBus.IDE),),
    )
    disk = PluggedDisk(id="root", bus=DiskBus.IDE, backing=file(uuid, "root"))
    cdrom = PluggedDisk(
        id="config", bus=DiskBus.IDE, device="cdrom", backing=file(uuid, "config.iso", DiskFormat.RAW)
    )
    return Guest(spec=spec, disks=(disk, cdrom), generation=1), facts(uuid, virt_type="qemu")


def _uefi() -> tuple[Guest, HostFacts]:
    uuid = UUIDS[2]
    spec = InstanceSpec(
        uuid=uuid,
        name="uefi",
        vcpus=4,
        memory_mb=512,
        firmware="uefi",
        cpu=Cpu(mode="custom", model="Nehalem", cores=2),
        disks=(EphemeralDisk(id="scratch", size_mb=1, filesystem="none"), EphemeralDisk(id="work", size_mb=1)),
    )
    disks = tuple(
        PluggedDisk(id=name, bus=DiskBus.VIRTIO, backing=file(uuid, name, DiskFormat.RAW))
        for name in ("scratch", "work")
    )
    return Guest(spec=spec, disks=disks, generation=2), facts(uuid, virt_type="qemu")


def _volumes() -> tuple[Guest, HostFacts]:
    """Every kind of volume, each with a boot index of its own or none."""
    uuid = UUIDS[3]
    targets = {
        "vol-local": LocalVolume(device_path=Path("/dev/mapper/vol-1")),
        "vol-file": FileVolume(path=Path("/srv/volumes/2.qcow2"), format=DiskFormat.QCOW2),
        "vol-tcp": NbdVolume(host="2001:db8::7", port=10809, export="a/b"),
        "vol-unix": NbdVolume(socket=Path("/run/nbd/4.sock")),
        "vol-raw": FileVolume(path=Path("/srv/volumes/5.raw")),
        "vol-disk": LocalVolume(device_path=Path("/dev/disk/by-id/wwn-6")),
    }
    backings = {
        "vol-local": BlockBacking(path=Path("/dev/mapper/vol-1"), format=DiskFormat.QCOW2),
        "vol-file": FileBacking(path=Path("/srv/volumes/2.qcow2"), format=DiskFormat.QCOW2),
        "vol-tcp": NbdBacking(host="2001:db8::7", port=10809, export="a/b"),
        "vol-unix": NbdBacking(socket=Path("/run/nbd/4.sock"), format=DiskFormat.QCOW2),
        "vol-raw": FileBacking(path=Path("/srv/volumes/5.raw"), format=DiskFormat.RAW),
        "vol-disk": BlockBacking(path=Path("/dev/disk/by-id/wwn-6")),
    }
    boot = {"vol-local": 1, "vol-tcp": 0, "vol-file": -1}
    device = {"vol-disk": "/dev/vdk"}
    readonly = "vol-unix"
    disks = tuple(
        VolumeDisk(
            id=name,
            boot_index=boot.get(name),
            device=device.get(name),
            connection=VolumeConnection(
                volume_id=name,
                target=target,
                access_mode="ro" if name == readonly else "rw",
                auth_username="user",
                auth_password=Secret(CLEAR),
            ),
        )
        for name, target in targets.items()
    )
    plugged = tuple(
        PluggedDisk(
            id=name,
            bus=DiskBus.VIRTIO,
            backing=backing,
            boot_index=boot.get(name),
            target=device.get(name),
            readonly=name == readonly,
            removable=True,
        )
        for name, backing in backings.items()
    )
    spec = InstanceSpec(uuid=uuid, name="volumes", vcpus=2, memory_mb=256, disks=disks, cpu=Cpu(mode="host-model"))
    return Guest(spec=spec, disks=plugged, generation=3), facts(uuid)


def _nics() -> tuple[Guest, HostFacts]:
    """Every kind of interface; cards of two kinds in turn, which must keep their order."""
    uuid = UUIDS[4]
    spec = InstanceSpec(
        uuid=uuid,
        name="nics",
        vcpus=1,
        memory_mb=256,
        cpu=Cpu(mode="maximum"),
        disks=(BlankDisk(id="ide", size_mb=1, bus=DiskBus.IDE),),
        machine=Machine(type="pc"),
        interfaces=(
            UserInterface(port_id="user", mac_address="52:54:00:00:00:01", model="e1000"),
            BridgeInterface(port_id="bridge", mac_address="52:54:00:00:00:02", bridge="br0"),
            NetworkInterface(port_id="network", mac_address="52:54:00:00:00:03", network="default", mtu=9000),
            UserInterface(port_id="user-2", mac_address="52:54:00:00:00:04"),
            NetworkInterface(
                port_id="network-2", mac_address="52:54:00:00:00:05", network="default", model="e1000"
            ),
        ),
    )
    disk = PluggedDisk(id="ide", bus=DiskBus.IDE, backing=file(uuid, "ide"))
    return Guest(spec=spec, disks=(disk,), generation=4), facts(uuid)


GUESTS = {
    "full-q35": _full(),
    "minimal-pc": _minimal_pc(),
    "uefi": _uefi(),
    "volumes": _volumes(),
    "nics": _nics(),
}

_PATH = PurePosixPath("/srv/disk")
DEVICES: dict[str, Element] = {
    "disk-file": FileDisk(
        path=_PATH,
        format=DiskFormat.QCOW2,
        target="vda",
        bus=DiskBus.VIRTIO,
        cache="none",
        io="native",
        discard="unmap",
        serial="S-1",
        boot_order=1,
        alias="ua-root",
    ),
    "disk-cdrom": FileDisk(
        path=_PATH,
        device="cdrom",
        format=DiskFormat.RAW,
        target="hda",
        bus=DiskBus.IDE,
        readonly=True,
        alias="ua-cd",
    ),
    "disk-block": BlockDisk(path=_PATH, format=DiskFormat.RAW, target="sda", bus=DiskBus.SCSI, alias="ua-b"),
    "disk-nbd-tcp": NbdTcpDisk(
        host="192.0.2.1",
        port=10809,
        export="vol",
        format=DiskFormat.RAW,
        target="vdb",
        bus=DiskBus.VIRTIO,
        alias="ua-t",
    ),
    "disk-nbd-unix": NbdUnixDisk(
        socket=_PATH, export="vol", format=DiskFormat.RAW, target="sdb", bus=DiskBus.SATA, alias="ua-u"
    ),
    "interface-bridge": BridgeNic(mac="52:54:00:00:00:01", alias="ua-a", bridge="br0", tap="tapa", mtu=1400),
    "interface-network": NetworkNic(
        mac="52:54:00:00:00:02", model="e1000", alias="ua-b", network="default", tap="tapb", mtu=1400
    ),
    "interface-user": UserNic(mac="52:54:00:00:00:03", alias="ua-c"),
    "controller-port": PcieRootPort(index=3),
    "controller-scsi": VirtioScsi(index=1),
    "controller-no-usb": NoUsb(),
    "serial-pty": PtySerial(port=1, log=_PATH, append=False),
    "serial-unix": UnixSerial(path=_PATH, log=_PATH, append=True),
    "channel-agent": GuestAgentChannel(),
    "graphics-vnc": Vnc(listen="192.0.2.1", port=5901, autoport=False),
    "video": Video(model="virtio"),
    "rng": Rng(source=PurePosixPath("/dev/random")),
    "balloon": Balloon(stats_period=5),
    "cpu-custom": CpuElement(
        mode="custom",
        match="exact",
        model=CpuModel(name="Nehalem", fallback="allow"),
        sockets=1,
        cores=2,
        threads=1,
    ),
    "clock": Clock(
        offset="utc", timers=(Timer(name="rtc", tickpolicy="catchup"), Timer(name="hpet", present=False))
    ),
    "sysinfo": SystemInfo(system=(Entry(name="serial", value='<1> & "2"'),)),
    "boot": Boot(
        firmware="efi", arch="x86_64", machine="q35", features=(FirmwareFeature(enabled=False),), smbios="sysinfo"
    ),
    "features": Features(apic=False, acpi=False),
    "pm": PowerManagement(suspend_to_mem=True, suspend_to_disk=False),
}
