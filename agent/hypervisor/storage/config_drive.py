"""The config drive: what the guest is told, on a small ISO file system with the label `config-2`.

The tree is OpenStack's (https://docs.openstack.org/nova/latest/user/metadata.html), so cloud-init and
others read it:

    openstack/latest/meta_data.json      who it is, passwords and keys
    openstack/latest/network_data.json   `network_data`
    openstack/latest/user_data           as it was given; absent when nothing was
    openstack/latest/vendor_data.json    {}
    openstack/2018-08-27/...             the same again, for readers that want a version
    openstack/content/0000               an injected file

ISO 9660 with Joliet and Rock Ridge, so that every system reads the long names. It holds the clear admin
password: mode 0600, and nothing of it goes into errors.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import secrets
from pathlib import Path, PurePosixPath
from typing import Any

from agent.hypervisor.storage.network_data import network_data
from agent.spec import ConfigDrive, InstanceSpec

LABEL = "config-2"
VERSIONS = ("latest", "2018-08-27")
SEED_BYTES = 512


def tree(spec: InstanceSpec, seed: bytes) -> dict[str, bytes]:
    """Every file on the drive by its path. `seed` is randomness for the guest's generator. Pure.

    Raises InvalidRequest for an address that can't be read.
    """
    drive = spec.config_drive or ConfigDrive()
    documents = {
        "meta_data.json": _json(meta_data(spec, drive, seed)),
        "network_data.json": _json(network_data(spec.interfaces)),
        "vendor_data.json": _json({}),
    }
    if drive.user_data is not None:
        documents["user_data"] = drive.user_data.reveal().encode()
    files = {f"openstack/{version}/{name}": data for version in VERSIONS for name, data in documents.items()}
    for place, injected in enumerate(drive.files):
        files[f"openstack{_content_path(place)}"] = injected.data()
    return files


def meta_data(spec: InstanceSpec, drive: ConfigDrive, seed: bytes) -> dict[str, Any]:
    """`meta_data.json`, with the names that nova uses. Pure."""
    data: dict[str, Any] = {
        "uuid": str(spec.uuid),
        "name": spec.name,
        "hostname": drive.hostname or host_name(spec),
        "launch_index": 0,
        "meta": drive.meta,
        "random_seed": base64.b64encode(seed).decode(),
        "public_keys": drive.public_keys,
        "keys": [{"name": name, "type": "ssh", "data": key} for name, key in drive.public_keys.items()],
        "files": [
            {"path": injected.path, "content_path": _content_path(place)}
            for place, injected in enumerate(drive.files)
        ],
    }
    if spec.owner.project_id is not None:
        data["project_id"] = spec.owner.project_id
    if drive.admin_pass is not None:
        data["admin_pass"] = drive.admin_pass.reveal()
    return data


def host_name(spec: InstanceSpec) -> str:
    """A host name out of the instance's name; one without a usable letter gets its uuid's."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", spec.name).strip("-.")[:63].rstrip("-.")
    return name or f"host-{spec.uuid}"


def write(spec: InstanceSpec, path: Path) -> None:
    """Make the drive at `path`, which must not exist. Blocking. Raises InvalidRequest, OSError."""
    # Late: an agent that makes no config drives needn't carry it.
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        files = tree(spec, secrets.token_bytes(SEED_BYTES))
        for directory in _directories(files):
            iso.add_directory(_iso_path(directory), rr_name=directory.name, joliet_path=f"/{directory}")
        for name, data in files.items():
            at = PurePosixPath(name)
            iso.add_fp(
                io.BytesIO(data),
                len(data),
                f"{_iso_path(at)}{'' if at.suffix else '.'};1",
                rr_name=at.name,
                joliet_path=f"/{name}",
            )
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            iso.write_fp(file)
    finally:
        iso.close()


def _directories(files: dict[str, bytes]) -> list[PurePosixPath]:
    """Parents before their children."""
    found = {parent for name in files for parent in PurePosixPath(name).parents if parent.name}
    return sorted(found, key=lambda path: (len(path.parts), path))


def _iso_path(path: PurePosixPath) -> str:
    # Plain ISO 9660 knows capitals, digits and underscores; the real names are in the two extensions.
    return "/" + re.sub(r"[^A-Z0-9_./]", "_", str(path).upper())


def _content_path(place: int) -> str:
    return f"/content/{place:04}"


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()
