"""Which file system a path lies on, by the kernel's table alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.hypervisor.storage.mounts import Mounts

TABLE = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /srv/images rw - nfs4 nas:/images rw
31 22 0:26 / /srv/im rw - nfs4 nas:/im rw
32 22 0:27 / /srv/two\040words\134 rw - nfs4 nas:/two rw
33 22 254:0 /var/volumes /srv/volumes rw - ext4 /dev/vda rw
34 30 0:28 / /srv/images rw - tmpfs over rw
"""


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("/etc/hosts", "254:0"),
        ("/", "254:0"),
        ("/srv/im/a", "0:26"),
        ("/srv/im", "0:26"),
        ("/srv/imag", "254:0"),
        ("/srv/images/a/b", "0:28"),
        ("/srv/im/../images/a", "0:28"),
        ("/srv/two words\\/a", "0:27"),
        ("/srv/volumes/a", "254:0"),
        ("a", ""),
    ],
)
def test_a_path_is_on_the_file_system_of_its_nearest_mount_point(path: str, device: str) -> None:
    assert Mounts(TABLE).file_system(Path(path)) == device


@pytest.mark.parametrize("path", ["/proc/self", "/dev/shm", "/sys/kernel"])
def test_the_kernels_own_table_says_what_stat_says(path: str) -> None:
    device = os.stat(path).st_dev
    assert Mounts.read().file_system(Path(path)) == f"{os.major(device)}:{os.minor(device)}"
