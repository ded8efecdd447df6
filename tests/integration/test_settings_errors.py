"""Each case runs in a process of its own: settings are read from that process's environment and files."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

READ = """
import json
from agent.settings_errors import SettingsError, read
try:
    print(read().model_dump_json())
except SettingsError as error:
    print(json.dumps(str(error).splitlines()))
"""


def read(env: Mapping[str, str] | None = None) -> list[str] | dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ],
        env={"PATH": os.environ["PATH"], **(env or {})},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    result: list[str] | dict[str, object] = json.loads(done.stdout)
    return result


class Files:
    """A main file and drop-ins in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.main = directory / "agent.toml"
        self.drop_ins = directory / "conf.d"
        self.credentials = directory / "credentials"

    def read(self, main: str, env: Mapping[str, str] | None = None, **drop_ins: str) -> list[str]:
        self.main.write_text(main)
        self.drop_ins.mkdir()
        for name, text in drop_ins.items():
            (self.drop_ins / f"{name}.toml").write_text(text)
        said = read({"COMPUTE_AGENT_CONFIG": str(self.main), **(env or {})})
        assert isinstance(said, list)
        return said


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_state_dir_that_depends_on_where_the_agent_is_started_is_refused() -> None:
    (said,) = read({"COMPUTE_AGENT_STATE_DIR": "state"})
    assert "state_dir" in said
    assert "absolute" in said


def test_good_settings_are_read_from_files_and_environment(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('host = "a"\n[rpc]\ntopic = "t"\nprefetch = 8\n')
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10.toml").write_text("[rpc]\nprefetch = 9\n")
    found = read(
        {
            "COMPUTE_AGENT_CONFIG": str(tmp_path / "agent.toml"),
            "COMPUTE_AGENT_LOG__LEVEL": "debug",
            "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": '["/srv"]',
            "COMPUTE_AGENT_JOURNAL": '{"max_events": 500}',
        }
    )
    assert isinstance(found, dict)
    assert (found["host"], found["rpc"]["topic"], found["rpc"]["prefetch"]) == ("a", "t", 9)  # type: ignore[index]
    assert found["log"]["level"] == "debug"  # type: ignore[index]
    assert found["storage"]["allowed_directories"] == ["/srv"]  # type: ignore[index]
    assert found["journal"]["max_events"] == 500  # type: ignore[index]


def test_an_unknown_key_names_its_file_and_the_nearest_right_name(files: Files) -> None:
    (line,) = files.read("", late="[amqp]\nheartbeat = 5\n")
    assert line == f"{files.drop_ins}/late.toml: amqp.heartbeat: no such setting; did you mean amqp.heartbeat_s?"


def test_an_unknown_table_gets_the_nearest_table(files: Files) -> None:
    (line,) = files.read("[ampq]\nurl = 'amqp://u:hunter2@h'\n")
    assert line == f"{files.main}: ampq: no such setting; did you mean [amqp]?"


def test_a_setting_in_the_wrong_table_is_told_where_it_belongs(files: Files) -> None:
    (line,) = files.read("[log]\nheartbeat_s = 5\n")
    assert line.endswith("log.heartbeat_s: no such setting; did you mean amqp.heartbeat_s?")


def test_a_key_like_nothing_at_all_gets_the_list_of_its_table(files: Files) -> None:
    (line,) = files.read("[log]\nxyzzy = 5\n")
    assert line.endswith("log.xyzzy: no such setting; there are: level, format")


def test_all_problems_are_told_at_once_each_with_its_place(files: Files) -> None:
    lines = files.read("[rpc]\nprefetch = 1\n[log]\nlevel = 'loud'\n", late="[log]\nformat = 3\n")
    assert len(lines) == 3
    assert lines[0] == (
        f"{files.main}: rpc.prefetch: must be greater than or equal to 2, and is 1; "
        "rpc.prefetch is: Deliveries held unacknowledged; each is acknowledged as soon as it is journaled. "
        "(default 64)"
    )
    assert lines[1].startswith(f"{files.main}: log.level: must be 'debug', 'info', 'warning' or 'error'")
    assert lines[2].startswith(f"{files.drop_ins}/late.toml: log.format: must be")


def test_the_environment_is_named_when_it_overrides_a_file(files: Files) -> None:
    (line,) = files.read("[rpc]\nprefetch = 8\n", {"COMPUTE_AGENT_RPC__PREFETCH": "none"})
    assert line.startswith("COMPUTE_AGENT_RPC__PREFETCH: rpc.prefetch: must be a valid integer")


def test_a_plain_value_where_a_table_belongs_is_told(files: Files) -> None:
    (line,) = files.read("amqp = 1\n")
    assert line == f"{files.main}: amqp: must be a table; write [amqp] and its settings below"


def test_an_item_of_a_list_is_found_in_its_file(files: Files) -> None:
    (line,) = files.read("[storage]\nallowed_directories = ['/a', 5]\n")
    assert line.startswith(f"{files.main}: storage.allowed_directories.1: ")


def test_a_secret_is_never_repeated(files: Files) -> None:
    files.credentials.mkdir()
    (files.credentials / "amqp__urll").write_text("amqp://u:hunter2@h\n")
    env = {
        "CREDENTIALS_DIRECTORY": str(files.credentials),
        "COMPUTE_AGENT_AMQP__PASSWORD": "hunter2",
        "COMPUTE_AGENT_AMQPURL": "amqp://u:hunter2@h",
    }
    said = files.read("[amqp]\nurl = ['hunter2']\npasword = 'hunter2'\n", env)
    assert "hunter2" not in "\n".join(said)
    assert any(line.startswith("credential amqp__urll: amqp.urll: no such setting") for line in said)
    assert any(line.startswith(f"{files.main}: amqp.url: must be a valid string") for line in said)
    assert any(line.startswith("COMPUTE_AGENT_AMQPURL: sets nothing") for line in said)


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("COMPUTE_AGENT_AMQPP__URL", "did you mean COMPUTE_AGENT_AMQP__URL?"),
        ("COMPUTE_AGENT_AMQP_URL", "did you mean COMPUTE_AGENT_AMQP__URL?"),
        ("COMPUTE_AGENT_AMQP__URLL", "did you mean COMPUTE_AGENT_AMQP__URL?"),
        ("compute_agent_hots", "did you mean COMPUTE_AGENT_HOST?"),
    ],
)
def test_a_variable_that_sets_nothing_is_refused_once_with_the_nearest_name(name: str, mend: str) -> None:
    assert read({name: "x"}) == [f"{name}: sets nothing; {mend}"]


def test_names_in_the_environment_may_be_written_small() -> None:
    found = read({"compute_agent_host": "a"})
    assert isinstance(found, dict)
    assert found["host"] == "a"


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES", 'such as ["/srv/images"]'),
        ("COMPUTE_AGENT_STORAGE", "or set COMPUTE_AGENT_STORAGE__..., one by one"),
    ],
)
def test_a_list_or_table_in_the_environment_must_be_json(name: str, mend: str) -> None:
    assert read({name: "/a:/b"}) == [f"{name}: must be JSON; {mend}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [("host = 'a'\n\n[amqp\nurl = 1\n", 3), ("host = 'a'\nhost = 'b'\n", 2), ("[amqp]\nurl = ", 2)],
)
def test_broken_toml_names_file_and_line(files: Files, text: str, line: int) -> None:
    (said,) = files.read("", broken=text)
    assert said.startswith(f"{files.drop_ins}/broken.toml:{line}: ")
    assert said.endswith("; mend the TOML")


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_bytes(b"host = '\xff'\n")
    assert read({"COMPUTE_AGENT_CONFIG": str(tmp_path / "agent.toml")}) == [
        f"{tmp_path}/agent.toml: isn't UTF-8 text"
    ]


def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    said = read({"COMPUTE_AGENT_CONFIG": str(tmp_path / "none.toml")})
    assert said == [f"{tmp_path}/none.toml: can't be read: No such file or directory"]


@pytest.mark.parametrize(
    "url", ["hunter2", "", "http://u:hunter2@h", "amqp://", "amqp://u:hunter2@h:port/", "amqp://[h"]
)
def test_a_broker_that_is_no_amqp_url_is_refused_and_not_repeated(url: str) -> None:
    (said,) = read({"COMPUTE_AGENT_AMQP__URL": url})
    assert said.startswith(
        "COMPUTE_AGENT_AMQP__URL: amqp.url: must be amqp://user:password@host:port/vhost, or amqps://"
    )
    assert "hunter2" not in said


def test_a_credential_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "amqp__heartbeat_s").write_text("7\n")
    found = read({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert isinstance(found, dict)
    assert found["amqp"]["heartbeat_s"] == 7  # type: ignore[index]
