"""Where the broker is, and how it is spoken to: the part of the settings that a client has too.

In a file of its own, so that a client doesn't load what reads settings from files and the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _broker(url: SecretStr) -> SecretStr:
    """The text of the error never holds the URL: it has a password."""
    try:
        parts = urlsplit(url.get_secret_value())
        valid = parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be amqp://user:password@host:port/vhost, or amqps://")
    return url


class Amqp(Group):
    """The broker."""

    url: Annotated[SecretStr, AfterValidator(_broker)] = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """`amqp://` or `amqps://`, with user and password; a secret, so best given as a credential."""
    heartbeat_s: int = Field(default=10, ge=2, le=60)
    """Seconds. Short, because a half-open connection is noticed only after about three of them."""
    reconnect_s: float = Field(default=2.0, gt=0, le=60)
    """Seconds between attempts, on average: each agent takes a random part, so a fleet doesn't stampede."""
    ca_file: Path | None = None
    """CA certificates for `amqps://`; default the system's."""
    cert_file: Path | None = None
    """Client certificate."""
    key_file: Path | None = None
    """Its key."""
