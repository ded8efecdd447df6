"""KVM is chosen only where a guest runs with it: real QEMU, and this box as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.hypervisor.libvirt.accel import ALIVE, Kept, choose, probe
from tests.rig.kvm import kvm_boots_guests

EMULATOR = Path("/usr/bin/qemu-system-x86_64")
PATIENCE = 120.0  # emulation on a busy box; what is looked for is the sign, not the speed


def script(directory: Path, line: str) -> Path:
    """In the place of QEMU, to do what a QEMU can't be made to do at will."""
    path = directory / "qemu"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


async def test_a_guest_that_runs_gives_the_sign() -> None:
    """With QEMU's own emulation in the place of KVM, as that works everywhere."""
    assert (await probe(EMULATOR, "tcg", PATIENCE)).virt_type == "kvm"


async def test_a_guest_that_stands_still_is_ended_and_said_to_have_stood_still(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        verdict = await probe(script(tmp_path, "exec sleep 600"), "tcg", 0.2)
    assert "stood still" in verdict.reason
    assert verdict.virt_type == "qemu"


async def test_a_guest_that_kvm_gives_up_is_not_waited_for(tmp_path: Path) -> None:
    gives_up = script(tmp_path, "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600")
    verdict = await probe(gives_up, "kvm", PATIENCE)
    assert verdict.virt_type == "qemu"
    assert "Suberror" in verdict.reason


async def test_an_accelerator_that_qemu_refuses_is_told_in_its_words() -> None:
    verdict = await probe(EMULATOR, "nonsense", PATIENCE)
    assert verdict.virt_type == "qemu"
    assert "invalid accelerator nonsense" in verdict.reason


async def test_a_missing_emulator_is_no_reason_to_fail() -> None:
    assert "can't be run" in (await probe(Path("/nowhere/qemu"), "kvm")).reason


async def test_auto_agrees_with_whether_this_box_boots_guests_under_kvm(tmp_path: Path) -> None:
    verdict = await choose("auto", EMULATOR, tmp_path)
    assert verdict.virt_type == ("kvm" if kvm_boots_guests() else "qemu")


async def test_a_verdict_is_asked_for_once_and_again_after_a_boot_or_for_another_qemu(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    emulator = script(tmp_path, f"echo run >> {runs}; exit {ALIVE}")
    node, file = tmp_path / "kvm", tmp_path / "accel.json"
    node.touch()

    async def asked() -> int:
        assert (await choose("auto", emulator, tmp_path, node=node)).virt_type == "kvm"
        return len(runs.read_text().splitlines())

    assert [await asked(), await asked()] == [1, 1]
    kept = Kept.model_validate_json(file.read_text())
    for change in ({"boot_id": "another"}, {"mtime_ns": 1}, {"emulator": "/another"}):
        before = await asked()
        file.write_text(kept.model_copy(update=change).model_dump_json())
        assert await asked() == before + 1
    file.write_text("half a verd")
    assert await asked() == 5


async def test_without_kvm_nothing_is_tried(tmp_path: Path) -> None:
    verdict = await choose("auto", Path("/nowhere/qemu"), tmp_path, node=tmp_path / "kvm")
    assert (verdict.virt_type, "isn't there" in verdict.reason) == ("qemu", True)


@pytest.mark.parametrize("wanted", ["kvm", "qemu"])
async def test_what_the_settings_say_is_taken_without_a_trial(wanted: str, tmp_path: Path) -> None:
    verdict = await choose(wanted, Path("/nowhere/qemu"), tmp_path)  # type: ignore[arg-type]  # parametrized
    assert verdict.virt_type == wanted
