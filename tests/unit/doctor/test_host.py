"""Room, clock, programs, KVM, features, libvirt's limits: what is wrong is told, and what is well isn't."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.doctor import clock, disk, features, kvm, libvirt, programs
from agent.doctor.finding import Finding, Verdict
from agent.hypervisor.libvirt.host import Abilities
from agent.settings import Hypervisor, Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLACE = Path("/state")


def verdicts(findings: object) -> list[Verdict]:
    assert isinstance(findings, list | tuple)
    return [finding.verdict for finding in findings if isinstance(finding, Finding)]


@pytest.mark.parametrize(
    ("room", "verdict"),
    [
        (disk.Room(free_mb=50_000, total_mb=100_000, inodes=1_000_000), Verdict.OK),
        (disk.Room(free_mb=50_000, total_mb=100_000, inodes=None), Verdict.OK),
        (disk.Room(free_mb=1024, total_mb=100_000, inodes=None), Verdict.BROKEN),
        (disk.Room(free_mb=2000, total_mb=100_000, inodes=None), Verdict.WARNING),
        (disk.Room(free_mb=50_000, total_mb=100_000, inodes=100), Verdict.WARNING),
        (disk.Room(free_mb=50_000, total_mb=100_000, inodes=0), Verdict.BROKEN),
    ],
)
def test_room_is_judged_above_the_reserve_and_by_inodes(room: disk.Room, verdict: Verdict) -> None:
    assert verdicts(disk.judge(PLACE, room, reserve_mb=1024)) == [verdict]


def test_room_is_measured(tmp_path: Path) -> None:
    room = disk.measure(tmp_path)
    assert 0 < room.free_mb <= room.total_mb


def test_a_clock_behind_what_the_journal_has_written_is_broken() -> None:
    assert clock.judge(NOW, None) == []
    assert clock.judge(NOW, NOW + timedelta(seconds=1)) == []
    (finding,) = clock.judge(NOW, NOW + timedelta(hours=1))
    assert finding.verdict is Verdict.BROKEN
    assert "3600 s behind" in finding.says


@pytest.mark.parametrize(
    ("state", "verdict"), [(0, Verdict.OK), (1, Verdict.OK), (5, Verdict.WARNING), (-1, Verdict.UNCHECKED)]
)
def test_whether_the_clock_is_kept_in_time_is_the_kernels_word(state: int, verdict: Verdict) -> None:
    assert clock.synchronised(state, 1000).verdict is verdict


def test_the_kernel_is_asked() -> None:
    state, maxerror = clock.kernel()
    assert state in range(6)
    assert maxerror >= 0


def test_a_program_that_isnt_there_is_told_with_its_package(tmp_path: Path) -> None:
    for name in programs.NEEDED:
        (tmp_path / name).touch(mode=0o755)
    assert verdicts(programs.judge(str(tmp_path))) == [Verdict.OK]
    (tmp_path / "mkfs.vfat").unlink()
    (finding,) = programs.judge(str(tmp_path))
    assert (finding.verdict, finding.mend) == (Verdict.WARNING, "install dosfstools")
    (tmp_path / "qemu-img").unlink()
    assert Verdict.BROKEN in verdicts(programs.judge(str(tmp_path)))


def test_without_kvm_guests_are_slow_and_where_it_is_demanded_there_are_none() -> None:
    assert kvm.told("/dev/kvm isn't there", required=False).verdict is Verdict.WARNING
    assert kvm.told("/dev/kvm isn't there", required=True).verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("abilities", "said", "verdict"),
    [
        (Abilities(uefi=False), "no UEFI", Verdict.WARNING),
        (Abilities(machines=frozenset({"q35"})), "no machines pc", Verdict.WARNING),
        (Abilities(machines=frozenset({"pc"})), "no machine q35", Verdict.BROKEN),
        (Abilities(machines=frozenset()), "no x86_64 guests", Verdict.BROKEN),
        (
            replace(Abilities(), disk_buses=frozenset({"virtio", "scsi", "sata"})),
            "no disk buses ide",
            Verdict.WARNING,
        ),
    ],
)
def test_what_guests_cant_have_is_told(abilities: Abilities, said: str, verdict: Verdict) -> None:
    (finding,) = features.lacks(abilities)
    assert said in finding.says
    assert finding.verdict is verdict
    assert list(features.lacks(Abilities())) == []


LIMITS = """
# max_clients = 3
max_clients = 20
  max_client_requests=1
max_anonymous_clients = 7
max_workers = 8
"""


def test_libvirts_limits_are_read_with_its_defaults() -> None:
    assert libvirt.read_limits("") == {"max_clients": 5000, "max_client_requests": 5, "max_workers": 20}
    assert libvirt.read_limits(LIMITS) == {"max_clients": 20, "max_client_requests": 1, "max_workers": 8}


@pytest.mark.parametrize(
    ("clients", "requests", "expected"),
    [
        (5000, 5, []),
        (16, 5, [Verdict.BROKEN]),
        (17, 5, [Verdict.WARNING]),
        (34, 5, []),
        (5000, 1, [Verdict.WARNING]),
    ],
)
def test_libvirt_must_let_all_our_connections_in(clients: int, requests: int, expected: list[Verdict]) -> None:
    limits = {"max_clients": clients, "max_client_requests": requests, "max_workers": 20}
    assert verdicts(list(libvirt.judge(limits, 17, 20, PLACE))) == expected


def test_libvirt_must_work_at_more_calls_at_once_than_may_hang() -> None:
    limits = libvirt.read_limits("max_workers = 19")
    (finding,) = libvirt.judge(limits, 17, 20, PLACE)
    assert finding.verdict is Verdict.WARNING
    assert "max_workers" in str(finding.mend)


def test_with_lanes_of_their_usual_size_libvirts_default_is_enough() -> None:
    usual = Settings(host="h")
    assert list(libvirt.judge(libvirt.read_limits(""), libvirt.needed(usual), libvirt.at_once(usual), PLACE)) == []


def test_the_connections_needed_follow_the_size_of_the_lanes() -> None:
    few, many = (Settings(host="h", hypervisor=Hypervisor(lane_size=size)) for size in (1, 32))
    assert libvirt.needed(few) < libvirt.needed(many)
