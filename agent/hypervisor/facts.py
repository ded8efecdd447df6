"""What the pure builders must know about this host. The driver finds it out, `domain` and `limits` read it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from agent.spec import Frozen


class HostFacts(Frozen):
    """This host, and where one instance lives on it.

    `hostname` is the agent's, as in the settings. `direct_io`: files in the instance's directory can be opened
    with O_DIRECT. `console_log` is made by libvirt (virtlogd), `console_socket` by QEMU.
    """

    hostname: str
    virt_type: Literal["kvm", "qemu"]
    emulator: Path
    instance_dir: Path
    arch: str = "x86_64"
    machines: frozenset[str] = frozenset({"q35", "pc"})
    uefi: bool = True
    direct_io: bool = False
    agent_version: str | None = None

    @property
    def console_log(self) -> Path:
        return self.instance_dir / "console.log"

    @property
    def console_socket(self) -> Path:
        return self.instance_dir / "console.sock"
