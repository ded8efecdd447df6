"""The runner: no check takes another with it."""

from __future__ import annotations

import asyncio
import errno
import sys

import pytest

from agent.doctor.checks import CHECKS, Entry, examine
from agent.doctor.finding import CantCheck, Findings, Verdict, broken, ok, report, unchecked, warning, worst
from agent.errors import Unavailable
from agent.settings import Settings

HERE, LATE = "tests.unit.doctor.test_checks", "tests.unit.doctor.late"


async def well(settings: Settings) -> Findings:
    return [ok("well"), warning("but", "mend it")]


async def hangs(settings: Settings) -> Findings:
    await asyncio.Event().wait()
    return []


async def has_a_bug(settings: Settings) -> Findings:
    raise ZeroDivisionError("a bug")


async def cant(settings: Settings) -> Findings:
    raise CantCheck("no right", "be root")


async def no_right(settings: Settings) -> Findings:
    raise PermissionError(errno.EACCES, "Permission denied", "/var/lib/compute-agent/lock")


async def sees_all_loaded(settings: Settings) -> Findings:
    return [ok("loaded")] if LATE in sys.modules else [unchecked("not loaded yet")]


async def away(settings: Settings) -> Findings:
    raise Unavailable("libvirt is away")


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (f"{HERE}:hangs", "no result within 0.05 s"),
        (f"{HERE}:has_a_bug", "the check itself failed: ZeroDivisionError: a bug"),
        (f"{HERE}:cant", "no right"),
        (f"{HERE}:no_right", "/var/lib/compute-agent/lock: Permission denied"),
        (f"{HERE}:away", "unavailable: libvirt is away"),
        ("no_such_package.checks:check", "the package no_such_package isn't installed here"),
    ],
)
async def test_a_check_that_cant_be_made_says_so_and_the_rest_is_made(where: str, says: str) -> None:
    checks = (Entry("first", f"{HERE}:well", 5), Entry("second", where, 0.05), Entry("third", f"{HERE}:well", 5))
    found = await examine(Settings(host="h1"), checks)
    assert [finding.check for finding in found] == ["first", "first", "second", "third", "third"]
    assert (found[2].verdict, found[2].says) == (Verdict.UNCHECKED, says)
    assert found[3].verdict is Verdict.OK


async def test_all_are_loaded_before_the_first_ones_time_begins() -> None:
    sys.modules.pop(LATE, None)
    checks = (Entry("first", f"{HERE}:sees_all_loaded", 5), Entry("late", f"{LATE}:check", 5))
    assert [finding.says for finding in await examine(Settings(host="h1"), checks)] == ["loaded", "late"]


@pytest.mark.parametrize("entry", CHECKS, ids=lambda entry: entry.name)
async def test_every_check_of_the_table_is_there_and_none_fails_on_a_host_with_nothing(
    entry: Entry, tmp_path: object
) -> None:
    nothing = {"uri": "qemu:///system?socket=/nowhere", "driver": "libvirt", "virt_type": "qemu"}
    settings = Settings.model_validate(
        {
            "host": "h1",
            "state_dir": f"{tmp_path}/none",
            "hypervisor": nothing,
            "amqp": {"url": "amqp://u:hidden@127.0.0.1:9/"},
        }
    )
    found = await examine(settings, (entry,))
    assert found
    for finding in found:
        assert "the check itself failed" not in finding.says
        assert "isn't installed" not in finding.says
        assert "hidden" not in finding.says + (finding.mend or "")
        assert finding.mend or finding.verdict in (Verdict.OK, Verdict.UNCHECKED)


def test_the_worst_finding_is_the_reports_verdict() -> None:
    findings = [ok("a"), unchecked("b"), warning("c", "d")]
    assert worst([]) is Verdict.OK
    assert worst(findings[:2]) is Verdict.UNCHECKED
    assert worst(findings) is Verdict.WARNING
    assert report([*findings, broken("e", "f")])["verdict"] == "broken"
