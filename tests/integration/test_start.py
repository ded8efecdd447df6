"""How the daemon's process begins, or says why it doesn't."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from agent import health_socket
from tests.e2e.daemon import Daemon
from tests.rig.broker import Broker

NOBODY_THERE = {"COMPUTE_AGENT_AMQP__URL": "amqp://guest:hunter2@127.0.0.1:9/"}
FAKE = {**NOBODY_THERE, "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake"}


def refused(directory: Path, environment: dict[str, str], host: str = "h1") -> str:
    """What a daemon says that doesn't begin."""
    daemon = Daemon(directory, host, environment)
    with pytest.raises(RuntimeError, match="ended with 1"):
        daemon.start()
    said = daemon.tail()
    assert "Traceback" not in said
    return said


def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path: Path) -> None:
    said = refused(tmp_path, {**FAKE, "COMPUTE_AGENT_JOURNAL__KEY": "opensesame"})
    assert "the journal's key can't be used: a key is 32 bytes in URL-safe base64" in said
    assert "opensesame" not in said


def test_a_key_that_is_given_is_not_written_to_the_disk(tmp_path: Path, broker: Broker) -> None:
    key, host = Fernet.generate_key().decode(), f"h-{uuid4().hex[:8]}"
    served = {**FAKE, "COMPUTE_AGENT_AMQP__URL": broker.url}
    with Daemon(tmp_path, host, {**served, "COMPUTE_AGENT_JOURNAL__KEY": key}) as daemon:
        assert not (daemon.state_dir / "journal.key").exists()
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.is_socket() and key.encode() in path.read_bytes()
    ]
    assert found == []
    assert "was written with another key" in refused(tmp_path, FAKE, host)


def test_what_a_ready_agent_has_loaded_is_left_out_of_garbage_collection(tmp_path: Path, broker: Broker) -> None:
    """No pause of all threads to look through it for garbage, again and again."""
    served = {**FAKE, "COMPUTE_AGENT_AMQP__URL": broker.url, "COMPUTE_AGENT_LOG__FORMAT": "json"}
    with Daemon(tmp_path, f"h-{uuid4().hex[:8]}", served) as daemon:
        # Answered once the pages are loaded, which may be before it is ready, or after.
        assert health_socket.page(daemon.state_dir, "/healthz", timeout=60)[0] == 200
        kept = [line["objects_kept"] for line in daemon.lines() if line["event"] == "agent.settled"]
    assert len(kept) == 2
    assert min(kept) > 50_000


def test_an_agent_without_standard_error_serves_all_the_same(tmp_path: Path, broker: Broker) -> None:
    served = {**FAKE, "COMPUTE_AGENT_AMQP__URL": broker.url}
    daemon = Daemon(tmp_path, f"h-{uuid4().hex[:8]}", served)
    daemon.command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon.command]
    with daemon:
        assert [os.readlink(f"/proc/{daemon.pid}/fd/{number}") for number in range(3)] == [os.devnull] * 3
        assert daemon.stop() == 0


def test_a_state_directory_that_cant_hold_disks_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "instances").write_text("in the way")
    assert "File exists" in refused(tmp_path, NOBODY_THERE)
