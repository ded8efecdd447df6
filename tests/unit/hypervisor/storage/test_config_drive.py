from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from agent.hypervisor.storage.config_drive import host_name, tree, write
from agent.spec import InstanceSpec
from tests.unit.hypervisor.storage.specs import UUID_1, interface, spec

PASSWORD = "tr0ub4dor & Ümläut"
SCRIPT = "#!/bin/sh\necho ready\n"


def full() -> InstanceSpec:
    drive = {
        "hostname": "web-1.example",
        "meta": {"role": "web"},
        "user_data": SCRIPT,
        "admin_pass": PASSWORD,
        "public_keys": {"me": "ssh-ed25519 AAAA me"},
        "files": [
            {"path": "/etc/motd", "content": base64.b64encode(b"hello").decode()},
            {"path": "/etc/empty", "content": ""},
        ],
    }
    return spec(config_drive=drive, interfaces=[interface()], owner={"project_id": "p1"})


def meta(made: InstanceSpec) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(tree(made, b"seed")["openstack/latest/meta_data.json"])
    return data


def test_the_meta_data_says_all_that_was_asked() -> None:
    assert meta(full()) == {
        "uuid": str(UUID_1),
        "name": "web 1",
        "hostname": "web-1.example",
        "launch_index": 0,
        "meta": {"role": "web"},
        "random_seed": base64.b64encode(b"seed").decode(),
        "public_keys": {"me": "ssh-ed25519 AAAA me"},
        "keys": [{"name": "me", "type": "ssh", "data": "ssh-ed25519 AAAA me"}],
        "files": [
            {"path": "/etc/motd", "content_path": "/content/0000"},
            {"path": "/etc/empty", "content_path": "/content/0001"},
        ],
        "project_id": "p1",
        "admin_pass": PASSWORD,
    }


def test_what_wasnt_asked_isnt_there() -> None:
    made = spec(config_drive={})
    assert not {"admin_pass", "project_id"} & meta(made).keys()
    assert "openstack/latest/user_data" not in tree(made, b"")


def test_the_dated_version_says_the_same_as_the_latest() -> None:
    files = tree(full(), b"seed")
    latest = {name.rpartition("/")[2]: data for name, data in files.items() if "/latest/" in name}
    dated = {name.rpartition("/")[2]: data for name, data in files.items() if "/2018-08-27/" in name}
    assert latest == dated
    assert set(latest) == {"meta_data.json", "network_data.json", "user_data", "vendor_data.json"}


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("web 1", "web-1"),
        ("-.x.-", "x"),
        ("ünïcode", "n-code"),
        ("!!!", f"host-{UUID_1}"),
        ("a" * 62 + "-" * 5 + "b", "a" * 62),
    ],
)
def test_a_host_name_is_made_of_the_instances_name(name: str, host: str) -> None:
    assert host_name(spec(name=name)) == host


def read_back(path: Path, **names: str) -> dict[str, bytes]:
    """All files of an ISO, by `rr_path` or `joliet_path`."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    kind = next(iter(names))
    found = {}
    for directory, _, files in iso.walk(**names):
        for name in files:
            full_name = f"{directory.rstrip('/')}/{name}"
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{kind: full_name})
            found[full_name.lstrip("/")] = content.getvalue()
    iso.close()
    return found


@pytest.mark.parametrize("names", [{"rr_path": "/"}, {"joliet_path": "/"}])
def test_the_drive_holds_the_tree_under_its_real_names(tmp_path: Path, names: dict[str, str]) -> None:
    write(full(), tmp_path / "config.iso")
    found = read_back(tmp_path / "config.iso", **names)
    expected = tree(full(), b"")
    assert found.keys() == expected.keys()
    random = {name for name in expected if name.endswith("meta_data.json")}
    assert {n: d for n, d in found.items() if n not in random} == {
        n: d for n, d in expected.items() if n not in random
    }
    assert found["openstack/content/0000"] == b"hello"
    assert json.loads(found["openstack/latest/meta_data.json"])["admin_pass"] == PASSWORD


def test_other_programs_see_the_label_and_the_names(tmp_path: Path) -> None:
    path = tmp_path / "config.iso"
    write(full(), path)
    label = subprocess.run(
        ["/sbin/blkid", "-p", "-o", "value", "-s", "LABEL", path], capture_output=True, check=True
    )
    assert label.stdout.strip() == b"config-2"
    listing = subprocess.run(["isoinfo", "-R", "-f", "-i", path], capture_output=True, check=True).stdout.decode()
    assert "/openstack/2018-08-27/network_data.json" in listing.splitlines()


def test_the_drive_is_its_owners_alone_and_two_drives_have_two_seeds(tmp_path: Path) -> None:
    paths = [tmp_path / "a.iso", tmp_path / "b.iso"]
    for path in paths:
        write(full(), path)
        assert path.stat().st_mode & 0o777 == 0o600
    seeds = {
        json.loads(read_back(path, rr_path="/")["openstack/latest/meta_data.json"])["random_seed"]
        for path in paths
    }
    assert len(seeds) == 2


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.iso").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write(full(), tmp_path / "config.iso")
    assert not (tmp_path / "elsewhere").exists()
