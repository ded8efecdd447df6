from __future__ import annotations

from typing import Annotated, ClassVar

import pytest
from pydantic import BaseModel, Field

from agent.docstrings import Described, meaning, meanings


class Disk(BaseModel):
    size_gb: int
    """How large it is.

    In GiB.
    """
    bus: Annotated[str, Field(description="virtio or scsi")] = "virtio"
    """Not read: the field says itself what it means."""
    serial: str = ""
    limit: ClassVar[int] = 3
    """Of no field."""

    class Limits(BaseModel):
        iops: int
        """Requests a second."""


class BootDisk(Disk):
    serial: str = "root"
    order: int = 1
    """When it is tried."""
    limits: Disk.Limits | None = None


class Volume(BootDisk):
    size_gb: int = 0


@pytest.mark.parametrize(
    ("model", "field", "text"),
    [
        pytest.param(Disk, "size_gb", "How large it is.\n\nIn GiB.", id="what is written under it, unindented"),
        pytest.param(Disk, "bus", "virtio or scsi", id="its own description goes first"),
        pytest.param(Disk, "serial", "", id="nothing is written: not what stands further down"),
        pytest.param(Disk.Limits, "iops", "Requests a second.", id="of a class in a class"),
        pytest.param(BootDisk, "size_gb", "How large it is.\n\nIn GiB.", id="inherited"),
        pytest.param(BootDisk, "order", "When it is tried.", id="added to what is inherited"),
        pytest.param(Volume, "size_gb", "", id="declared anew without a text"),
    ],
)
def test_a_field_means_what_is_written_under_it(model: type[BaseModel], field: str, text: str) -> None:
    assert meaning(model, field) == text


def test_texts_that_are_of_no_field_are_left_out() -> None:
    assert set(meanings(Disk)) == {"size_gb", "bus"}


def test_a_json_schema_holds_the_meanings_of_inner_models_too() -> None:
    schema = BootDisk.model_json_schema(schema_generator=Described)

    described = {name: field.get("description") for name, field in schema["properties"].items()}
    assert described == {
        "size_gb": "How large it is.\n\nIn GiB.",
        "bus": "virtio or scsi",
        "serial": None,
        "order": "When it is tried.",
        "limits": None,
    }
    assert schema["$defs"]["Limits"]["properties"]["iops"]["description"] == "Requests a second."


def test_making_a_class_reads_no_source() -> None:
    assert Disk.model_fields["size_gb"].description is None
