"""`instance`: what a caller asks for. The published shape; `rpc.convert` makes the inner spec from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyInterface,
    IPvAnyNetwork,
    StringConstraints,
)

from agent.rpc.schema.base import UUID, DeviceName, Identifier, MacAddress, Message, Mib, Name, Secret, Text

Bus = Literal["virtio", "scsi", "sata", "ide"]
Path = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=1024)]
Checksum = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")]
Device = Annotated[str, StringConstraints(pattern=r"^(/dev/)?[vsh]d[a-z]{1,2}$")]
Url = Annotated[str, StringConstraints(pattern=r"^(/|file:///|https?://)[^\x00-\x20\x7f]+$", max_length=2048)]


def _no_number(value: Any) -> Any:
    """`ipaddress` makes an address of a number too, and of `false`; the published schema says text."""
    if isinstance(value, int):
        raise ValueError("should be a text, as in 192.0.2.5")  # noqa: TRY004 - what pydantic takes for a refusal
    return value


Address = Annotated[IPvAnyAddress, BeforeValidator(_no_number)]
AddressWithPrefix = Annotated[IPvAnyInterface, BeforeValidator(_no_number)]
Subnet = Annotated[IPvAnyNetwork, BeforeValidator(_no_number)]


class Image(Message):
    """Where an image is and what it must turn out to be."""

    url: Url
    """`http://`, `https://`, `file:///` or an absolute path in one of the host's allowed directories."""
    format: Literal["qcow2", "raw"] = "qcow2"
    """The format it must have; another one is refused, as are backing and data files."""
    checksum: Checksum | None = None
    """`sha256:` or `sha512:` and the hex digest; required for `http://`."""


class DiskBase(Message):
    id: Identifier | None = None
    """Name of the disk within the instance; default `disk0`, `disk1`, ... by place."""
    bus: Bus = "virtio"
    """How the guest sees it."""
    boot_index: int | None = Field(default=None, ge=1, le=64)
    """Place in the boot order; default: the first image or volume boots."""
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,36}$")] | None = None
    """Serial number that the guest sees (virtio shows 20 characters); default the id."""
    cache: Literal["none", "writeback", "writethrough", "unsafe"] | None = None
    """QEMU's cache mode; default chosen by the host."""


class ImageDisk(DiskBase):
    """A copy-on-write disk on an image."""

    kind: Literal["image"]
    image: Image
    size_mb: Mib | None = None
    """Grown to this size; default the image's own."""


class BlankDisk(DiskBase):
    """An empty disk."""

    kind: Literal["blank"]
    size_mb: Mib
    """Size in MiB."""
    format: Literal["qcow2", "raw"] = "qcow2"
    """Of the file on the host."""


class EphemeralDisk(DiskBase):
    """Scratch space with a file system."""

    kind: Literal["ephemeral"]
    size_mb: Mib
    """Size in MiB."""
    filesystem: Literal["ext4", "vfat", "none"] = "ext4"
    """`none` leaves it empty."""
    label: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,11}$")] = "ephemeral0"
    """Of the file system."""


class SwapDisk(DiskBase):
    """Swap space."""

    kind: Literal["swap"]
    size_mb: Mib
    """Size in MiB."""


class VolumeData(Message):
    """`connection_info.data` as cinder gives it; keys that this host has no use for are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    volume_id: Identifier | None = None
    """Used when `serial` isn't given."""
    access_mode: Literal["rw", "ro"] = "rw"
    """`ro`: the guest can't write to it."""
    auth_username: str | None = None
    """For kinds of volumes that log in; none of these does so far."""
    auth_password: Secret | None = None
    """Its password."""
    device_path: Path | None = None
    """For `local`: a block device of the host."""
    path: Path | None = None
    """For `file`: a file of the host in one of its allowed directories."""
    format: Literal["raw", "qcow2"] = "raw"
    """For `file`."""
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")] | None = None
    """For `nbd`: with `port`."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """For `nbd`: of `host`."""
    socket: Path | None = None
    """For `nbd`: a unix socket, in place of `host` and `port`."""
    export: Text = ""
    """For `nbd`: the export's name."""


class ConnectionInfo(Message):
    """cinder's `connection_info`."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    driver_volume_type: Text
    """`local`, `file` or `nbd` on this host."""
    data: VolumeData
    serial: Identifier | None = None
    """The volume's id; or `data.volume_id`."""


class VolumeDisk(DiskBase):
    """A volume, attached from the start. Its id is the volume's."""

    kind: Literal["volume"]
    connection_info: ConnectionInfo
    device: Device | None = None
    """What libvirt shall call it, where that name is free and of its bus; the guest decides for itself."""


Disk = Annotated[ImageDisk | BlankDisk | EphemeralDisk | SwapDisk | VolumeDisk, Field(discriminator="kind")]


class Route(Message):
    destination: Subnet
    gateway: Address


class FixedIp(Message):
    """An address that the guest shall give itself, told on the config drive."""

    address: AddressWithPrefix
    """With prefix length: `192.0.2.5/24`."""
    gateway: Address | None = None
    routes: tuple[Route, ...] = Field(default=(), max_length=64)


class InterfaceBase(Message):
    port_id: Identifier | None = None
    """Name of the port; default made from the instance's uuid and the place."""
    mac_address: MacAddress | None = None
    """Default made from the port id."""
    model: Literal["virtio", "e1000"] = "virtio"
    """The card that the guest sees."""
    mtu: int | None = Field(default=None, ge=68, le=65535)
    """Bytes; default the network's."""
    fixed_ips: tuple[FixedIp, ...] = Field(default=(), max_length=64)
    """Addresses, told on the config drive."""
    dns_servers: tuple[Address, ...] = Field(default=(), max_length=16)
    """Told on the config drive."""


class BridgeInterface(InterfaceBase):
    """A tap in a Linux bridge of the host."""

    type: Literal["bridge"]
    bridge: DeviceName
    """Name of the bridge on the host."""


class NetworkInterface(InterfaceBase):
    """A libvirt network."""

    type: Literal["network"]
    network: Name
    """libvirt's name of it."""


class UserInterface(InterfaceBase):
    """QEMU's user-mode network."""

    type: Literal["user"]


Interface = Annotated[BridgeInterface | NetworkInterface | UserInterface, Field(discriminator="type")]


class InjectedFile(Message):
    path: Path
    """Where it goes in the guest."""
    content: Secret
    """base64"""


class ConfigDrive(Message):
    """What the guest is told on a disk labelled `config-2`, in OpenStack's format."""

    hostname: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")] | None
    ) = None
    """Default the instance's name."""
    meta: dict[Text, Text] = Field(default_factory=dict)
    """Further entries of `meta_data.json`."""
    user_data: Secret | None = None
    """Text for cloud-init: a script or `#cloud-config`."""
    admin_pass: Secret | None = None
    """The administrator's password."""
    public_keys: dict[Text, Text] = Field(default_factory=dict)
    """Name to key, as in `authorized_keys`."""
    files: tuple[InjectedFile, ...] = Field(default=(), max_length=256)
    """Files for the guest to write."""


class Cpu(Message):
    mode: Literal["host-model", "host-passthrough", "maximum", "custom", "none"] | None = None
    """Default `host-model` with KVM, `maximum` without."""
    model: Text | None = None
    """libvirt's name of a CPU model, for `custom`."""
    sockets: int | None = Field(default=None, ge=1, le=512)
    cores: int | None = Field(default=None, ge=1, le=512)
    threads: int | None = Field(default=None, ge=1, le=8)


class Machine(Message):
    type: Literal["q35", "pc"] = "q35"
    hotplug_ports: int = Field(default=8, ge=0, le=28)
    """Spare PCIe root ports of a q35: as many disks and interfaces can be plugged in later."""


class Console(Message):
    type: Literal["pty", "unix"] = "pty"
    log: bool = True
    """Keep what the guest writes, for `get_console_output`."""


class Graphics(Message):
    type: Literal["vnc", "none"] = "vnc"
    """VNC listens on the host's loopback address only."""


class Owner(Message):
    project_id: Text | None = None
    user_id: Text | None = None


class Instance(Message):
    """A guest as it shall be."""

    uuid: UUID
    """Chosen by the caller, so that a repeat is known."""
    name: Name
    """The domain's name in libvirt."""
    vcpus: int = Field(ge=1, le=512)
    memory_mb: int = Field(ge=16, le=64 * 1024 * 1024)
    """MiB."""
    disks: tuple[Disk, ...] = Field(default=(), max_length=64)
    interfaces: tuple[Interface, ...] = Field(default=(), max_length=32)
    config_drive: ConfigDrive | None = None
    """Default: no config drive."""
    cpu: Cpu = Cpu()
    machine: Machine = Machine()
    firmware: Literal["bios", "uefi"] = "bios"
    """`uefi` is without Secure Boot."""
    clock: Literal["utc", "localtime"] = "utc"
    """What the guest's hardware clock shows at start."""
    console: Console = Console()
    graphics: Graphics = Graphics()
    guest_agent: bool = True
    """A channel for qemu-guest-agent."""
    metadata: dict[Text, Text] = Field(default_factory=dict)
    """The caller's own notes, kept with the domain."""
    owner: Owner = Owner()
    """Whose it is, for lists and accounts."""
