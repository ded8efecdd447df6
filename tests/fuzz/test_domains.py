"""The XML of any domain, a stranger's too: read, or BadXml. No file is opened, no entity followed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from agent.hypervisor import metadata, readback
from agent.hypervisor.domain import Domain
from agent.hypervisor.xml import BadXml
from tests.fuzz.mutations import corpus, spoiled

XML = Path(__file__).parents[1] / "xml"
SEEDS = [
    *corpus("domains").values(),
    *(path.read_bytes() for path in (*(XML / "live").glob("*.xml"), *(XML / "golden").glob("domain-*.xml"))),
]
QUESTIONS: tuple[Callable[[str], Any], ...] = (
    metadata.parse,
    lambda text: (known := metadata.parse(text)) and known.spec(),
    lambda text: metadata.restamp(text, "h", 3, "req"),
    readback.disks,
    readback.interfaces,
    readback.device_ids,
    readback.targets,
    readback.next_boot_order,
    readback.scsi_controllers,
    readback.machine_type,
    readback.vnc_port,
    readback.console_path,
    readback.console_log,
    lambda text: readback.disk_element(text, "disk0"),
    lambda text: readback.interface_element(text, "p1"),
    Domain.from_xml,
)


def ask(text: str) -> list[Any]:
    answers = []
    for question in QUESTIONS:
        with suppress(BadXml):
            answers.append(question(text))
    return answers


@pytest.mark.parametrize("name", corpus("domains"))
def test_a_domain_of_the_corpus_is_read_or_refused_and_no_file_with_it(name: str) -> None:
    told = str(ask(corpus("domains")[name].decode()))
    assert Path("/etc/hostname").read_text().strip() not in told
    assert len(told) < 10_000


@given(spoiled(SEEDS))
def test_a_spoiled_domain_is_read_or_refused(xml: bytes) -> None:
    ask(xml.decode("utf-8", "surrogateescape"))
