"""agent-cli as a person runs it, against a real agent with libvirt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]


def agent_cli(agent: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("agent-cli")
    return subprocess.run(
        [program, *arguments], env={**os.environ, **agent.environment}, capture_output=True, text=True, check=False
    )


def test_the_plan_of_each_example_is_xml_that_libvirts_schema_accepts(agent: Daemon, tmp_path: Path) -> None:
    examples = sorted((ROOT / "examples").glob("spawn*"))
    assert examples
    for example in examples:
        done = agent_cli(agent, "plan", "spawn", "-f", str(example))
        assert done.returncode == 0, done.stderr
        plan = tmp_path / f"{example.name}.xml"
        plan.write_text(done.stdout)
        subprocess.run(["virt-xml-validate", plan, "domain"], check=True, capture_output=True)
        assert "define" in done.stderr


def test_what_the_host_lacks_is_told_beside_the_plan(agent: Daemon) -> None:
    done = agent_cli(agent, "plan", "spawn", "-f", str(ROOT / "examples" / "spawn.yaml"))
    assert "instance.disks[0].image.url" in done.stderr
