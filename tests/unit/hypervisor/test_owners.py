"""Tags of what has no metadata."""

from __future__ import annotations

from uuid import UUID

import pytest

from agent.hypervisor.owners import tag, tagged

UUID_1 = UUID(int=1)


def test_a_tag_names_the_instance_to_its_own_host_alone() -> None:
    mark = tag("h1", UUID_1)
    assert tagged(mark, "h1") == UUID_1
    assert tagged(f"{mark}/volume-7\n", "h1") == UUID_1
    assert tagged(mark, "h2") is None


@pytest.mark.parametrize(
    "text", ["", "compute-agent", "compute-agent/h1", "compute-agent/h1/no", "other/h1/1", "/"]
)
def test_what_isnt_a_tag_names_nothing(text: str) -> None:
    assert tagged(text, "h1") is None
