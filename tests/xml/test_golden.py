"""What the agent hands to libvirt, kept as files: a change of the XML shows as a change of a file.

REGENERATE_GOLDEN=1 .venv/bin/pytest tests/xml/test_golden.py     writes them anew; then read the diff
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from agent.hypervisor import limits
from agent.hypervisor.domain import Domain, build, element
from agent.hypervisor.xml import Element
from tests.xml.guests import CLEAR, DEVICES, GUESTS
from tests.xml.schema import complaints

GOLDEN = Path(__file__).parent / "golden"
MANY = {"disk", "interface", "controller", "serial"}  # of which a domain may have several
FILES = {f"domain-{name}": build(*made) for name, made in GUESTS.items()}
FILES |= {f"device-{name}": device.to_xml() for name, device in DEVICES.items()}


@pytest.mark.parametrize("name", FILES)
def test_the_xml_is_what_it_was(name: str) -> None:
    path = GOLDEN / f"{name}.xml"
    if os.environ.get("REGENERATE_GOLDEN"):
        path.write_text(FILES[name])
    assert FILES[name] == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(FILES)


@pytest.mark.parametrize("name", GUESTS)
def test_a_golden_guest_is_nothing_that_limits_would_refuse(name: str) -> None:
    limits.check(GUESTS[name][0].spec)


@pytest.mark.parametrize("name", GUESTS)
def test_libvirts_schema_accepts_the_domain(name: str) -> None:
    assert complaints(FILES[f"domain-{name}"]) == []


@pytest.mark.parametrize("name", DEVICES)
def test_libvirts_schema_accepts_the_device(name: str) -> None:
    domain = etree.fromstring(FILES["domain-uefi"])
    device = DEVICES[name].to_node()
    place = domain if domain.find(str(device.tag)) is not None else domain[-1]
    if device.tag not in MANY:
        for other in place.findall(str(device.tag)):
            place.remove(other)
    place.append(device)
    assert complaints(etree.tostring(domain, encoding="unicode")) == []


def test_the_schema_refuses_what_is_wrong() -> None:
    text = FILES["domain-minimal-pc"]
    assert complaints(text.replace("<vcpu>1</vcpu>", "<vcpu>one</vcpu>"))
    assert complaints(text.replace('bus="ide"', 'bus="tram"'))


@pytest.mark.parametrize("name", GUESTS)
def test_a_golden_domain_reads_back_as_it_was_made(name: str) -> None:
    assert Domain.from_xml((GOLDEN / f"domain-{name}.xml").read_text()) == element(*GUESTS[name])


@pytest.mark.parametrize("name", DEVICES)
def test_a_golden_device_reads_back_as_it_was_made(name: str) -> None:
    device: Element = DEVICES[name]
    assert type(device).from_xml((GOLDEN / f"device-{name}.xml").read_text()) == device


@pytest.mark.parametrize("name", FILES)
def test_no_secret_is_in_a_golden_file(name: str) -> None:
    assert CLEAR not in (GOLDEN / f"{name}.xml").read_text()
