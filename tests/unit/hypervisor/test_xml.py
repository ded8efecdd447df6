"""Typed XML: what a declaration means, and which declarations are refused."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest

from agent.hypervisor.xml import ON_OFF, YES_NO, At, BadXml, Element, Namespace, legal, parse


class Wheel(Element):
    tag: ClassVar[str] = "wheel"
    kind: Annotated[Literal["steel"], At("@kind")] = "steel"
    size: Annotated[int, At(".")]


class Rubber(Element):
    tag: ClassVar[str] = "wheel"
    kind: Annotated[Literal["rubber"], At("@kind")] = "rubber"


class Car(Element):
    tag: ClassVar[str] = "car"
    wheels: Annotated[tuple[Wheel | Rubber, ...], At("wheels")] = ()
    spare: Annotated[Wheel | None, At("boot/floor")] = None
    fuel: Annotated[int | None, At("tank/fuel", unit="l")] = None
    open: Annotated[bool, At("boot/open")] = False
    lights: Annotated[bool | None, At("lights/@state", ON_OFF)] = None
    sold: Annotated[bool | None, At("sold", YES_NO)] = None
    note: Annotated[str | None, At("note")] = None


class Stamp(Element):
    tag: ClassVar[str] = "stamp"
    namespace: ClassVar[Namespace | None] = Namespace("s", "urn:stamp")
    value: Annotated[str, At("deep/value")]


class Letter(Element):
    tag: ClassVar[str] = "letter"
    stamp: Annotated[Stamp | None, At("corner")] = None


FULL = Car(
    wheels=(Rubber(), Wheel(size=15), Rubber()),
    spare=Wheel(size=14),
    fuel=30,
    open=True,
    lights=False,
    sold=True,
    note="",
)


def test_an_element_reads_back_with_its_variants_in_order() -> None:
    assert Car.from_xml(FULL.to_xml()) == FULL


def test_what_is_absent_isnt_written() -> None:
    assert Car().to_xml() == "<car/>\n"


def test_fields_with_a_common_path_share_its_elements() -> None:
    assert FULL.to_xml().count("<boot>") == 1


def test_a_bool_is_spelled_as_its_words_or_by_its_presence() -> None:
    text = FULL.to_xml()
    assert '<lights state="off"/>' in text
    assert "<sold>yes</sold>" in text
    assert "<open/>" in text


def test_absence_reads_as_false_even_where_true_is_the_default() -> None:
    class Door(Element):
        tag: ClassVar[str] = "door"
        lock: Annotated[bool, At("lock")] = True

    assert Door.from_xml("<door/>").lock is False


def test_an_empty_text_isnt_an_absent_one() -> None:
    assert Car.from_xml("<car><note/></car>").note == ""
    assert Car.from_xml("<car/>").note is None


def test_a_unit_is_written_and_another_one_isnt_read() -> None:
    assert '<fuel unit="l">30</fuel>' in FULL.to_xml()
    assert Car.from_xml("<car><tank><fuel>30</fuel></tank></car>").fuel == 30
    with pytest.raises(BadXml, match="gal"):
        Car.from_xml('<car><tank><fuel unit="gal">30</fuel></tank></car>')


def test_each_child_is_read_as_the_first_variant_that_fits() -> None:
    class Thing(Element):
        tag: ClassVar[str] = "wheel"

    class Heap(Element):
        tag: ClassVar[str] = "heap"
        things: Annotated[tuple[Rubber | Thing, ...], At(".")] = ()

    heap = Heap.from_xml('<heap><wheel kind="rubber"/><wheel kind="wood"/><axle/></heap>')
    assert heap.things == (Rubber(), Thing())


def test_a_value_that_doesnt_fit_is_refused() -> None:
    with pytest.raises(BadXml):
        Car.from_xml("<car><wheels><wheel kind='steel'>round</wheel></wheels></car>")


def test_a_namespace_covers_all_that_is_below() -> None:
    text = Letter(stamp=Stamp(value="1")).to_xml()
    assert '<s:stamp xmlns:s="urn:stamp">' in text
    assert "<s:value>1</s:value>" in text
    assert Letter.from_xml(text) == Letter(stamp=Stamp(value="1"))
    assert (
        Letter.from_xml("<letter><corner><stamp><deep><value>1</value></deep></stamp></corner></letter>").stamp
        is None
    )


def test_hostile_text_is_escaped_and_comes_back() -> None:
    hostile = "</note><evil a='1'/>&amp;\"\t\r\n]]>"
    text = Car(note=hostile).to_xml()
    assert "<evil" not in text
    assert Car.from_xml(text).note == hostile


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cant_hold_is_refused_and_can_be_replaced(bad: str) -> None:
    assert legal(bad) != bad
    assert legal(f"a{bad}b") == "a\ufffdb"
    with pytest.raises(ValueError, match=r".+"):
        Car(note=bad).to_xml()


@pytest.mark.parametrize("text", ["", "<a", "no", "<a>\ud800</a>", "<a>\x00</a>"])
def test_what_isnt_xml_is_refused(text: str) -> None:
    with pytest.raises(BadXml):
        parse(text)


def test_a_document_type_is_refused_so_that_no_entity_is_ever_read() -> None:
    with pytest.raises(BadXml, match="document type"):
        parse('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>')


def test_a_declared_encoding_doesnt_matter_once_it_is_text() -> None:
    assert parse("<?xml version='1.0' encoding='latin-1'?><a>é</a>").text == "é"


def test_a_field_without_a_place_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match=r"Bad\.x"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: str


def test_a_path_that_isnt_one_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match=r"Bad\.x"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: Annotated[str, At("a//b")]


def test_a_presence_on_an_attribute_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match="attribute"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: Annotated[bool, At("@x")]


def test_a_default_that_absence_would_overwrite_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match="None as its default"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: Annotated[str | None, At("@x")] = "y"


def test_a_tuple_of_texts_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match="holds elements"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: Annotated[tuple[str, ...], At("x")] = ()


def test_a_tuple_that_must_be_given_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(TypeError, match=r"\(\) as its default"):

        class Bad(Element):
            tag: ClassVar[str] = "bad"
            x: Annotated[tuple[Wheel, ...], At("x")]
