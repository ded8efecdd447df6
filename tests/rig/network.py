"""A private Linux bridge, with DHCP on it if wanted.

        bridge (root namespace) ---- taps of guests, made by libvirt
           |  veth
        a network namespace: eth0 with the first address, dnsmasq

The bridge has no address, so guests reach neither this box nor anything beyond it.
"""

import signal
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.places import tag
from tests.rig.processes import Keeper, Program, wait_until


class Network:
    """A bridge named after `directory`. An object over the directory of a running one speaks to that one."""

    def __init__(self, directory: Path, subnet: str = "10.77.0.0/24", *, dhcp: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._keeper = Keeper(self._directory)
        self._dhcp = dhcp
        self.subnet = IPv4Network(subnet)
        self.bridge = f"rig-{tag(directory)}"

    @property
    def log(self) -> Path:
        return self._directory / "dnsmasq.log"

    @property
    def leases(self) -> Path:
        """A line for each lease: when it ends, MAC address, IP address, host name, client id."""
        return self._directory / "leases"

    def start(self, *, detached: bool = False) -> None:
        programs = {"dnsmasq": self._dnsmasq()} if self._dhcp else {}
        self._keeper.launch(
            programs,
            prepare=[command.split() for command in self._make()],
            finally_=[command.split() for command in self._unmake()],
            detached=detached,
        )
        if self._dhcp:
            self._keeper.start("dnsmasq")
            wait_until(
                lambda: self.log.exists() and "DHCP, IP range" in self.log.read_text(),
                "dnsmasq",
                60,
                alive=lambda: self._keeper.pid("dnsmasq") is not None,
                log=self.log,
            )

    def stop(self) -> None:
        self._keeper.end()

    def kill_dhcp(self) -> None:
        self._keeper.stop("dnsmasq", signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _veth(self) -> str:
        return f"rigv-{tag(self._directory)}"

    @property
    def _inside(self) -> str:
        # Not `ip netns exec`, which wants to mount things anew for the command and can't in a chroot.
        return f"nsenter --net=/run/netns/{self.bridge}"

    def _make(self) -> list[str]:
        # addrgenmode none: without an address of its own the box can't be reached from the bridge.
        commands = [
            f"ip link add {self.bridge} type bridge",
            f"ip link set {self.bridge} addrgenmode none",
            f"ip link set {self.bridge} up",
        ]
        if self._dhcp:
            gateway = f"{self.subnet[1]}/{self.subnet.prefixlen}"
            commands += [
                f"ip netns add {self.bridge}",
                f"ip link add {self._veth} type veth peer name eth0 netns {self.bridge}",
                f"ip link set {self._veth} addrgenmode none master {self.bridge} up",
                f"{self._inside} ip link set lo up",
                f"{self._inside} ip link set eth0 up",
                f"{self._inside} ip address add {gateway} dev eth0",
            ]
        return commands

    def _unmake(self) -> list[str]:
        commands = [f"ip link delete {self.bridge}"]
        if self._dhcp:
            # Named, as a namespace may live on after its name is gone, and the pair with it.
            commands += [f"ip link delete {self._veth}", f"ip netns delete {self.bridge}"]
        return commands

    def _dnsmasq(self) -> Program:
        # DHCP alone (--port=0), nothing of this box's own configuration, and no router: there is no way out.
        argv = [
            *self._inside.split(),
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--log-dhcp"),
            *("--user=root", "--pid-file=", "--port=0", "--interface=eth0", "--bind-interfaces"),
            *("--dhcp-authoritative", "--dhcp-option=option:router", f"--dhcp-leasefile={self.leases}"),
            f"--dhcp-range={self.subnet[10]},{self.subnet[-2]},1h",
        ]
        return Program(argv, str(self.log))
