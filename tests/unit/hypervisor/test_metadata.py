"""What the agent remembers in its domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.hypervisor import metadata
from agent.hypervisor.metadata import Metadata, describe, parse, restamp, with_volume, without_volume
from agent.hypervisor.ports import Guest
from agent.hypervisor.xml import BadXml
from agent.secret import MASK, Secret
from agent.spec import (
    DiskBus,
    DiskFormat,
    FileBacking,
    InstanceSpec,
    NbdVolume,
    PluggedDisk,
    VolumeConnection,
)

HOSTILE = "]]></agent:spec><x/>\"'&\x00\x1b\ufffe\U0001f600"


def guest(**more: Any) -> Guest:
    spec = InstanceSpec.model_validate(
        {
            "uuid": UUID(int=1),
            "name": "one",
            "vcpus": 1,
            "memory_mb": 1,
            "metadata": {"note": HOSTILE},
            "config_drive": {"admin_pass": Secret("hidden")},
            "owner": {"project_id": "p", "user_id": "u"},
        }
    )
    backing = FileBacking(path=Path("/f"), format=DiskFormat.RAW)
    disks = tuple(
        PluggedDisk(id=name, bus=DiskBus.VIRTIO, backing=backing, removable=name == "vol")
        for name in ("root", "vol")
    )
    facts: dict[str, Any] = {"spec": spec, "disks": disks, "generation": 4, "request_id": "r", "operation_id": "o"}
    return Guest.model_validate(facts | more)


def in_domain(element: str) -> str:
    return f"<domain><name>x</name><metadata><other xmlns='urn:o'/>{element}</metadata></domain>"


def test_what_is_written_into_a_domain_is_read_from_it() -> None:
    made = describe(guest(), "h1", "1.2")
    assert parse(in_domain(made.to_xml())) == made
    assert (made.host, made.version, made.generation, made.request_id, made.operation_id) == (
        "h1",
        "1.2",
        4,
        "r",
        "o",
    )
    assert (made.project_id, made.user_id) == ("p", "u")


def test_only_disks_that_live_with_the_instance_are_fixed() -> None:
    assert [disk.id for disk in describe(guest(), "h1", None).fixed_disks] == ["root"]


def test_the_spec_comes_back_whatever_characters_it_holds() -> None:
    known = parse(in_domain(describe(guest(), "h1", None).to_xml()))
    assert known is not None
    spec = known.spec()
    assert spec is not None
    assert spec.metadata == {"note": HOSTILE}


def test_secrets_are_stars() -> None:
    text = describe(guest(), "h1", None).to_xml()
    assert "hidden" not in text
    assert MASK in text


def test_a_domain_without_our_element_isnt_ours() -> None:
    assert parse("<domain><name>x</name></domain>") is None
    assert parse(in_domain("<instance xmlns='urn:somebody-else'><generation>1</generation></instance>")) is None
    assert parse(in_domain("<instance><generation>1</generation></instance>")) is None


def test_an_element_deep_inside_doesnt_make_a_domain_ours() -> None:
    element = describe(guest(), "h1", None).to_xml()
    assert parse(f"<domain><devices><metadata>{element}</metadata></devices></domain>") is None


def test_of_an_element_that_cant_be_read_the_host_stays_known() -> None:
    element = describe(guest(), "h1", None).to_xml()
    assert parse(in_domain(element.replace(">4<", ">four<"))) == Metadata(host="h1")


@pytest.mark.parametrize(("named", "ours"), [("h1", True), ("h2", False), ("H1", False), (None, True)])
def test_a_domain_is_ours_that_names_our_host_or_none(named: str | None, ours: bool) -> None:
    about = parse(in_domain(Metadata(host=named).to_xml()))
    assert about is not None
    assert about.is_of("h1") is ours


def test_the_next_stamp_names_the_host_of_a_guest_that_named_none() -> None:
    before = describe(guest(), "h1", None).model_copy(update={"host": None})
    stamped = parse(restamp(before.bare(), "h1", 9, "r2"))
    assert stamped == before.model_copy(update={"host": "h1", "generation": 9, "request_id": "r2"})


def test_a_spec_of_another_version_isnt_read_but_the_rest_is() -> None:
    element = describe(guest(), "h1", None).model_copy(update={"spec_json": '{"later": 1}'}).to_xml()
    known = parse(in_domain(element))
    assert known is not None
    assert known.spec() is None
    assert known.generation == 4


def test_the_bare_element_is_the_same_without_its_namespace() -> None:
    made = describe(guest(), "h1", None)
    assert made.bare().startswith("<instance>")
    assert "xmlns" not in made.bare()
    assert parse(made.bare()) == made


def test_restamping_changes_the_generation_and_the_request_alone() -> None:
    made = describe(guest(), "h1", "1")
    assert parse(restamp(made.bare(), "h1", 9, "r2")) == made.model_copy(
        update={"generation": 9, "request_id": "r2"}
    )
    assert parse(restamp(made.to_xml(), "h1", 9, None)) == made.model_copy(
        update={"generation": 9, "request_id": None}
    )


def test_a_volume_is_noted_once_and_forgotten_alone() -> None:
    made = describe(guest(), "h1", "1")
    first, second = (
        VolumeConnection(volume_id=name, target=NbdVolume(export=HOSTILE), auth_password=Secret("hidden"))
        for name in ("one", "two")
    )
    text = made.bare()
    for connection in (first, second, first):
        text = with_volume(text, connection)
    assert "hidden" not in text
    known = parse(text)
    assert known is not None
    masked = {"auth_password": Secret(MASK)}
    assert set(known.connections()) == {first.model_copy(update=masked), second.model_copy(update=masked)}
    left = parse(without_volume(without_volume(text, "one"), "one"))
    assert left is not None
    assert [volume.volume_id for volume in left.connections()] == ["two"]
    assert left.model_copy(update={"volumes": ()}) == made


def test_a_volume_that_a_later_agent_noted_is_passed_over() -> None:
    text = with_volume(
        describe(guest(), "h1", "1").bare(), VolumeConnection(volume_id="v", target=NbdVolume(host="h"))
    )
    known = parse(text.replace('"nbd"', '"quantum"'))
    assert known is not None
    assert known.connections() == ()


def test_what_isnt_our_element_cant_be_restamped() -> None:
    for text in ("<domain/>", "<x/>", "no"):
        with pytest.raises(BadXml):
            restamp(text, "h1", 1, None)


def test_an_identifier_that_xml_cant_hold_is_made_to_fit() -> None:
    made = describe(guest(request_id="a\x00b", operation_id="\ud800"), "h1", None)
    known = parse(in_domain(made.to_xml()))
    assert known is not None
    assert (known.request_id, known.operation_id) == ("a\ufffdb", "\ufffd")


def test_our_namespace_stays_what_it_is() -> None:
    # Domains on hosts carry it: another one would make them strangers.
    assert metadata.NAMESPACE == ("agent", "urn:compute-agent:instance:1")
