"""Rules that hold for each Element there is, found by its base: a new one is tested without a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from agent.hypervisor.xml import Element
from tests.xml.elements import elements
from tests.xml.strategies import values


@pytest.mark.parametrize("kind", elements(), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_written_reads_back_the_same(kind: type[Element], data: st.DataObject) -> None:
    made = data.draw(values(kind))
    assert kind.from_xml(made.to_xml()) == made


@pytest.mark.parametrize("kind", elements(), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_a_later_libvirt_adds_is_passed_over(kind: type[Element], data: st.DataObject) -> None:
    made = data.draw(values(kind))
    node = made.to_node()
    node.set("added", "later")
    etree.SubElement(node, "added-later", why="progress")
    assert kind.from_node(node) == made
