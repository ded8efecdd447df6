"""The command line as a person runs it: the real program, a real broker, a real agent with make-believe guests."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.rig.broker import Broker

PASSWORD = "correct-horse-battery"
LONG = 180.0


@dataclass(frozen=True)
class Host:
    """An agent under a name of its own, and the command line that speaks to it."""

    env: dict[str, str]
    image: Path

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    def ok(self, *arguments: str, **env: str) -> Any:
        """What it prints as JSON."""
        done = self.run(*arguments, "--json", **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def going(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on until it is stopped."""
        # Tests that a shell runs in the background ignore Ctrl-C, and so would the program.
        argv = ["env", "--default-signal=INT", *self.command(*arguments)]
        program = subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            with program:
                try:
                    yield program
                finally:
                    program.kill()
        finally:
            program.wait()

    def spawn(self, name: str, *options: str) -> UUID:
        instance = uuid4()
        size = ("--name", name, "--vcpus", "1", "--memory-mb", "128", "--uuid", str(instance))
        self.ok("send", "spawn", *size, "--image", str(self.image), "--user-net", *options)
        return instance

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "agent.cli.main", *arguments]


@pytest.fixture(scope="module")
def host(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("cli")
    image = directory / "guest.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "8M"], check=True)
    name = f"cli-{uuid4().hex[:8]}"
    env = {
        "PATH": os.environ["PATH"],
        "COMPUTE_AGENT_HOST": name,
        "COMPUTE_AGENT_AMQP__URL": broker.url,
        "COMPUTE_AGENT_RPC__TOPIC": f"{name}-topic",
        "COMPUTE_AGENT_RPC__EXCHANGE": f"{name}-exchange",
        "COMPUTE_AGENT_STATE_DIR": str(directory / "state"),
        "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": json.dumps([str(directory)]),
        "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
    }
    with (directory / "agent.log").open("w") as log:
        agent = subprocess.Popen(
            [sys.executable, "-m", "agent"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            host = Host(env, image)
            until_it_answers(host, agent)
            yield host
        finally:
            agent.terminate()
            agent.wait(LONG)


def until_it_answers(host: Host, agent: subprocess.Popen[bytes]) -> None:
    """Each try takes a second or so of itself; 68 says that the agent hasn't declared its queues yet."""
    for _ in range(30):
        done = host.run("send", "ping", "--timeout", "2")
        if done.returncode == 0:
            return
        assert agent.poll() is None, "the agent has ended"
        assert done.returncode in (68, 16), done.stderr
    raise AssertionError("the agent doesn't answer")


def test_an_instances_whole_life(host: Host) -> None:
    instance = host.spawn("life")
    assert [i["name"] for i in host.ok("list", "--name", "life")["instances"]] == ["life"]
    assert host.ok("show", "life")["instance"]["power_state"] == "running"
    assert host.ok("send", "stop", "life", "--no-graceful")["power_state"] == "shutdown"
    assert host.ok("send", "start", str(instance))["power_state"] == "running"
    assert "already" in host.run("send", "start", "life").stdout
    (operation, *_) = host.ok("operations", "--instance", "life", "--method", "stop")["operations"]
    assert host.ok("operations", operation["id"])["operation"]["status"] == "succeeded"
    assert "own" in host.run("operations", operation["id"]).stdout
    host.ok("send", "destroy", "life")
    assert host.run("show", "life").returncode == 11


def test_secrets_reach_the_agent_and_are_seen_nowhere(host: Host, tmp_path: Path) -> None:
    options = ("--name", "secret", "--vcpus", "1", "--memory-mb", "128", "--image", str(host.image))
    done = host.run("send", "spawn", *options, "--admin-pass", "env:PW", PW=PASSWORD)
    assert done.returncode == 0, done.stderr
    for arguments in (
        ("show", "secret"),
        ("operations",),
        ("plan", "spawn", *options),
        ("watch", "--from-sequence", "1", "--count", "3"),
    ):
        told = host.run(*arguments)
        assert told.returncode == 0, told.stderr
        assert PASSWORD not in told.stdout + told.stderr
    host.ok("send", "destroy", "secret")


def test_plan_does_nothing(host: Host) -> None:
    planned = host.ok(
        "plan", "spawn", "--name", "p", "--vcpus", "2", "--memory-mb", "64", "--image", str(host.image)
    )
    assert planned["resources"]["vcpus"] == 2
    assert "<name>p</name>" in planned["xml"]
    assert host.ok("list", "--name", "p")["instances"] == []


def test_a_refusal_of_the_agent_is_told_with_its_own_exit_code(host: Host) -> None:
    outside = host.run(
        "send", "spawn", "--name", "x", "--vcpus", "1", "--memory-mb", "64", "--image", "/etc/no.qcow2"
    )
    assert outside.returncode == 65
    assert "instance.disks" in outside.stderr
    assert host.run("send", "pause", str(uuid4())).returncode == 11
    stale = host.spawn("stale")
    assert host.run("send", "pause", str(stale), "--if-generation", "99").returncode == 12
    host.ok("send", "destroy", "stale")


def test_a_host_that_nobody_serves_is_told(host: Host) -> None:
    done = host.run("list", "--host", "nobody")
    assert done.returncode == 68
    assert "nobody" in done.stderr


def test_a_refused_login_and_a_dead_broker_differ_and_show_no_password(host: Host) -> None:
    url = host.env["COMPUTE_AGENT_AMQP__URL"]
    login = host.run("list", "--url", url.replace("rig:", f"rig:{PASSWORD}"))
    elsewhere = host.run("list", "--url", f"{url.rstrip('/')}/nowhere")
    nobody = host.run("list", "--url", f"amqp://rig:{PASSWORD}@127.0.0.1:1/", "--json")
    assert (login.returncode, elsewhere.returncode, nobody.returncode) == (77, 77, 76)
    assert "virtual host" in elsewhere.stderr.splitlines()[0]
    assert json.loads(nobody.stdout)["error"]["code"] == "unavailable"
    for done in (login, nobody):
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_cast_that_is_refused_is_parked_mended_and_sent_again(host: Host) -> None:
    instance = host.spawn("parked")
    sent = host.ok("send", "pause", "parked", "--cast", "--if-generation", "99")
    parked = until_parked(host, sent["message_id"])
    assert (parked["method"], parked["code"]) == ("pause", "conflict")
    shown = host.ok("dead", "show", sent["message_id"])
    assert shown["request"]["args"] == {"instance_uuid": str(instance), "if_generation": 99}
    generation = host.ok("show", "parked")["instance"]["generation"]
    with host.going(
        "watch", "--from-sequence", "1", "--type", "compute.instance.pause.end", "--count", "1"
    ) as watch:
        again = host.run("dead", "resend", sent["message_id"], "--set", f"if_generation={generation}")
        assert again.returncode == 0, again.stderr
        assert watch.wait(LONG) == 0
    assert host.ok("show", "parked")["instance"]["power_state"] == "paused"
    assert sent["message_id"] not in [one["id"] for one in host.ok("dead", "list")]
    host.ok("send", "destroy", "parked")


def until_parked(host: Host, message: str) -> dict[str, Any]:
    """Each look takes a second or so of itself."""
    for _ in range(30):
        found: list[dict[str, Any]] = [one for one in host.ok("dead", "list") if one["id"] == message]
        if found:
            return found[0]
    raise AssertionError(f"{message} was not parked")


def test_a_parked_message_can_be_dropped(host: Host) -> None:
    sent = host.ok("send", "pause", str(uuid4()), "--cast")
    until_parked(host, sent["message_id"])
    assert host.run("dead", "drop", sent["message_id"]).returncode == 0
    assert host.run("dead", "show", sent["message_id"]).returncode == 11


def test_watch_tells_live_events_and_ends_at_ctrl_c(host: Host) -> None:
    with host.going("watch", "--json", "--from-sequence", "1") as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())  # replayed; from here on it is subscribed
        assert (first["type"], int(first["sequence"])) == ("compute.host.started", 1)
        instance = str(host.spawn("watched"))
        seen: list[str] = []
        awaited = {"compute.instance.spawn.end", "compute.instance.power_state"}  # whichever comes first
        for line in watch.stdout:
            event = json.loads(line)
            # Progress is told at once, past the outbox: it has no sequence, and may come before the start.
            seen += [event["type"]] if event["subject"] == instance and "sequence" in event else []
            if awaited <= set(seen):
                break
        watch.send_signal(signal.SIGINT)
        assert watch.wait(LONG) == 130
        assert watch.stderr is not None
        assert watch.stderr.read().strip() == "interrupted"
    assert seen[0] == "compute.instance.spawn.start"
    host.ok("send", "destroy", "watched")


def test_the_console_is_followed(host: Host) -> None:
    host.spawn("talks")
    assert "GUEST-READY host=talks" in host.run("console", "talks", "--once").stdout
    with host.going("console", "talks", "--interval", "0.1") as console:
        assert console.stdout is not None
        assert "host=talks" in console.stdout.readline()
        console.send_signal(signal.SIGINT)
        assert console.wait(LONG) == 130
    host.ok("send", "destroy", "talks")


def test_on_a_terminal_a_waiting_command_draws_on_standard_error_alone(host: Host) -> None:
    ours, theirs = os.openpty()
    size = ("--name", "drawn", "--vcpus", "1", "--memory-mb", "64", "--image", str(host.image))
    program = subprocess.Popen(
        host.command("send", "spawn", *size, "--json"),
        env={**host.env, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = drained(ours)
    with program:
        assert program.stdout is not None
        assert json.loads(program.stdout.read())["power_state"] == "running"
    assert program.returncode == 0
    assert b"spawn" in drawn
    host.ok("send", "destroy", "drawn")


def drained(terminal: int) -> bytes:
    """All that is written to it until its last writer has gone."""
    drawn = b""
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        while select.select([reader], [], [], LONG)[0]:
            try:
                chunk = reader.read(65536)
            except OSError:  # EIO: the other end is closed
                break
            if not chunk:
                break
            drawn += chunk
    return drawn
