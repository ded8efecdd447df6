"""A private libvirtd with its virtlogd, beside whatever libvirt the box runs.

libvirtd has its paths compiled in, so it gets a mount namespace in which those paths are directories of this rig.
Everything else is the box's own: guests' disks have the same path for the agent, for libvirtd and for QEMU, and
bridges are shared.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig import cgroups
from tests.rig.kvm import KVM, kvm_boots_guests
from tests.rig.libvirt_settings import write_settings
from tests.rig.places import tag
from tests.rig.processes import PATIENCE_S, Keeper, Program, RigError, run, wait_until

# What libvirtd sees there -> the directory of the rig that is bound over it.
PRIVATE = {
    "/run/libvirt": "run",
    "/var/lib/libvirt": "lib",
    "/var/cache/libvirt": "cache",
    "/var/log/libvirt": "log",
    "/etc/libvirt": "etc",
}


class Libvirtd:
    """A libvirtd in `directory`. An object over the directory of a running one speaks to that one."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # QEMU, as another user, passes through
        self._directory = directory.resolve()
        self._keeper = Keeper(self._directory)

    @property
    def socket(self) -> Path:
        return self._directory / "run" / "libvirt-sock"

    @property
    def uri(self) -> str:
        return f"qemu:///system?socket={self.socket}"

    @property
    def log(self) -> Path:
        return self._directory / "libvirtd.log"

    @property
    def running(self) -> bool:
        return self._keeper.alive and self._keeper.pid("libvirtd") is not None

    @property
    def pid(self) -> int | None:
        return self._keeper.pid("libvirtd")

    def start(self, *, detached: bool = False) -> None:
        """Returns when libvirtd answers. Guests that an earlier one left running are its own again."""
        if os.geteuid() != 0:
            raise RigError("a private libvirtd needs root: it gets a mount namespace and makes tap devices")
        if not self._keeper.alive:
            self._launch(detached=detached)
        self._keeper.start("virtlogd")
        self._await("virtlogd", (self.socket.parent / "virtlogd-sock").exists)
        self._keeper.start("libvirtd")
        self._await("libvirtd", self._answers)

    def kill(self) -> None:
        """libvirtd alone, without warning. Its guests go on."""
        self._keeper.stop("libvirtd", signal.SIGKILL)

    def freeze(self) -> None:
        """Alive but deaf: calls neither fail nor return, from when this returns."""
        self._keeper.freeze("libvirtd")

    def thaw(self) -> None:
        self._keeper.send("libvirtd", signal.SIGCONT)

    def restart(self) -> None:
        """In good order; guests go on. Killed when it lingers, as it does while a job is under way."""
        self._keeper.stop("libvirtd", signal.SIGTERM, grace=5)
        self.start()

    def stop(self) -> None:
        """Ends all guests, networks and daemons."""
        if self.running:
            # What libvirt made outside of processes (bridges, filter rules) only libvirt takes away again. A
            # daemon that doesn't answer any more leaves them; the processes go in any case.
            self.thaw()
            with contextlib.suppress(RigError):
                for guest in self.virsh("list", "--uuid").split():
                    self.virsh("destroy", guest)
                for network in self.virsh("net-list", "--name").split():
                    self.virsh("net-destroy", network)
        self._keeper.end()

    def virsh(self, *arguments: str) -> str:
        return run("virsh", "--quiet", "--connect", self.uri, *arguments, timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, *, detached: bool) -> None:
        for place, own in PRIVATE.items():
            Path(place).mkdir(parents=True, exist_ok=True)  # a bind mount needs something to lie upon
            (self._directory / own).mkdir(exist_ok=True)
        filters = self._directory / "etc" / "nwfilter"
        if not filters.exists() and Path("/etc/libvirt/nwfilter").exists():
            shutil.copytree("/etc/libvirt/nwfilter", filters)
        groups = cgroups.make(f"rig-{tag(self._directory)}")
        hide_kvm = KVM.exists() and not kvm_boots_guests()
        write_settings(self._directory / "etc", use_cgroups=bool(groups), hide_kvm=hide_kvm)

        binds = {Path(place): self._directory / own for place, own in PRIVATE.items()} | groups
        if hide_kvm:
            # libvirt would try KVM each time it asks QEMU what it can do, wait for it, and offer it to guests.
            # Hidden from this daemon only, behind a file that QEMU's user can't open: one that opens would
            # make libvirt think that KVM had just become usable, and ask everything again.
            hidden = self._directory / "no-kvm"
            hidden.touch(mode=0o000)
            binds[KVM] = hidden
        self._keeper.launch(
            {name: self._daemon(name) for name in ("virtlogd", "libvirtd")},
            prepare=[["mount", "--bind", str(own), str(place)] for place, own in binds.items()],
            finally_=cgroups.remove(groups),
            private_mounts=True,
            detached=detached,
        )

    def _daemon(self, name: str) -> Program:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("LIBVIRT_", "LISTEN_"))}
        env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        env.pop("NOTIFY_SOCKET", None)
        # Their default is /run/<name>.pid, outside of the directories bound above.
        pid_file = self._directory / f"{name}.pid"
        return Program([name, "--pid-file", str(pid_file)], str(self._directory / f"{name}.log"), env)

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        log = self._directory / f"{name}.log"
        wait_until(ready, name, PATIENCE_S, alive=lambda: self._keeper.pid(name) is not None, log=log)

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            self.virsh("version")
        except RigError:
            return False
        return True
