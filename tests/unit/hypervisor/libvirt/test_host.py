"""What libvirt's capability documents say of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.hypervisor.libvirt.host import Abilities, dotted, read_capabilities, read_domain_capabilities
from agent.hypervisor.xml import BadXml

GUEST = """
  <guest><os_type>hvm</os_type><arch name='{arch}'><wordsize>64</wordsize><emulator>{emulator}</emulator>
    <machine maxCpus='255'>pc-i440fx-7.2</machine>{machines}
    {domains}</arch></guest>"""


def capabilities(
    *, arch: str = "x86_64", machines: str = "<machine>q35</machine><machine>pc</machine>", kvm: bool = True
) -> str:
    domains = "<domain type='qemu'/>" + ("<domain type='kvm'/>" if kvm else "")
    guest = GUEST.format(arch=arch, emulator="/opt/qemu", machines=machines, domains=domains)
    return f"<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model></cpu></host>{guest}</capabilities>"


def domain_capabilities(*, firmware: str = "efi", buses: str = "fdc scsi virtio usb sata") -> str:
    values = "".join(f"<value>{bus}</value>" for bus in buses.split())
    return (
        f"<domainCapabilities><path>/opt/qemu</path><os supported='yes'><enum name='firmware'>"
        f"<value>{firmware}</value></enum></os><devices><disk supported='yes'><enum name='diskDevice'>"
        f"<value>disk</value></enum><enum name='bus'>{values}</enum></disk></devices></domainCapabilities>"
    )


def test_a_host_with_kvm_is_read() -> None:
    found = read_capabilities(capabilities(), Abilities())
    assert found.emulator == Path("/opt/qemu")
    assert found.virt_types == {"qemu", "kvm"}
    assert found.machines == {"q35", "pc"}
    assert found.cpu_model == "EPYC"


def test_kvm_that_libvirt_doesnt_offer_isnt_there() -> None:
    assert read_capabilities(capabilities(kvm=False), Abilities()).virt_types == {"qemu"}


def test_a_qemu_with_few_machines_offers_those() -> None:
    found = read_capabilities(
        capabilities(machines="<machine>microvm</machine><machine>pc</machine>"), Abilities()
    )
    assert found.machines == {"pc"}


def test_a_host_of_another_architecture_offers_nothing() -> None:
    found = read_capabilities(capabilities(arch="aarch64"), Abilities())
    assert (found.machines, found.virt_types) == (frozenset(), frozenset())


def test_buses_and_firmware_are_those_that_qemu_has() -> None:
    found = read_domain_capabilities(domain_capabilities(buses="virtio sata fdc"), Abilities())
    assert found.disk_buses == {"virtio", "sata", "ide"}
    assert found.uefi


def test_without_a_pc_machine_there_is_no_ide() -> None:
    found = read_domain_capabilities(domain_capabilities(), Abilities(machines=frozenset({"q35"})))
    assert found.disk_buses == {"virtio", "scsi", "sata"}


def test_without_ovmf_there_is_no_uefi() -> None:
    assert not read_domain_capabilities(domain_capabilities(firmware="bios"), Abilities()).uefi


@pytest.mark.parametrize("text", ["", "<capabilities", "not xml"])
def test_what_isnt_xml_is_refused(text: str) -> None:
    with pytest.raises(BadXml):
        read_capabilities(text, Abilities())


@pytest.mark.parametrize(("number", "text"), [(7002022, "7.2.22"), (9000000, "9.0.0"), (12008000, "12.8.0")])
def test_versions_are_read_as_people_write_them(number: int, text: str) -> None:
    assert dotted(number) == text
