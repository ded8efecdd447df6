"""Where a guest goes: filters take hosts out, weighers order the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from agent.rpc.schema.instance import BlankDisk, Instance
from agent.rpc.schema.results import HostInfo
from examples.scheduler.choose import FILTERS, Question, choose, weight
from examples.scheduler.hosts import SETTLING_S, Host, Needs, needs_of

NOW = 1000.0
SMALL = Needs(1, 512, 1024)


def info(name: str = "h1", **facts: Any) -> HostInfo:
    usual = {"vcpus": 8, "vcpus_used": 0, "memory_mb": 8192, "memory_mb_used": 0, "disk_mb": 9000, "instances": 0}
    return HostInfo.model_validate(
        {
            "observed_at": datetime.now(UTC),
            "host": name,
            "agent_version": "1",
            "stream": uuid4(),
            "hypervisor_type": "fake",
            "hypervisor_version": "1",
            "virt_type": "fake",
            "arch": "x86_64",
            "disk_mb_free": 9000,
            **usual,
            **facts,
        }
    )


def host(name: str = "h1", heard: float = NOW, **facts: Any) -> Host:
    return Host(info(name, **facts), heard)


def asked(needs: Needs = SMALL, **facts: Any) -> Question:
    return Question(needs, NOW, 60.0, **facts)


def test_the_emptiest_host_is_chosen_and_of_equals_the_first_by_name() -> None:
    hosts = [host("h3"), host("h1", vcpus_used=1), host("h2"), host("h4", memory_mb_used=4096)]
    assert choose(hosts, asked()).host is hosts[2]


def test_no_host_is_chosen_when_none_fits_and_each_is_counted_once() -> None:
    choice = choose([host("h1", vcpus_used=8, memory_mb_used=8192), host("h2", disk_mb_free=0)], asked())
    assert choice.host is None
    assert choice.against == {"vcpus": 1, "disk": 1}


REASONS: dict[str, tuple[Host, Question]] = {
    "silent": (host(heard=NOW - 61), asked()),
    "leaving": (Host(info(), NOW, leaving=True), asked()),
    "unavailable": (Host(info(), NOW, resting_until=NOW + 1), asked()),
    "refused": (host(), asked(refused={"h1": NOW + 1})),
    "vcpus": (host(vcpus_used=8), asked()),
    "memory": (host(memory_mb_used=8192 - 511), asked()),
    "disk": (host(disk_mb_free=1023), asked()),
}


def test_every_filter_has_its_case() -> None:
    assert REASONS.keys() == FILTERS.keys()


@pytest.mark.parametrize("reason", REASONS)
def test_a_host_is_taken_out_by_the_one_filter_that_finds_something_wrong(reason: str) -> None:
    found, question = REASONS[reason]
    assert choose([found], question).against == {reason: 1}
    assert [name for name, passes in FILTERS.items() if not passes(found, question)] == [reason]


@pytest.mark.parametrize(
    ("limit", "question"),
    [
        (host(heard=NOW - 60), asked()),
        (Host(info(), NOW, resting_until=NOW), asked()),
        (host(), asked(refused={"h1": NOW, "h2": NOW + 9})),
        (host(vcpus_used=7, memory_mb_used=8192 - 512, disk_mb_free=1024), asked()),
    ],
)
def test_what_just_fits_fits(limit: Host, question: Question) -> None:
    assert choose([limit], question).host is limit


def test_claimed_room_is_taken_and_counts_until_a_report_must_know_of_it() -> None:
    found = host()
    one, other = uuid4(), uuid4()
    found.claim(one, Needs(2, 1024, 1000))
    found.claim(other, Needs(1, 512, 500))
    found.end_claim(other, NOW)
    assert found.free == Needs(5, 8192 - 1536, 7500)
    assert found.under_way == 1
    found.report(info(vcpus_used=1), NOW + SETTLING_S)
    assert found.free.vcpus == 8 - 1 - 3
    found.report(info(vcpus_used=1), NOW + SETTLING_S + 0.1)
    assert found.free.vcpus == 8 - 1 - 2
    found.drop_claim(one)
    assert found.free.vcpus == 8 - 1


def test_a_host_that_reports_is_there_again() -> None:
    found = Host(info(), NOW - 999, leaving=True)
    found.report(info(), NOW)
    assert choose([found], asked()).host is found


def test_a_host_with_much_under_way_weighs_less() -> None:
    busy, idle = host("h1", vcpus_used=2), host("h2", vcpus_used=2)
    busy.claim(uuid4(), Needs())
    assert weight(busy) < weight(idle)


def test_a_host_that_is_overfull_or_has_nothing_can_be_weighed() -> None:
    assert weight(host(vcpus_used=9, memory_mb_used=9000)) == weight(host(vcpus=0, memory_mb=0))


def test_many_guests_are_spread_evenly_by_their_claims_alone() -> None:
    hosts = [host(f"h{n}") for n in range(4)]
    for _ in range(32):
        chosen = choose(hosts, asked()).host
        assert chosen is not None
        chosen.claim(uuid4(), SMALL)
    assert {found.under_way for found in hosts} == {8}
    assert choose(hosts, asked()).host is None


def test_a_guest_needs_what_its_blank_disks_are_large() -> None:
    disks = (BlankDisk(kind="blank", size_mb=100), BlankDisk(kind="blank", size_mb=50))
    assert needs_of(Instance(uuid=uuid4(), name="vm", vcpus=3, memory_mb=64, disks=disks)) == Needs(3, 64, 150)
