"""What a private libvirtd is set to; everything not named is as Debian ships it."""

import grp
import pwd
import uuid
from collections.abc import Callable
from pathlib import Path


def write_settings(etc: Path, *, use_cgroups: bool, hide_kvm: bool) -> None:
    (etc / "libvirtd.conf").write_text(_libvirtd())
    (etc / "virtlogd.conf").write_text("")
    (etc / "qemu.conf").write_text(_qemu(use_cgroups=use_cgroups, hide_kvm=hide_kvm))


def _libvirtd() -> str:
    lines = [
        # No polkit without a session bus; the socket's owner and group decide, as production has it.
        'auth_unix_rw = "none"',
        'auth_unix_ro = "none"',
        'unix_sock_rw_perms = "0770"',
        # Two daemons of one box are two hosts, and the box may have no readable DMI table.
        f'host_uuid = "{uuid.uuid4()}"',
    ]
    if _exists(grp.getgrnam, "libvirt"):
        lines.append('unix_sock_group = "libvirt"')
    return "\n".join(lines) + "\n"


def _qemu(*, use_cgroups: bool, hide_kvm: bool) -> str:
    lines = [
        # Profiles of AppArmor and SELinux know the usual paths, not a rig's. Users and owners stay in force.
        'security_driver = "none"',
        # Starting a guest takes libvirt about 230 ms, of which it spends 140 asking QEMU for CPU features
        # one by one. For tests only: it taints guests and hides features that QEMU had to leave out.
        'capability_filters = [ "cpu-unavailable-features" ]',
    ]
    if not _exists(pwd.getpwnam, "libvirt-qemu"):
        lines += ['user = "root"', 'group = "root"']
    if not use_cgroups:
        lines.append("cgroup_controllers = [ ]")
    if hide_kvm:
        # libvirt gives each QEMU a /dev of its own and moves what is mounted in /dev over to it, which fails
        # for the single file that hides /dev/kvm.
        lines.append("namespaces = [ ]")
    return "\n".join(lines) + "\n"


def _exists(lookup: Callable[[str], object], name: str) -> bool:
    try:
        lookup(name)
    except KeyError:
        return False
    return True
