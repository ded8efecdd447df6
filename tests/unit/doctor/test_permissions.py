"""Who may pass where: judged from owners and modes, for users that needn't be us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.doctor.permissions import ROOT, User, closed_to, own, user_of

STRANGER = User(64055, frozenset({64055}))


def test_who_qemu_runs_as_is_in_libvirts_capabilities() -> None:
    label = "<baselabel type='kvm'>+64055:+109</baselabel>"
    text = (
        "<capabilities><host><secmodel><model>apparmor</model></secmodel>"
        f"<secmodel><model>dac</model>{label}</secmodel></host></capabilities>"
    )
    user = user_of(text)
    assert user is not None
    assert user.uid == 64055
    assert 109 in user.gids
    assert user_of("<capabilities><host/></capabilities>") is None


def test_a_directory_on_the_way_that_is_closed_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "instances"
    inner.mkdir(parents=True)
    for path in (inner, inner.parent):
        path.chmod(0o711)
    before = [path for path in closed_to(STRANGER, inner) if path.is_relative_to(tmp_path / "closed")]
    assert before == []
    inner.parent.chmod(0o700)
    assert inner.parent in list(closed_to(STRANGER, inner))
    assert list(closed_to(User(ROOT, frozenset()), inner)) == []


@pytest.mark.parametrize(
    ("mode", "user", "may"),
    [
        (0o711, User(1, frozenset()), True),
        (0o710, User(1, frozenset()), False),
        (0o710, User(1, frozenset({20})), True),
        (0o701, User(1, frozenset({20})), False),
        (0o100, User(10, frozenset()), True),
        (0o011, User(10, frozenset({20})), False),
    ],
)
def test_owner_group_and_others_are_told_apart_as_the_kernel_does(mode: int, user: User, may: bool) -> None:
    about = os.stat_result((0o040000 | mode, 0, 0, 1, 10, 20, 0, 0, 0, 0))
    assert user.may(about, 1) is may


def test_a_key_that_others_may_read_is_told(tmp_path: Path) -> None:
    key = tmp_path / "journal.key"
    key.touch(mode=0o600)
    assert list(own(tmp_path)) == []
    key.chmod(0o640)
    (finding,) = own(tmp_path)
    assert finding.mend == f"chmod 600 {key}"
