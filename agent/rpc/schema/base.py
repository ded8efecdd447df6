"""What all messages share: strictness and the field types that occur everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from agent.secret import Secret as SecretText

# One line of printable text. It becomes XML, file names and log lines: control characters have no place there.
Text = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f\ufffe\uffff]*$")]
# libvirt's domain name, also part of a path. Letters, digits, dot, dash, underscore.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# An identifier that becomes a libvirt alias and a file name.
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
# What Linux allows as the name of a network device.
DeviceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
MacAddress = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$")]
Mib = Annotated[int, Field(ge=1, le=64 * 1024 * 1024, description="MiB")]
Secret = Annotated[SecretText, Field(description="Never shown, logged or put into events")]

__all__ = [
    "UUID",
    "DeviceName",
    "Identifier",
    "MacAddress",
    "Message",
    "Mib",
    "Name",
    "Params",
    "Read",
    "Secret",
    "Text",
    "datetime",
]


class Message(BaseModel):
    """Unknown fields are refused, so that a typo is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Params(Message):
    """Arguments of a changing method."""

    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Identity of the request; takes the place of the message's `message_id`."""
    if_generation: int | None = Field(default=None, ge=0, le=2**63 - 1)
    """Refuse with `conflict` when the instance's generation is another by now."""
    not_after: AwareDatetime | None = None
    """Nothing is begun after this time (`expired`)."""


class InstanceParams(Params):
    """Arguments of a changing method on an instance that is there."""

    instance_uuid: UUID
    """The instance."""


class Read(Message):
    """Arguments of a read-only method."""
