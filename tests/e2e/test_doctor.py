"""`agent-cli doctor` beside a real agent: each kind of orphan is told and removed, and nobody else's thing is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.hypervisor.metadata import Metadata
from agent.hypervisor.owners import tag
from agent.spec import InstanceSpec
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.e2e.test_command_line import agent_cli
from tests.e2e.test_daemon import instance
from tests.rig import Rig

CONFLICT, NOT_FOUND, USAGE = 12, 11, 2


def told(agent: Daemon, check: str = "orphans") -> list[dict[str, Any]]:
    done = agent_cli(agent, "doctor", "--json")
    assert done.returncode in (0, 19, 20), done.stderr
    return [line for line in json.loads(done.stdout)["checks"] if line["check"] == check]


def orphans(agent: Daemon) -> set[str]:
    """As the report says they can be removed."""
    lines = told(agent)
    assert all(line["verdict"] in ("ok", "warning") for line in lines), lines
    return {line["mend"].rpartition(" ")[2] for line in lines if line["mend"]}


def remove(agent: Daemon, name: str) -> None:
    done = agent_cli(agent, "doctor", "--remove", name, "--yes")
    assert done.returncode == 0, done.stderr


def refused(agent: Daemon, name: str) -> int:
    return agent_cli(agent, "doctor", "--remove", name, "--yes").returncode


@contextmanager
def stopped(agent: Daemon) -> Iterator[None]:
    agent.stop()
    try:
        yield
    finally:
        agent.start()


def directory_of(agent: Daemon, uuid: UUID, *names: str) -> Path:
    directory = agent.state_dir / "instances" / str(uuid)
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_bytes(b"x")
    return directory


async def spawned(client: PlainClient) -> UUID:
    args = instance(name=f"vm-{uuid4().hex[:8]}")
    await client.call("spawn", args, timeout=120)
    return UUID(args["instance"]["uuid"])


# --- on the fake hypervisor ---


async def test_a_well_agent_has_no_orphans_and_none_of_its_things_can_be_removed(
    fake_agent: Daemon, client: PlainClient
) -> None:
    uuid = await spawned(client)
    assert orphans(fake_agent) == set()
    assert refused(fake_agent, f"domain:{uuid}") == CONFLICT
    assert refused(fake_agent, f"directory:{uuid}") == CONFLICT
    assert refused(fake_agent, f"domain:{uuid4()}") == NOT_FOUND
    assert uuid in FakeWorld(fake_agent.state_dir).domains()
    # It is asked for five seconds, which may be too few on a busy box.
    answers = (told(fake_agent, "agent") for _ in range(10))
    assert any([line["verdict"] for line in lines] == ["ok"] for lines in answers)


@pytest.mark.parametrize("running", [True, False])
async def test_what_a_fake_world_has_left_over_is_told_and_removed(
    fake_agent: Daemon, client: PlainClient, running: bool
) -> None:
    guest, ghost = await spawned(client), await spawned(client)
    world = FakeWorld(fake_agent.state_dir)
    was = world.domains()[ghost].spec
    assert was is not None
    await client.call("destroy", {"instance_uuid": str(ghost)})
    world.make_of(was, fake_agent.host)
    world.make_of(InstanceSpec(uuid=uuid4(), name="others", vcpus=1, memory_mb=1), "another-host")
    world.make_foreign(uuid4(), "nobodys")
    lost = uuid4()
    directory_of(fake_agent, lost, "root.qcow2")
    directory_of(fake_agent, guest, "new.qcow2.part")
    tap = fake_agent.state_dir / "world" / "taps" / "tapleft"
    tap.write_text(json.dumps({"instance": str(lost), "bridge": "br0"}))
    bystanders = world.domains().keys() - {ghost}

    def all_told_and_removed() -> None:
        found = {f"domain:{ghost}", f"directory:{lost}", f"file:{guest}/new.qcow2.part", "tap:tapleft"}
        assert orphans(fake_agent) == found
        for name in sorted(found):
            remove(fake_agent, name)
            assert refused(fake_agent, name) == NOT_FOUND
        assert orphans(fake_agent) == set()

    if running:
        all_told_and_removed()
    else:
        with stopped(fake_agent):
            all_told_and_removed()
    assert world.domains().keys() == bystanders
    assert directory_of(fake_agent, guest).is_dir()
    assert not tap.exists()


async def test_what_an_operation_is_at_is_no_orphan(fake_agent: Daemon, client: PlainClient) -> None:
    world = FakeWorld(fake_agent.state_dir)
    world.faults.add(Fault(call="disks.create", hang=True))
    args = instance(disks=[{"kind": "blank", "id": "d", "size_mb": 1}])
    await client.cast("spawn", args)
    await client.event("compute.instance.spawn.start")
    uuid = UUID(args["instance"]["uuid"])
    directory_of(fake_agent, uuid, "d.qcow2.part")
    assert orphans(fake_agent) == set()
    assert refused(fake_agent, f"directory:{uuid}") == CONFLICT
    fake_agent.kill()
    assert orphans(fake_agent) == set()
    assert refused(fake_agent, f"directory:{uuid}") == CONFLICT


@pytest.mark.parametrize("running", [True, False])
async def test_under_another_host_name_than_the_journals_nothing_is_an_orphan(
    fake_agent: Daemon, client: PlainClient, running: bool
) -> None:
    left = directory_of(fake_agent, await spawned(client), "console.log")
    if not running:
        fake_agent.stop()
    fake_agent.environment["COMPUTE_AGENT_HOST"] = "another-host"
    (line,) = told(fake_agent)
    assert line["verdict"] == "not checked"
    assert fake_agent.host in line["says"]
    assert refused(fake_agent, f"directory:{left.name}") == USAGE
    assert left.is_dir()


async def test_after_the_loss_of_the_journal_no_guest_is_an_orphan(
    fake_agent: Daemon, client: PlainClient
) -> None:
    uuid = await spawned(client)
    with stopped(fake_agent):
        for file in fake_agent.state_dir.glob("journal.db*"):
            file.unlink()
        (line,) = told(fake_agent)
        assert line["verdict"] == "not checked"
        assert refused(fake_agent, f"domain:{uuid}") == USAGE
    assert orphans(fake_agent) == set()
    assert uuid in FakeWorld(fake_agent.state_dir).domains()


async def test_a_guest_that_came_while_no_agent_ran_is_an_orphan_until_one_takes_it_up(
    fake_agent: Daemon, client: PlainClient
) -> None:
    await spawned(client)
    new = InstanceSpec(uuid=uuid4(), name="new", vcpus=1, memory_mb=1)
    with stopped(fake_agent):
        FakeWorld(fake_agent.state_dir).make_of(new, fake_agent.host)
        assert orphans(fake_agent) == {f"domain:{new.uuid}"}
    assert orphans(fake_agent) == set()
    assert refused(fake_agent, f"domain:{new.uuid}") == CONFLICT


async def test_without_a_person_or_yes_nothing_is_removed(fake_agent: Daemon) -> None:
    lost = directory_of(fake_agent, uuid4())
    done = agent_cli(fake_agent, "doctor", "--remove", f"directory:{lost.name}")
    assert done.returncode == USAGE
    assert "--yes" in done.stderr
    assert lost.is_dir()


async def test_an_agent_that_hangs_is_told_by_the_doctor(fake_agent: Daemon) -> None:
    os.kill(fake_agent.pid, signal.SIGSTOP)
    try:
        (line,) = told(fake_agent, "agent")
    finally:
        os.kill(fake_agent.pid, signal.SIGCONT)
    assert line["verdict"] == "broken"
    assert "doesn't answer" in line["says"]


# --- on libvirt ---


class Hands:
    """What others make on this host, and takes it away again."""

    def __init__(self, rig: Rig, place: Path) -> None:
        self._rig = rig
        self._place = place
        self._taps: list[str] = []

    def domain(self, uuid: UUID, about: str = "", disk: Path | None = None) -> None:
        source = f"<disk type='file'><source file='{disk}'/><target dev='vda'/></disk>" if disk else ""
        self.define(
            f"<domain type='qemu'><name>d-{uuid}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>{about}"
            f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{source}</devices></domain>"
        )

    def define(self, text: str) -> None:
        self.virsh("define", self._written(text))

    def secret(self, usage: str) -> str:
        uuid = str(uuid4())
        text = f"<secret><uuid>{uuid}</uuid><usage type='volume'><volume>{usage}</volume></usage></secret>"
        self.virsh("secret-define", self._written(text))
        return uuid

    def secrets(self) -> set[str]:
        return {line.split()[0] for line in self.virsh("secret-list").splitlines() if line.strip()}

    def tap(self, name: str, alias: str | None) -> None:
        subprocess.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"], check=True)
        self._taps.append(name)
        if alias is not None:
            subprocess.run(["ip", "link", "set", "dev", name, "alias", alias], check=True)

    def virsh(self, *arguments: str) -> str:
        return self._rig.libvirtd.virsh(*arguments)

    def _written(self, text: str) -> str:
        file = self._place / f"{uuid4()}.xml"
        file.write_text(text)
        return str(file)

    def clean(self) -> None:
        for tap in self._taps:
            subprocess.run(["ip", "link", "delete", tap], check=False, capture_output=True)
        for secret in self.secrets():
            self.virsh("secret-undefine", secret)
        for uuid in self.virsh("list", "--all", "--uuid").split():
            if uuid not in self.virsh("list", "--uuid").split():
                self.virsh("undefine", uuid)


@pytest.fixture
def hands(rig: Rig, tmp_path: Path) -> Iterator[Hands]:
    made = Hands(rig, tmp_path)
    yield made
    made.clean()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("running", [True, False])
async def test_what_a_real_host_has_left_over_is_told_and_removed_and_bystanders_stay(
    agent: Daemon, client: PlainClient, hands: Hands, running: bool
) -> None:
    guest, ghost, lost, used = await spawned(client), await spawned(client), uuid4(), uuid4()
    was = hands.virsh("dumpxml", "--inactive", str(ghost))
    await client.call("destroy", {"instance_uuid": str(ghost)})
    hands.define(was)
    directory_of(agent, lost, "root.qcow2", "root.base")
    directory_of(agent, guest, "new.qcow2.part")
    short = str(lost)[:8]
    hands.tap(f"tap{short}", tag(agent.host, lost))
    secret = hands.secret(f"{tag(agent.host, lost)}/volume-1")
    # Bystanders: of nobody, of another host, in use.
    foreign, anothers = uuid4(), uuid4()
    kept = directory_of(agent, used, "root.qcow2")
    hands.domain(foreign, disk=kept / "root.qcow2")
    hands.domain(anothers, f"<metadata>{Metadata(host='another-host').to_xml()}</metadata>")
    hands.tap(f"tbp{short}", None)
    hands.tap(f"tbq{short}", tag("another-host", lost))
    others = {hands.secret(tag("another-host", lost)), hands.secret("somebody's")}
    notes = agent.state_dir / "instances" / "notes"
    notes.mkdir(exist_ok=True)
    before = [hands.virsh("dumpxml", str(uuid)) for uuid in (guest, foreign, anothers)]

    def all_told_and_removed() -> None:
        found = {
            f"domain:{ghost}",
            f"directory:{lost}",
            f"file:{guest}/new.qcow2.part",
            f"tap:tap{short}",
            f"secret:{secret}",
        }
        assert orphans(agent) == found
        for name in sorted(found):
            remove(agent, name)
        assert orphans(agent) == set()
        assert refused(agent, f"domain:{foreign}") == NOT_FOUND
        assert refused(agent, f"domain:{anothers}") == NOT_FOUND
        assert refused(agent, f"domain:{guest}") == CONFLICT
        assert refused(agent, f"directory:{used}") == CONFLICT
        assert refused(agent, f"tap:tbq{short}") == NOT_FOUND

    if running:
        all_told_and_removed()
    else:
        with stopped(agent):
            all_told_and_removed()
    assert [hands.virsh("dumpxml", str(uuid)) for uuid in (guest, foreign, anothers)] == before
    assert str(ghost) not in hands.virsh("list", "--all", "--uuid")
    assert hands.secrets() == others
    taps = {path.name for path in Path("/sys/class/net").iterdir()}
    assert f"tap{short}" not in taps
    assert {f"tbp{short}", f"tbq{short}"} <= taps
    assert notes.is_dir()
    shutil.rmtree(kept)  # the next test's agent is the same, and its user goes
    await client.call("destroy", {"instance_uuid": str(guest)}, timeout=120)


async def test_the_checks_of_a_well_host_find_nothing_broken(agent: Daemon) -> None:
    done = agent_cli(agent, "doctor", "--json")
    report = json.loads(done.stdout)
    wrong = [line for line in report["checks"] if line["verdict"] in ("broken", "not checked")]
    assert [line["says"] for line in wrong if "how many clients" not in line["says"]] == []
    assert {line["check"] for line in report["checks"]} >= {"settings", "agent", "broker", "libvirt", "orphans"}


async def test_a_directory_that_qemus_user_cant_pass_through_is_told(agent: Daemon) -> None:
    agent.state_dir.chmod(0o700)
    try:
        (line,) = told(agent, "permissions")
    finally:
        agent.state_dir.chmod(0o711)
    assert line["verdict"] == "warning"
    assert line["mend"] == f"chmod o+x {agent.state_dir}"


async def test_a_libvirt_that_doesnt_answer_is_told_and_the_other_checks_are_made(agent: Daemon, rig: Rig) -> None:
    rig.libvirtd.freeze()
    try:
        done = agent_cli(agent, "doctor", "--json")
    finally:
        rig.libvirtd.thaw()
    verdicts = {line["check"]: line["verdict"] for line in json.loads(done.stdout)["checks"]}
    assert done.returncode == 20
    assert verdicts["libvirt"] == "broken"
    assert verdicts["orphans"] == "not checked"
    assert verdicts["programs"] == "ok"
