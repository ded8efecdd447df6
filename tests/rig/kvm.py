"""Whether KVM truly runs a guest here."""

import functools
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.rig.images import CACHE, guest_image, overlay

KVM = Path("/dev/kvm")


@functools.cache
def kvm_boots_guests() -> bool:
    """True when the test guest boots under KVM; asked once after each boot of the box.

    The device alone says little. In a container that was lent the node it may not open; in a virtual machine
    without full nested virtualisation the firmware may run and the boot loader's first odd instruction kill the
    guest. Such a device is worse than none, as whoever finds it prefers it.
    """
    if not KVM.exists():
        return False
    image = guest_image()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = CACHE / f"kvm-{boot}-{image.stem}"
    if not verdict.exists():
        # Whole, or not there: another run may look meanwhile.
        part = verdict.with_name(f"{verdict.name}.{os.getpid()}")
        part.write_text("yes" if _boots(image) else "no")
        part.rename(verdict)
    return verdict.read_text() == "yes"


def _boots(image: Path) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        disk = overlay(Path(directory) / "disk.qcow2", image)
        console, errors = Path(directory) / "console", Path(directory) / "errors"
        with errors.open("wb") as stderr:
            machine = subprocess.Popen(
                [
                    *("qemu-system-x86_64", "-accel", "kvm", "-nodefaults", "-display", "none", "-m", "128"),
                    *("-drive", f"file={disk},if=virtio", "-serial", f"file:{console}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            deadline = time.monotonic() + 20
            while machine.poll() is None and time.monotonic() < deadline:
                if console.exists() and b"GUEST-READY" in console.read_bytes():
                    return True
                # QEMU pauses the guest then and stays.
                if b"KVM internal error" in errors.read_bytes():
                    return False
                time.sleep(0.05)
            return False
        finally:
            machine.kill()
            machine.wait()
