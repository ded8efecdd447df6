"""Keeps the daemons of a rig: starts them, reaps them, and takes them along when it ends.

Run as a program of its own (`python -I -S keeper.py DIRECTORY`), it imports nothing but the standard library.

    pytest, or `python -m tests.rig up`
       |  stdin: the lifeline          a unix socket: start, signal, status, end
       v                                v
    keeper  <-- a child subreaper: what daemonises below it becomes its child, not init's
       |-- virtlogd
       |-- libvirtd
       `-- qemu-system-x86_64 ...      (left by libvirtd)

Why a process between the tests and the daemons:

- Nothing may outlive a test run. The lifeline is a pipe whose other end the test run holds: however it dies, the
  kernel closes the pipe, and the keeper ends everything below it. A parent-death signal alone wouldn't do: it
  follows the thread that started the child, and doesn't reach what the child leaves behind.
- Orphans have to be reaped at once. libvirt ends a guest by killing QEMU and then looking every 200 ms whether the
  process is gone, and a zombie isn't gone. Under an init that reaps late each destroy takes seconds.
- One daemon must be killable and startable again while its guests live on, in the same mount namespace.

Not a PID namespace, although that would end everything at one stroke: the process ids in pid files, in libvirt's
answers and in /proc would then differ between the agent under test and the daemons.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIFELINE = 0

libc = ctypes.CDLL(None)


class Programs:
    """The programs of this keeper by name, and everything below them."""

    def __init__(self, programs: dict[str, dict[str, Any]]) -> None:
        self._programs = programs
        self._pids: dict[str, int] = {}
        self._exits: dict[str, int] = {}

    def start(self, name: str) -> int:
        if name not in self._pids:
            self._exits.pop(name, None)
            self._pids[name] = spawn(self._programs[name])
        return self._pids[name]

    def signal(self, name: str, number: int) -> None:
        """To the whole group, as each program leads its own: a wrapper script's children are meant too."""
        if pid := self._pids.get(name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def status(self, name: str) -> dict[str, int | None]:
        return {"pid": self._pids.get(name), "exit": self._exits.get(name)}

    def reap(self) -> bool:
        """Buries the dead, ours and the orphans that became ours. False when there is nobody left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            for name in [name for name, known in self._pids.items() if known == pid]:
                del self._pids[name]
                self._exits[name] = os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """Kills all there is below, again and again: each death hands us the orphans it leaves."""
        deadline = time.monotonic() + 10
        while self.reap() and time.monotonic() < deadline:
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def spawn(program: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # in case the keeper itself is killed
        for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(program["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(program["cwd"])
        os.execvpe(program["argv"][0], program["argv"], program["env"])
    except OSError as error:
        os.write(2, f"{program['argv'][0]}: {error}\n".encode())
    finally:
        os._exit(127)


def descendants(top: int) -> list[int]:
    """Everyone below `top`, by /proc: the kernel's own list of children is a build option."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
            # The name in parentheses may hold anything, so read on after its end: state, then the parent.
            parent = int(stat.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    todo = [top]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def answer(programs: Programs, request: dict[str, Any]) -> dict[str, Any]:
    match request:
        case {"do": "start", "name": name}:
            return {"pid": programs.start(name)}
        case {"do": "signal", "name": name, "number": number}:
            programs.signal(name, number)
            return {}
        case {"do": "status", "name": name}:
            return programs.status(name)
    return {"error": f"unknown request {request}"}


def serve(programs: Programs, listener: socket.socket, *, lifeline: bool) -> socket.socket | None:
    """Until told to end; returns the connection that asked for it, if one did."""
    wake, wakened = socket.socketpair()
    wake.setblocking(False)
    wakened.setblocking(False)
    signal.set_wakeup_fd(wakened.fileno())
    ending = [False]
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: ending.__setitem__(0, True))
    with selectors.DefaultSelector() as selector:
        selector.register(wake, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        if lifeline:
            selector.register(LIFELINE, selectors.EVENT_READ)
        while not ending[0]:
            for key, _ in selector.select():
                if key.fileobj == LIFELINE and not os.read(LIFELINE, 4096):
                    return None
                if key.fileobj is wake:
                    wake.recv(4096)
                    programs.reap()
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    request = json.loads(connection.makefile().readline())
                    if request["do"] == "end":
                        return connection
                    with connection:
                        connection.sendall(json.dumps(answer(programs, request)).encode() + b"\n")
    return None


def main(directory: str) -> None:
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(directory)
    with open("keeper.json") as file:
        plan = json.load(file)
    try:
        for command in plan["prepare"]:
            subprocess.run(command, check=True)
        asked = keep(plan)
    finally:
        for command in plan["finally"]:
            subprocess.run(command, check=False)
    if asked:
        asked.sendall(b"{}\n")
        asked.close()


def keep(plan: dict[str, Any]) -> socket.socket | None:
    """Runs the programs as told; returns, when all have ended, the connection that waits to hear of it."""
    programs = Programs(plan["programs"])
    with contextlib.suppress(FileNotFoundError):
        os.unlink("keeper.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("keeper.sock")
        listener.listen()
        asked = serve(programs, listener, lifeline=plan["lifeline"])
        signal.set_wakeup_fd(-1)  # its socket went with `serve`, and children go on dying
        programs.end()
        os.unlink("keeper.sock")
        return asked


if __name__ == "__main__":
    main(sys.argv[1])
