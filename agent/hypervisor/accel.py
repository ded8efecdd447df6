"""KVM or QEMU's own emulation: `auto` takes KVM only where it truly runs a guest.

`libvirt_driver` asks once at the start. That /dev/kvm is there, opens, and that libvirt offers it, says little:
under some hypervisors a nested guest then stands still at its first instruction. So a guest of 512 bytes is
run whose only act is to end its QEMU with a status that nothing else ends it with:

    mov dx, 0xf4 ; mov al, 0x2a ; out dx, al         isa-debug-exit: the status is (0x2a << 1) | 1

The verdict holds for one boot of the host and one QEMU, and is kept in the state directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from agent.spec import Frozen

VirtType = Literal["kvm", "qemu"]

PATIENCE_S = 5.0
"""A guest that runs does so in a tenth of a second."""

EXIT_PORT = 0xF4
SIGN = 0x2A
ALIVE = SIGN << 1 | 1
CODE = bytes([0xBA, EXIT_PORT, 0x00, 0xB0, SIGN, 0xEE, 0xF4])  # and hlt, should nobody listen on the port
BOOT_SECTOR = CODE.ljust(510, b"\0") + b"\x55\xaa"

KVM = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Verdict(Frozen):
    """What to run guests with, and why."""

    virt_type: VirtType
    reason: str


class Kept(Frozen):
    """A verdict and what it holds for."""

    boot_id: str
    emulator: str
    mtime_ns: int
    verdict: Verdict


async def choose(wanted: Literal["auto", "kvm", "qemu"], emulator: Path, state_dir: Path) -> Verdict:
    """`wanted`, or for `auto` what was found out now or since the host booted."""
    if wanted != "auto":
        return Verdict(virt_type=wanted, reason="the settings say so")
    if (why_not := await asyncio.to_thread(_closed)) is not None:
        return Verdict(virt_type="qemu", reason=why_not)
    try:
        boot_id, mtime_ns = BOOT_ID.read_text().strip(), emulator.stat().st_mtime_ns
    except OSError as error:
        return Verdict(virt_type="qemu", reason=f"KVM can't be tried: {error}")
    file = state_dir / "accel.json"
    kept = _read(file)
    if kept is not None and (kept.boot_id, kept.emulator, kept.mtime_ns) == (boot_id, str(emulator), mtime_ns):
        return kept.verdict
    verdict = await probe(emulator, "kvm")
    new = Kept(boot_id=boot_id, emulator=str(emulator), mtime_ns=mtime_ns, verdict=verdict)
    with contextlib.suppress(OSError):  # it is found out again next time
        file.write_text(new.model_dump_json())
    return verdict


async def probe(emulator: Path, accelerator: str, patience: float = PATIENCE_S) -> Verdict:
    """`kvm` if a guest runs with the accelerator within `patience` seconds, else `qemu` and why."""
    with tempfile.TemporaryDirectory(prefix="accel-") as directory:
        sector = Path(directory) / "boot.img"
        sector.write_bytes(BOOT_SECTOR)
        try:
            status, said = await _run(_command(emulator, accelerator, sector), patience)
        except OSError as error:
            return Verdict(virt_type="qemu", reason=f"{emulator} can't be run: {error.strerror}")
    if status == ALIVE:
        return Verdict(virt_type="kvm", reason="a probe guest ran")
    if status is None:
        return Verdict(virt_type="qemu", reason=f"a probe guest stood still for {patience:g} s")
    return Verdict(virt_type="qemu", reason=f"QEMU ended with {status}: {said}")


def _command(emulator: Path, accelerator: str, sector: Path) -> list[str]:
    return [
        str(emulator),
        *("-accel", accelerator, "-machine", "pc", "-m", "16"),
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none", "-serial", "none", "-monitor", "none"),
        *("-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"),
        *("-drive", f"if=ide,format=raw,readonly=off,file={sector}"),
    ]


async def _run(command: list[str], patience: float) -> tuple[int | None, str]:
    """The exit status and the last line said; None when it had to be killed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience):
            _, said = await process.communicate()
    except TimeoutError:
        return None, ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = said.decode(errors="replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""


def _closed() -> str | None:
    """Why KVM needn't be tried."""
    if not KVM.exists():
        return f"{KVM} isn't there"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f"{KVM} can't be opened by the agent's user: let it into the group kvm, or set hypervisor.virt_type"
    return None


def _read(file: Path) -> Kept | None:
    try:
        return Kept.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
