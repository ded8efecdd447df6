"""A private RabbitMQ: own node, ports, cookie, data and logs, on loopback only."""

import json
import os
import secrets
import signal
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.places import free_ports
from tests.rig.processes import Keeper, Program, run, wait_until

# The scripts themselves: the ones in /usr/sbin are Debian's wrappers, which change to the user rabbitmq and to
# that user's home directory and cookie.
SCRIPTS = Path("/usr/lib/rabbitmq/bin")

# It takes six seconds of processor time, which on a busy box are minutes. One that died isn't waited for.
READY_S = 180

AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = 1
CONNECTION_START = b"\x00\x0a\x00\x0a"


@dataclass(frozen=True)
class Identity:
    """What makes this broker another than all others; kept in its directory, so it survives restarts."""

    node: str
    port: int
    dist_port: int
    epmd_port: int
    user: str
    password: str

    @classmethod
    def of(cls, directory: Path) -> Self:
        file = directory / "identity.json"
        if not file.exists():
            port, dist_port, epmd_port = free_ports(3)
            new = cls(
                node=f"rig-{secrets.token_hex(4)}@localhost",
                port=port,
                dist_port=dist_port,
                epmd_port=epmd_port,
                user="rig",
                password=secrets.token_urlsafe(18),
            )
            file.write_text(json.dumps(asdict(new)))
        return cls(**json.loads(file.read_text()))


class Broker:
    """A RabbitMQ in `directory`; `settings` are further lines of rabbitmq.conf.

    An object over the directory of a running broker speaks to that broker.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._settings = dict(settings or {})
        self._keeper = Keeper(self._directory)
        self.identity = Identity.of(self._directory)

    @property
    def url(self) -> str:
        own = self.identity
        return f"amqp://{own.user}:{own.password}@127.0.0.1:{own.port}/"

    @property
    def log(self) -> Path:
        return self._directory / "rabbitmq.log"

    @property
    def running(self) -> bool:
        return self._keeper.alive and self._keeper.pid("rabbitmq") is not None

    @property
    def pid(self) -> int:
        """Of the broker's own process."""
        pid = self._keeper.pid("rabbitmq")
        assert pid is not None
        return pid

    def start(self, *, detached: bool = False) -> None:
        """Returns when the broker shakes hands. Durable things of an earlier start are there again."""
        if not self._keeper.alive:
            self._write_configuration()
            self._keeper.launch(self._programs(), detached=detached)
        self._keeper.start("epmd")
        self._keeper.start("rabbitmq")
        wait_until(self._shakes_hands, "RabbitMQ", READY_S, alive=lambda: self.running, log=self.log)

    def stop(self) -> None:
        """In good order, as a service manager does it."""
        self._keeper.stop("rabbitmq", signal.SIGTERM, grace=30)

    def kill(self) -> None:
        """Without warning, as a power cut does it."""
        self._keeper.stop("rabbitmq", signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Alive but deaf: connections stay open and nothing answers, from when this returns."""
        self._keeper.freeze("rabbitmq")

    def thaw(self) -> None:
        self._keeper.send("rabbitmq", signal.SIGCONT)

    def close(self) -> None:
        """Ends broker and epmd; the directory stays for whoever wants to read its log."""
        self._keeper.end()

    def rabbitmqctl(self, *arguments: str) -> str:
        # An Erlang of its own has to start.
        return run(str(SCRIPTS / "rabbitmqctl"), "--quiet", *arguments, env=self._environment(), timeout=READY_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _programs(self) -> dict[str, Program]:
        env, log, cwd = self._environment(), str(self.log), str(self._directory)
        # Erlang would start an epmd by itself, but as a daemon that outlives its node.
        return {
            "epmd": Program(["epmd"], log, env, cwd),
            "rabbitmq": Program([str(SCRIPTS / "rabbitmq-server")], log, env, cwd),
        }

    def _environment(self) -> dict[str, str]:
        here = self._directory
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(here),  # for the Erlang cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.identity.epmd_port),
            "RABBITMQ_NODENAME": self.identity.node,
            "RABBITMQ_DIST_PORT": str(self.identity.dist_port),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "rabbitmq-env.conf"),  # not the one in /etc
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / "rabbitmq.pid"),
            # Keeps the start script from staying as a parent: the keeper's child is then the node itself.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Distribution on loopback, and schedulers that sleep when idle instead of spinning on a shared core.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    def _write_configuration(self) -> None:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.identity.port}",
            "default_user": self.identity.user,
            "default_pass": self.identity.password,
            "log.console": "true",
            "log.console.use_colors": "off",
            "log.file": "false",
            # A nearly full disk of the box isn't what the tests are about.
            "disk_free_limit.absolute": "50MB",
            # A quorum queue's log: 512 MB each by default.
            "raft.wal_max_size_bytes": "16777216",
            **self._settings,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self._directory / "rabbitmq.conf").write_text(lines)
        (self._directory / "enabled_plugins").write_text("[].\n")
        (self._directory / "rabbitmq-env.conf").write_text("")

    def _shakes_hands(self) -> bool:
        """An open port isn't enough: a broker that is starting accepts connections and closes them again."""
        try:
            with socket.create_connection(("127.0.0.1", self.identity.port), timeout=2) as connection:
                connection.sendall(AMQP_0_9_1)
                frame = connection.recv(11)
        except OSError:
            return False
        return len(frame) == 11 and frame[0] == METHOD_FRAME and frame[7:11] == CONNECTION_START
