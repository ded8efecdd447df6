"""Child programs: bounded, never left behind, and their failures mean something."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from agent import telemetry
from agent.deadline import within
from agent.errors import NoCapacity, OperationFailed, Unavailable, Unsupported
from agent.hypervisor.storage import qemu_img
from agent.hypervisor.storage.programs import KEPT_ERR, Limits, failure, run
from agent.spec import DiskFormat
from tests.integration.storage_ground import MIB, info

# It says its pid, so that a test can tell whether it is still there.
SLEEPER = ["sh", "-c", "echo $$; exec sleep 600"]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Pid:
    """Reads the pid that SLEEPER prints."""

    def __init__(self) -> None:
        self.value = 0
        self.known = asyncio.Event()

    def __call__(self, output: bytes) -> None:
        self.value = int(output)
        self.known.set()


async def test_the_output_and_the_exit_code_are_told() -> None:
    finished = await run(["sh", "-c", "echo out; echo err >&2; exit 3"], Limits())
    assert (finished.code, finished.out, finished.complaint) == (3, b"out\n", "err")


@pytest.mark.parametrize("by_operation", [False, True], ids=["its own", "an earlier one of the operation"])
async def test_a_program_past_its_time_is_killed(by_operation: bool) -> None:
    for seconds in (0.5, 5.0, 50.0):  # on a busy host it takes some until it says its pid
        pid = Pid()
        with telemetry.measured() as shares, pytest.raises(Unavailable, match="stopped"):
            with within(seconds if by_operation else None):
                await run(SLEEPER, Limits(seconds=600 if by_operation else seconds), pid)
        assert shares["qemu_img"] >= seconds * 0.9
        if pid.known.is_set():
            break
    assert pid.known.is_set()
    assert not alive(pid.value)


async def test_a_program_whose_caller_is_cancelled_is_killed_before_he_is_told() -> None:
    pid = Pid()
    running = asyncio.create_task(run(SLEEPER, Limits(), pid))
    await pid.known.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(pid.value)


async def test_a_program_that_eats_memory_is_stopped() -> None:
    hungry = ["python3", "-c", "x = bytearray(1 << 30)"]
    assert (await run(hungry, Limits(memory=256 * MIB))).code != 0
    assert (await run(["python3", "-c", ""], Limits(memory=256 * MIB))).code == 0


async def test_a_program_that_eats_time_is_stopped() -> None:
    finished = await run(["sh", "-c", "while :; do :; done"], Limits(cpu_s=1, seconds=60))
    assert finished.code < 0


async def test_of_endless_complaints_only_the_end_is_kept() -> None:
    finished = await run(["sh", "-c", "seq 1 100000 >&2; echo last >&2"], Limits())
    assert len(finished.err) <= KEPT_ERR
    assert finished.complaint == "last"


async def test_nothing_of_our_environment_is_handed_down() -> None:
    finished = await run(["env"], Limits())
    assert set(re.findall(rb"^(\w+)=", finished.out, re.M)) <= {b"PATH", b"LC_ALL", b"PWD", b"_", b"SHLVL"}


async def test_a_program_that_isnt_installed_is_named() -> None:
    with pytest.raises(Unsupported) as caught:
        await run(["mkfs.nonsense"], Limits())
    assert caught.value.details == {"feature": "mkfs.nonsense"}


async def test_a_full_disk_is_told_from_other_failures() -> None:
    finished = await run(["sh", "-c", "cat /etc/passwd > /dev/full"], Limits())
    assert isinstance(failure(finished, "writing"), NoCapacity)
    finished = await run(["ls", "/no/such/thing"], Limits())
    assert isinstance(failure(finished, "looking"), OperationFailed)


@pytest.mark.parametrize("name", ["nbd:unix:x", "json:{}", "a,b=c", "-u", "fat:rw:x"])
async def test_a_name_that_qemu_would_read_as_something_else_is_only_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    await qemu_img.create(path, DiskFormat.QCOW2, MIB)
    assert info(path, "qcow2")["virtual-size"] == MIB
    await qemu_img.create_overlay(tmp_path / "over", path, DiskFormat.QCOW2, 2 * MIB)
    assert info(tmp_path / "over", "qcow2")["full-backing-filename"] == str(path)
