"""Daemons of a rig, started and ended through their keeper (see keeper.py)."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.places import own_mounts

KEEPER = Path(__file__).with_name("keeper.py")

PATIENCE_S = 120.0
"""Seconds for what takes less than one on an idle box: a deadline, no measure."""

# The kernel's limit for the address of a unix socket, less its closing zero.
LONGEST_SOCKET_PATH = 107


class RigError(RuntimeError):
    """The rig itself failed, not what is tested with it."""


@dataclass(frozen=True)
class Program:
    """A daemon that stays in the foreground; `log` takes its output."""

    argv: Sequence[str]
    log: str
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: str = "/"


class Keeper:
    """One keeper process, reached through its directory: another process may take it over from the first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._socket = self._directory / "keeper.sock"
        self._process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH:
            raise RigError(f"{self._directory} is too long a path for unix sockets; use a shorter one")

    def launch(
        self,
        programs: Mapping[str, Program],
        *,
        prepare: Sequence[Sequence[str]] = (),
        finally_: Sequence[Sequence[str]] = (),
        private_mounts: bool = False,
        detached: bool = False,
    ) -> None:
        """Begins the keeper; its programs wait for `start`.

        `prepare` are commands run before, in its mount namespace, and `finally_` those run when all is ended,
        even if this process was killed. A detached keeper stays when this process ends.
        """
        plan = {
            "lifeline": not detached,
            "prepare": [list(command) for command in prepare],
            "finally": [list(command) for command in finally_],
            "programs": {name: asdict(program) for name, program in programs.items()},
        }
        (self._directory / "keeper.json").write_text(json.dumps(plan))
        unshare = own_mounts() if private_mounts else []
        with (self._directory / "keeper.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*unshare, sys.executable, "-I", "-S", str(KEEPER), str(self._directory)],
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; they end the daemons in their own order
            )
        process = self._process
        try:
            wait_until(self._answers, "the keeper", PATIENCE_S, alive=lambda: process.poll() is None, log=self.log)
        except RigError:
            self.end()
            raise

    @property
    def log(self) -> Path:
        return self._directory / "keeper.log"

    @property
    def alive(self) -> bool:
        return self._socket.exists() and self._answers()

    def start(self, name: str) -> int:
        pid = self._ask(do="start", name=name)["pid"]
        assert isinstance(pid, int)
        return pid

    def send(self, name: str, number: signal.Signals) -> None:
        self._ask(do="signal", name=name, number=int(number))

    def freeze(self, name: str) -> None:
        """SIGSTOP to a program, and until it stands still."""
        self.send(name, signal.SIGSTOP)
        pid = self.pid(name)
        assert pid is not None
        await_standstill(pid)

    def pid(self, name: str) -> int | None:
        pid = self._ask(do="status", name=name)["pid"]
        assert pid is None or isinstance(pid, int)
        return pid

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, grace: float = 10) -> None:
        """Signals a program and waits until it is gone; one that doesn't heed within `grace` seconds is killed."""
        self.send(name, number)
        try:
            wait_until(lambda: self.pid(name) is None, f"the end of {name}", grace)
        except RigError:
            self.send(name, signal.SIGKILL)
            wait_until(lambda: self.pid(name) is None, f"the end of {name} by SIGKILL", PATIENCE_S)

    def end(self) -> None:
        """Ends every process below the keeper, then the keeper. Harmless when it has ended already."""
        if self.alive:
            self._ask(do="end")
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()  # the lifeline
            self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self._socket))
                connection.sendall(b'{"do": "status", "name": ""}\n')
                return bool(connection.recv(1))
            except OSError:
                return False

    def _ask(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                connection.connect(str(self._socket))
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer = json.loads(connection.makefile().readline() or '{"error": "no answer"}')
            except OSError as error:
                raise RigError(f"the keeper of {self._directory} is gone ({error}); see {self.log}") from error
        if "error" in answer:
            raise RigError(f"the keeper of {self._directory}: {answer['error']}")
        assert isinstance(answer, dict)
        return answer


def wait_until(
    ready: Callable[[], bool],
    what: str,
    seconds: float,
    *,
    alive: Callable[[], bool] = lambda: True,
    log: Path | None = None,
) -> None:
    """Polls until `ready`; gives up early when what should become ready has died, and shows the end of its log."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not alive():
            raise RigError(f"{what} ended before it was ready{_tail(log)}")
        if time.monotonic() > deadline:
            raise RigError(f"{what}: not after {seconds:g} s{_tail(log)}")
        time.sleep(0.02)


def await_standstill(pid: int) -> None:
    """Until a stopped process does nothing more. The signal is only sent when `kill` returns: threads that run, or
    are woken before the one that takes it, may still answer somebody."""
    wait_until(lambda: _stands_still(pid), f"the standstill of {pid}", PATIENCE_S)


def _stands_still(pid: int) -> bool:
    return all(_state(thread) in "TtZX" for thread in Path(f"/proc/{pid}/task").iterdir())


def _state(thread: Path) -> str:
    """One letter, as proc(5) lists them; X for one that has ended meanwhile."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def run(*argv: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """Output of a short command; a failing one is told with what it printed."""
    try:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=True
        )
    except subprocess.CalledProcessError as error:
        raise RigError(f"{' '.join(argv)}: {(error.stderr or error.stdout).strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise RigError(f"{' '.join(argv)}: no end after {timeout:g} s") from error
    return done.stdout


def _tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    return f"; {log} ends with:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])
