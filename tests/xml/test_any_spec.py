"""Rules that hold for every spec: the schema is libvirt's, the judge of "can't be" is `limits`."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import event, given

from agent.errors import InvalidRequest
from agent.hypervisor import limits, readback
from agent.hypervisor.domain import Domain, build, element
from agent.hypervisor.metadata import parse
from agent.spec import InstanceSpec, VolumeDisk
from tests.xml.schema import complaints
from tests.xml.specs import FACTS, SECRET, good_specs, guest_of, wild_specs


@given(good_specs())
def test_a_good_spec_is_not_refused_and_makes_a_valid_domain(spec: InstanceSpec) -> None:
    limits.check(spec)
    assert complaints(build(guest_of(spec), FACTS)) == []


@given(wild_specs())
def test_what_is_not_refused_makes_a_valid_domain(spec: InstanceSpec) -> None:
    facts = FACTS.model_copy(update={"virt_type": "kvm"})
    with suppress(InvalidRequest):
        limits.check(spec)
        event("not refused")
        assert complaints(build(guest_of(spec), facts)) == []


@given(good_specs())
def test_a_domain_reads_back_as_it_was_written(spec: InstanceSpec) -> None:
    made = element(guest_of(spec), FACTS)
    assert Domain.from_xml(made.to_xml()) == made


@given(good_specs())
def test_the_spec_comes_back_from_the_domain_with_its_secrets_masked(spec: InstanceSpec) -> None:
    known = parse(build(guest_of(spec), FACTS))
    assert known is not None
    assert known.generation == 7
    assert known.spec() == InstanceSpec.model_validate_json(spec.model_dump_json())


@given(good_specs())
def test_every_disk_and_interface_is_found_again_by_its_own_name(spec: InstanceSpec) -> None:
    guest = guest_of(spec)
    text = build(guest, FACTS)
    assert [disk.id for disk in readback.disks(text)] == [disk.id for disk in guest.disks]
    assert [nic.port_id for nic in readback.interfaces(text)] == [nic.port_id for nic in spec.interfaces]
    assert {disk.id for disk in readback.disks(text) if disk.removable} == {
        disk.id for disk in spec.disks if isinstance(disk, VolumeDisk)
    }
    assert all(readback.disk_element(text, disk.id) for disk in guest.disks)
    assert all(readback.interface_element(text, nic.port_id) for nic in spec.interfaces)


@given(good_specs())
def test_no_secret_is_in_the_domain(spec: InstanceSpec) -> None:
    assert SECRET not in build(guest_of(spec), FACTS)
