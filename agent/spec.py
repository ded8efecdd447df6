"""What an instance is, inside the agent: frozen models, never on the wire.

`rpc.convert` makes these from the published schema and nothing below knows that schema. They are what
the journal keeps (secrets sealed) and what the hypervisor's builders read.

Units: memory and disk sizes in MiB. Identifiers: a disk is known by `id` (a volume's id for volumes), an
interface by `port_id`; both become libvirt aliases (`ua-<id>`), so they never depend on `<target dev>`,
which is only a hint to the guest.
"""

from __future__ import annotations

import base64
import enum
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent.secret import Secret


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PowerState(enum.StrEnum):
    """nova's words; `code` is its number."""

    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"

    @property
    def code(self) -> int:
        """nova's number; `unknown` is ours."""
        return _CODES[self]


_CODES = {
    PowerState.NOSTATE: 0,
    PowerState.RUNNING: 1,
    PowerState.PAUSED: 3,
    PowerState.SHUTDOWN: 4,
    PowerState.CRASHED: 6,
    PowerState.SUSPENDED: 7,
    PowerState.UNKNOWN: -1,
}


class DiskBus(enum.StrEnum):
    VIRTIO = "virtio"
    SCSI = "scsi"
    SATA = "sata"
    IDE = "ide"


class DiskFormat(enum.StrEnum):
    RAW = "raw"
    QCOW2 = "qcow2"


class ImageSource(Frozen):
    """Where an image comes from: `file:///path`, `http://` or `https://`; what it must be."""

    url: str
    format: DiskFormat
    checksum: str | None = None  # "sha256:<hex>" or "sha512:<hex>"


class Disk(Frozen):
    """What all disks share."""

    id: str
    bus: DiskBus = DiskBus.VIRTIO
    boot_index: int | None = None
    serial: str | None = None
    cache: Literal["none", "writeback", "writethrough", "unsafe"] | None = None


class ImageDisk(Disk):
    """A qcow2 overlay on a cached image, grown to `size_mb` when given."""

    kind: Literal["image"] = "image"
    image: ImageSource
    size_mb: int | None = None


class BlankDisk(Disk):
    kind: Literal["blank"] = "blank"
    size_mb: int
    format: DiskFormat = DiskFormat.QCOW2


class EphemeralDisk(Disk):
    """Scratch space with a file system, gone with the instance."""

    kind: Literal["ephemeral"] = "ephemeral"
    size_mb: int
    filesystem: Literal["ext4", "vfat", "none"] = "ext4"
    label: str = "ephemeral0"


class SwapDisk(Disk):
    kind: Literal["swap"] = "swap"
    size_mb: int


class LocalVolume(Frozen):
    """cinder's `local`: a block device of the host."""

    type: Literal["local"] = "local"
    device_path: Path


class FileVolume(Frozen):
    type: Literal["file"] = "file"
    path: Path
    format: DiskFormat = DiskFormat.RAW


class NbdVolume(Frozen):
    """A network block device; either `socket` or `host` and `port`."""

    type: Literal["nbd"] = "nbd"
    host: str | None = None
    port: int | None = None
    socket: Path | None = None
    export: str = ""


VolumeTarget = Annotated[LocalVolume | FileVolume | NbdVolume, Field(discriminator="type")]


class VolumeConnection(Frozen):
    """cinder's `connection_info`, typed. The credentials are sealed in the journal."""

    volume_id: str
    target: VolumeTarget
    access_mode: Literal["rw", "ro"] = "rw"
    auth_username: str | None = None
    auth_password: Secret | None = None


class VolumeDisk(Disk):
    """`device`: the name it is asked to have in libvirt (`vdb`, `/dev/vdb`); a hint."""

    kind: Literal["volume"] = "volume"
    device: str | None = None
    connection: VolumeConnection


AnyDisk = Annotated[ImageDisk | BlankDisk | EphemeralDisk | SwapDisk | VolumeDisk, Field(discriminator="kind")]


class Route(Frozen):
    destination: str  # CIDR
    gateway: str


class FixedIp(Frozen):
    """An address the guest shall give itself, told through the config drive."""

    address: str  # CIDR, IPv4 or IPv6
    gateway: str | None = None
    routes: tuple[Route, ...] = ()


class Interface(Frozen):
    """What all interfaces share. `mac_address` is always set here: made from `port_id` when not given."""

    port_id: str
    mac_address: str
    model: Literal["virtio", "e1000"] = "virtio"
    mtu: int | None = None
    fixed_ips: tuple[FixedIp, ...] = ()
    dns_servers: tuple[str, ...] = ()


class BridgeInterface(Interface):
    """A tap in a Linux bridge of the host."""

    type: Literal["bridge"] = "bridge"
    bridge: str


class NetworkInterface(Interface):
    """A libvirt network."""

    type: Literal["network"] = "network"
    network: str


class UserInterface(Interface):
    """QEMU's user-mode network: needs nothing of the host, reaches out through its sockets."""

    type: Literal["user"] = "user"


AnyInterface = Annotated[BridgeInterface | NetworkInterface | UserInterface, Field(discriminator="type")]


class InjectedFile(Frozen):
    path: str
    content: Secret
    """base64"""

    def data(self) -> bytes:
        """Raises ValueError when `content` isn't base64."""
        return base64.b64decode(self.content.reveal(), validate=True)


class ConfigDrive(Frozen):
    """What the guest is told on a disk with the label `config-2` (OpenStack's format)."""

    hostname: str | None = None
    meta: dict[str, str] = {}
    user_data: Secret | None = None
    admin_pass: Secret | None = None
    public_keys: dict[str, str] = {}
    files: tuple[InjectedFile, ...] = ()


class Cpu(Frozen):
    mode: Literal["host-model", "host-passthrough", "maximum", "custom", "none"] | None = (
        None  # None: by virt type
    )
    model: str | None = None  # for custom
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None


class Machine(Frozen):
    type: Literal["q35", "pc"] = "q35"
    hotplug_ports: int = 8  # spare PCIe root ports: disks and interfaces that can be plugged into a running q35


class Console(Frozen):
    type: Literal["pty", "unix"] = "pty"
    log: bool = True


class Graphics(Frozen):
    type: Literal["vnc", "none"] = "vnc"


class Owner(Frozen):
    project_id: str | None = None
    user_id: str | None = None


class InstanceSpec(Frozen):
    uuid: UUID
    name: str
    vcpus: int
    memory_mb: int
    disks: tuple[AnyDisk, ...] = ()
    interfaces: tuple[AnyInterface, ...] = ()
    config_drive: ConfigDrive | None = None
    cpu: Cpu = Cpu()
    machine: Machine = Machine()
    firmware: Literal["bios", "uefi"] = "bios"
    clock: Literal["utc", "localtime"] = "utc"
    console: Console = Console()
    graphics: Graphics = Graphics()
    guest_agent: bool = True
    metadata: dict[str, str] = {}
    owner: Owner = Owner()


# What the host side of a disk turned out to be: made by storage, read by the disk's XML.


class FileBacking(Frozen):
    type: Literal["file"] = "file"
    path: Path
    format: DiskFormat


class BlockBacking(Frozen):
    type: Literal["block"] = "block"
    path: Path
    format: DiskFormat = DiskFormat.RAW


class NbdBacking(Frozen):
    type: Literal["nbd"] = "nbd"
    host: str | None = None
    port: int | None = None
    socket: Path | None = None
    export: str = ""
    format: DiskFormat = DiskFormat.RAW


Backing = Annotated[FileBacking | BlockBacking | NbdBacking, Field(discriminator="type")]


class PluggedDisk(Frozen):
    """A disk as the guest gets it: how it looks from inside, and what is behind it."""

    id: str
    bus: DiskBus
    backing: Backing
    device: Literal["disk", "cdrom"] = "disk"
    serial: str | None = None
    boot_index: int | None = None
    cache: Literal["none", "writeback", "writethrough", "unsafe"] | None = None
    readonly: bool = False
    target: str | None = None  # "vdb"; a hint, None: the first free one
    removable: bool = False  # a volume: may be detached
