"""KVM or QEMU's own emulation: `auto` takes KVM only where it truly runs a guest.

`driver` asks once at the start. That /dev/kvm is there, opens, and that libvirt offers it, says little:
where the host is itself a guest, KVM may run firmware for seconds and then stop at the first instruction it
can't do. So a guest of 512 bytes is run that does what every boot loader and kernel does, and whose last act
ends its QEMU with a status that nothing else ends it with:

    real mode ──> protected mode ──iret──> long mode ──iret──> out 0xf4, 0x2a

    (isa-debug-exit makes that status (0x2a << 1) | 1)

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

PATIENCE_S = 10.0
"""Seconds. A guest that runs takes a fraction of one, and one that KVM gives up is told at once."""

EXIT_PORT = 0xF4
ALIVE = 0x2A << 1 | 1
GIVEN_UP = b"KVM internal error"

# Loaded at 0x7c00. GNU as, with `ld -Ttext=0x7c00`:
#
#     .code16                         .code32                        .code64
#     cli                             pm: mov $0x10, %ax             lm: push $0x10
#     xor %ax, %ax                    mov %ax, %ds                   push $0x7c00
#     mov %ax, %ds; %es; %ss          mov %ax, %ss                   pushfq
#     mov $0x7c00, %sp                mov $0x7c00, %esp              push $0x18
#     mov $0x1000, %di                pushfl                         push $lm2
#     mov $0x1800, %cx                push $0x08                     iretq
#     cld; rep stosw                  push $pm2                      lm2: mov $0xf4, %dx
#     movw $0x2003, 0x1000            iretl                          mov $0x2a, %al
#     movw $0x3003, 0x2000            pm2: CR4.PAE = 1               out %al, %dx
#     movw $0x0083, 0x3000            CR3 = 0x1000                   hlt
#     lgdt gdtr                       EFER.LME = 1
#     CR0.PE = 1                      CR0.PG = 1                     gdt: 0, 0x00cf9b000000ffff,
#     ljmp $0x08, $pm                 ljmp $0x18, $lm                0x00cf93000000ffff, 0x00af9b000000ffff
CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007cbf0010b90018fcf3abc70600100320c706002003"
    "30c706003083000f0116b87c0f20c00c010f22c0ea397c080066b810008ed88e"
    "d0bc007c00009c6a08684f7c0000cf0f20e00c200f22e0b8001000000f22d8b9"
    "800000c00f3280cc010f300f20c00d000000800f22c0ea7d7c000018006a1068"
    "007c00009c6a18688e7c000048cf66baf400b02aeef466900000000000000000"
    "ffff0000009bcf00ffff00000093cf00ffff0000009baf001f00987c0000"
)
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


async def choose(
    wanted: Literal["auto", "kvm", "qemu"], emulator: Path, state_dir: Path, *, node: Path = KVM
) -> Verdict:
    """`wanted`, or for `auto` what was found out now or since the host booted."""
    if wanted != "auto":
        return Verdict(virt_type=wanted, reason="the settings say so")
    if (why_not := await asyncio.to_thread(closed, node)) is not None:
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
    try:
        with tempfile.TemporaryDirectory(prefix="accel-") as directory:
            sector = Path(directory) / "boot.img"
            sector.write_bytes(BOOT_SECTOR)
            status, said = await _run(_command(emulator, accelerator, sector), patience)
    except OSError as error:  # no such program, no room for the sector
        return Verdict(virt_type="qemu", reason=f"{emulator} can't be run: {error.strerror}")
    if status == ALIVE:
        return Verdict(virt_type="kvm", reason="a probe guest ran")
    if status is None:
        return Verdict(virt_type="qemu", reason=f"a probe guest didn't get through: {said or 'it stood still'}")
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
    """The exit status and the last line said; None as status when it had to be killed."""
    none, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=none, stdout=none, stderr=pipe)
    said = b""
    try:
        async with asyncio.timeout(patience):
            while line := await _line_of(process):
                said = line
                if GIVEN_UP in line:  # QEMU then keeps the guest, paused
                    return None, _text(line)
            return await process.wait(), _text(said)
    except TimeoutError:
        return None, ""
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line_of(process: asyncio.subprocess.Process) -> bytes:
    """Empty when QEMU has ended."""
    return await process.stderr.readline() if process.stderr else b""


def _text(line: bytes) -> str:
    return line.decode(errors="replace").strip()


def closed(node: Path) -> str | None:
    """Why KVM needn't be tried."""
    if not node.exists():
        return f"{node} isn't there"
    if not os.access(node, os.R_OK | os.W_OK):
        return f"the agent's user can't open {node}: let it into the group kvm, or set hypervisor.virt_type"
    return None


def _read(file: Path) -> Kept | None:
    try:
        return Kept.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
