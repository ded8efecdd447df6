"""The rig keeps its promises; what is tested on it can rely on them."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rig import Broker, Libvirtd, NbdExport, Network, blank, guest_image, overlay, rig_directory
from tests.rig.places import tag
from tests.rig.processes import PATIENCE_S, wait_until

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os><type machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type='pci' index='0' model='pcie-root'/>
    {ports}
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <source bridge='{bridge}'/>
      <mac address='52:54:00:00:00:01'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='{console}'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""

# One for each device, and one that is left for a volume.
PORTS = "<controller type='pci' model='pcie-root-port'/>" * 5

VOLUME = """
<disk type='network' device='disk'>
  <driver name='qemu' type='raw'/>
  <source protocol='nbd' name='{export.name}'><host name='{export.host}' port='{export.port}'/></source>
  <target dev='vdb' bus='virtio'/>
  <serial>volume-1</serial>
</disk>
"""


class Guest:
    def __init__(self, libvirtd: Libvirtd, network: Network, directory: Path, name: str = "guest") -> None:
        self._libvirtd = libvirtd
        self._network = network
        self._directory = directory
        self.name = name
        self.console = directory / f"{name}.console"

    def start(self) -> None:
        disk = overlay(self._directory / f"{self.name}.qcow2", guest_image())
        xml = DOMAIN.format(
            name=self.name, disk=disk, bridge=self._network.bridge, console=self.console, ports=PORTS
        )
        self._libvirtd.virsh("create", self._file(xml))

    def another(self, name: str) -> "Guest":
        return Guest(self._libvirtd, self._network, self._directory, name)

    def attach(self, xml: str) -> None:
        self._libvirtd.virsh("attach-device", self.name, self._file(xml), "--live")

    def detach(self, xml: str) -> None:
        self._libvirtd.virsh("detach-device", self.name, self._file(xml), "--live")

    def tells(
        self,
        pattern: str,
    ) -> None:
        wait_until(lambda: bool(re.search(pattern, self._told())), pattern, PATIENCE_S, log=self.console)

    def _told(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def _file(self, xml: str) -> str:
        file = self._directory / "device.xml"
        file.write_text(xml)
        return str(file)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with rig_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def libvirtd(directory: Path) -> Iterator[Libvirtd]:
    with Libvirtd(directory / "libvirt") as libvirtd:
        yield libvirtd


@pytest.fixture(scope="module")
def network(directory: Path) -> Iterator[Network]:
    with Network(directory / "network") as network:
        yield network


@pytest.fixture(scope="module")
def guest(libvirtd: Libvirtd, network: Network, directory: Path) -> Guest:
    guest = Guest(libvirtd, network, directory)
    guest.start()
    guest.tells("GUEST-READY")
    return guest


def test_two_brokers_run_side_by_side_and_come_back_from_a_kill(directory: Path) -> None:
    brokers = [Broker(directory / "one"), Broker(directory / "two")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Broker.start, brokers))
        one, two = brokers
        one.rabbitmqctl("add_vhost", "mine")
        assert "mine" not in two.rabbitmqctl("list_vhosts")

        one.kill()
        assert not one.running
        assert two.running
        one.start()
        assert "mine" in one.rabbitmqctl("list_vhosts")
        list(pool.map(Broker.close, brokers))
    assert not one.running


def test_a_guest_boots_takes_an_address_and_says_so(guest: Guest) -> None:
    guest.tells(r"NET dhcp eth0 10\.77\.0\.\d+/24")
    guest.tells(r"GUEST-READY host=guest .* disks=vda, nics=eth0,lo, ")


def test_a_volume_comes_and_goes_by_its_serial(guest: Guest, directory: Path) -> None:
    with NbdExport(directory / "nbd", blank(directory / "volume.raw", "16M")) as export:
        guest.attach(VOLUME.format(export=export))
        guest.tells(r"HOTPLUG add disk vdb size=32768 serial=volume-1")
        guest.detach(VOLUME.format(export=export))
        guest.tells(r"HOTPLUG remove disk vdb serial=volume-1")


def test_guests_outlive_their_libvirtd(guest: Guest, libvirtd: Libvirtd) -> None:
    libvirtd.kill()
    assert not libvirtd.running
    libvirtd.start()
    assert guest.name in libvirtd.virsh("list", "--name")


def process_of(guest: Guest, libvirtd: Libvirtd) -> int:
    return int((libvirtd.socket.parent / "qemu" / f"{guest.name}.pid").read_text())


def parent(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_guests_are_below_the_keeper_who_reaps_them(guest: Guest, libvirtd: Libvirtd) -> None:
    """Not below init, who may be late: a destroy would take seconds."""
    other = guest.another("brief")
    other.start()
    process = process_of(other, libvirtd)
    assert parent(process) == parent(libvirtd.pid)
    libvirtd.virsh("destroy", other.name)
    assert not Path(f"/proc/{process}").exists()


def control_groups(pid: int) -> set[str]:
    """Those that libvirt has made for a guest; none where it was told to leave them alone."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line for line in lines if "/qemu-" in line or r"\x2d" in line}


def test_two_libvirtds_keep_apart_guests_of_one_name(
    guest: Guest, libvirtd: Libvirtd, network: Network, directory: Path
) -> None:
    with Libvirtd(directory / "other") as other:
        (directory / "elsewhere").mkdir()
        twin = Guest(other, network, directory / "elsewhere", guest.name)
        twin.start()
        # libvirt tries for a second to remove a control group in which another's guest lives.
        assert not control_groups(process_of(twin, other)) & control_groups(process_of(guest, libvirtd))
        other.virsh("destroy", twin.name)
    guest.tells("GUEST-READY")
    assert "running" in libvirtd.virsh("domstate", guest.name)


def test_the_power_button_reaches_the_guest(guest: Guest, libvirtd: Libvirtd) -> None:
    libvirtd.virsh("shutdown", guest.name, "--mode", "acpi")
    guest.tells("ACPI-POWER-BUTTON")
    guest.tells("GUEST-SHUTDOWN")
    wait_until(lambda: guest.name not in libvirtd.virsh("list", "--all", "--name"), "the guest's end", PATIENCE_S)


def test_nothing_outlives_a_run_that_is_killed(directory: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(directory / "killed")], stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None
        bridge, pid = run.stdout.readline().split()
        assert Path(f"/sys/class/net/{bridge}").exists()
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/sys/class/net/{bridge}").exists(), "the end of the bridge", PATIENCE_S)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of libvirtd", PATIENCE_S)
    groups = Path("/sys/fs/cgroup")
    mine = f"*/rig-{tag(directory / 'killed' / 'libvirt')}"
    wait_until(lambda: not list(groups.glob(mine)), "the end of its control groups", PATIENCE_S)


_RUN = """
import sys, time
from pathlib import Path
from tests.rig import Libvirtd, Network
network, libvirtd = Network(Path(sys.argv[1]) / "network"), Libvirtd(Path(sys.argv[1]) / "libvirt")
network.start()
libvirtd.start()
print(network.bridge, libvirtd.pid, flush=True)
time.sleep(600)
"""
