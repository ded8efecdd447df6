"""Specs to try things on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agent.spec import InstanceSpec

UUID_1 = UUID("6a1c0a4e-7f0b-4c39-9e61-0b1f2f3b8d11")
SHA256 = "sha256:" + "0" * 64


def spec(**more: Any) -> InstanceSpec:
    """A small instance, with whatever is said about it."""
    facts = {"uuid": UUID_1, "name": "web 1", "vcpus": 1, "memory_mb": 64} | more
    return InstanceSpec.model_validate(facts)


def image_disk(disk_id: str = "root", **more: Any) -> dict[str, Any]:
    image = {"url": "https://images.example/a.qcow2", "format": "qcow2", "checksum": SHA256}
    return {"kind": "image", "id": disk_id, "image": image} | more


def volume_disk(volume_id: str = "vol", **more: Any) -> dict[str, Any]:
    target = {"type": "nbd", "host": "127.0.0.1", "port": 1}
    connection = {"volume_id": volume_id, "target": target}
    return {"kind": "volume", "id": volume_id, "connection": connection} | more


def interface(port_id: str = "port-1", **more: Any) -> dict[str, Any]:
    return {"type": "bridge", "bridge": "br0", "port_id": port_id, "mac_address": "52:54:00:00:00:01"} | more
