"""The documentation says what the code does: made pages are fresh, links lead somewhere, lists are complete."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import errors, operations
from agent.cli import exit_codes
from agent.hypervisor.fake.faults import Fault
from agent.operations.destroy import Destroy
from agent.operations.power import Power
from agent.operations.spawn import Spawn
from agent.power import PowerStates
from agent.rpc.schema import METHODS, document, instance, results
from agent.rpc.schema.base import Message
from agent.rpc.schema.event_types import METHODS_WITH_EVENTS, TYPES
from agent.rpc.schema.words import all_rows, rows
from agent.rpc.validation import validate
from tests.unit.operations.conftest import Inside, spec
from tests.unit.operations.conftest import inside as inside

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCRIPT = "scripts/docs"
METHODS_PAGE = document.methods()


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, root / SCRIPT, *arguments], capture_output=True, text=True)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A copy of the script and the pages it makes."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / SCRIPT, tmp_path / SCRIPT)
    shutil.copytree(ROOT / "docs/reference", tmp_path / "docs/reference")
    return tmp_path


# --- pages made from the code ---


def test_the_pages_in_the_repository_are_the_ones_that_the_code_makes() -> None:
    checked = run(ROOT, "--check")
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


def test_a_page_that_differs_is_named_and_left_alone_by_a_check(elsewhere: Path) -> None:
    page = elsewhere / "docs/reference/methods.md"
    page.write_text("old")
    checked = run(elsewhere, "--check")
    assert checked.returncode == 1
    assert "docs/reference/methods.md" in checked.stdout
    assert page.read_text() == "old"


def test_a_missing_page_is_written(elsewhere: Path) -> None:
    (elsewhere / "docs/reference/events.md").unlink()
    assert run(elsewhere).returncode == 0
    assert run(elsewhere, "--check").returncode == 0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_there_with_each_of_its_arguments(name: str) -> None:
    section = METHODS_PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0]
    own = METHODS[name].params.model_fields.keys() - {"idempotency_key", "if_generation", "not_after"}
    assert {field for field in own if f"| `{field}` |" not in section} == set()


@pytest.mark.parametrize("model", [instance.Instance, instance.ConfigDrive, instance.VolumeData, results.HostInfo])
def test_every_field_of_an_object_is_there(model: type[Message]) -> None:
    section = METHODS_PAGE.split(f"\n### {model.__name__}\n")[1].split("\n### ")[0]
    assert {field for field in model.model_fields if f"| `{field}` |" not in section} == set()


def test_every_table_has_as_many_cells_in_each_line_as_in_its_head() -> None:
    pages = (METHODS_PAGE, document.events(), document.errors(exit_codes.BY_CODE, exit_codes.MEANINGS))
    for block in re.findall(r"(?:^\|.*\n)+", "\n".join(pages), re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_every_error_has_its_line_and_its_exit_code() -> None:
    page = document.errors(exit_codes.BY_CODE, exit_codes.MEANINGS)
    for code, kind in errors.BY_CODE.items():
        assert f"| `{code}` | {'yes' if kind.retryable else 'no'} |" in page
        assert f"| {exit_codes.BY_CODE[code]} |" in page


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        (instance.Instance, "memory_mb", "integer, 16 to 67108864"),
        (instance.Instance, "metadata", "object of text"),
        (instance.ConfigDrive, "admin_pass", "text, secret"),
        (instance.FixedIp, "routes", "list of [Route](#route), at most 64"),
        (instance.DiskBase, "id", "identifier"),
        (instance.DiskBase, "bus", "`virtio` or `scsi` or `sata` or `ide`"),
        (instance.Image, "checksum", "checksum"),
    ],
)
def test_a_type_is_told_in_words(model: type[Message], field: str, words: str) -> None:
    (row,) = (row for row in rows(model) if row.name == field)
    assert row.type == words


# --- the list of events ---


def documented(type_: str) -> set[str]:
    """The fields that the list has for a type as it is sent."""
    for kind in TYPES:
        if re.search(kind.pattern, type_):
            return {row.name for row in all_rows(kind.data)}
    raise AssertionError(f"{type_} isn't documented")


def test_the_methods_that_tell_by_events_are_the_operations_on_instances() -> None:
    assert set(METHODS_WITH_EVENTS) == set(operations.TABLE)


async def test_operations_tell_what_the_list_of_events_says(inside: Inside) -> None:
    asked = spec()
    await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    await inside.do("pause", Power(instance_uuid=asked.uuid))
    inside.world.faults.add(Fault(call="domains.resume", error="operation_failed"))
    await inside.do("resume", Power(instance_uuid=asked.uuid))
    await inside.do("destroy", Destroy(instance_uuid=asked.uuid))
    told = await inside.events()
    assert {type_.rpartition(".")[2] for type_, _ in told} == {"start", "end", "error"}
    for type_, data in told:
        assert data.keys() <= documented(type_), type_
        assert {"operation_id", "generation", "request_id"} <= data.keys(), type_


async def test_power_states_are_told_as_the_list_of_events_says(inside: Inside) -> None:
    async def seen() -> None:
        async for observation in inside.hypervisor.observations():
            await power._take(observation)
            if any(type_ == "compute.instance.power_state" for type_, _ in await inside.events()):
                return

    power = PowerStates(inside.journal, lambda *_: None, inside.hypervisor.domains)
    asked = spec()
    await inside.do("spawn", Spawn(instance_uuid=asked.uuid, spec=asked))
    await seen()
    (data,) = (data for type_, data in await inside.events() if type_ == "compute.instance.power_state")
    assert data.keys() == documented("compute.instance.power_state")


# --- pages written by hand ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(found), f"{page.name}: {target}"


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_requests_in_examples_are_valid_and_other_json_is_json(page: Path) -> None:
    for block in re.findall(r"^```json\n(.*?)^```", page.read_text(), re.M | re.S):
        shown = json.loads(block)
        if isinstance(shown, dict) and "version" in shown:
            validate(METHODS[shown["method"]], shown["args"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_examples_is_python_and_imports_what_is_there(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for line in re.findall(r"^from agent[^(\n]*$", block, re.M):
            exec(line, {})


def test_every_room_of_the_architecture_is_in_the_tree_and_every_room_of_the_tree_in_it() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    block = re.search(r"^## Rooms\n\n```\n(.*?)^```", page, re.M | re.S)
    assert block is not None
    drawn = drawn_paths(block[1])
    assert [path for path in drawn if not list(ROOT.glob(path))] == []
    known = {found for path in drawn for found in ROOT.glob(path)}
    rooms_told = ("agent", "agent/rpc", "agent/hypervisor", "agent/hypervisor/libvirt")
    inside = [path for room in rooms_told for path in (ROOT / room).iterdir()]
    rooms = {path for path in inside if path.name not in ("__init__.py", "__pycache__")}
    assert {str(path.relative_to(ROOT)) for path in rooms - known} == set()


def drawn_paths(block: str) -> list[str]:
    """The names that begin each line, with those of the rooms they are in."""
    found, parents = list[str](), list[tuple[int, str]]()
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        parents = [(depth, name) for depth, name in parents if depth < indent]
        above = "".join(name for _, name in parents)
        names = re.split(r"\s{2,}", line.strip())[0].split(", ")
        found += [above + name for name in names]
        parents.append((indent, names[0]))
    return found


def test_every_test_that_the_page_on_oslo_names_is_there() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (ROOT / "docs/reference/oslo-messaging.md").read_text()))
    there = {
        name
        for path in (ROOT / "tests/oslo").glob("test_*.py")
        for name in re.findall(r"def (test_[a-z0-9_]+)", path.read_text())
    }
    assert named
    assert named <= there
