"""All that an agent needs around it, in one directory: broker, libvirtd, network, a guest image."""

import json
import shlex
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.rig.broker import Broker
from tests.rig.images import guest_image
from tests.rig.libvirtd import Libvirtd
from tests.rig.network import Network


class Rig:
    """An object over the directory of a running rig speaks to that one."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # QEMU, as another user, passes through
        self.directory = directory.resolve()
        self.broker = Broker(self.directory / "broker")
        self.libvirtd = Libvirtd(self.directory / "libvirt")
        self.network = Network(self.directory / "network")

    def start(self, *, detached: bool = False) -> None:
        """All at once: RabbitMQ takes several seconds, the others one each."""
        try:
            with ThreadPoolExecutor() as pool:
                begun: list[Future[Any]] = [
                    pool.submit(self.broker.start, detached=detached),
                    pool.submit(self.libvirtd.start, detached=detached),
                    pool.submit(self.network.start, detached=detached),
                    pool.submit(guest_image),
                ]
                for future in begun:
                    future.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.libvirtd.stop()  # before the network: it takes the guests off the bridge
        self.network.stop()
        self.broker.close()

    @property
    def environment(self) -> dict[str, str]:
        """What points the agent and its command line at this rig."""
        return {
            "COMPUTE_AGENT_AMQP__URL": self.broker.url,
            "COMPUTE_AGENT_HYPERVISOR__URI": self.libvirtd.uri,
            "RIG_BRIDGE": self.network.bridge,
            "RIG_GUEST_IMAGE": str(guest_image()),
        }

    def write_description(self) -> None:
        """rig.json for programs, rig.env for shells. Both hold the broker's password."""
        for name, text in {
            "rig.json": json.dumps(self.environment, indent=2) + "\n",
            "rig.env": "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items()),
        }.items():
            file = self.directory / name
            file.touch(mode=0o600)
            file.write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
