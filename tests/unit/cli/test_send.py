import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from agent.cli.fields import fields_of
from agent.cli.root import cli
from agent.rpc.schema import METHODS
from agent.rpc.schema import results as answers
from tests.unit.cli.desk import UUID_1, UUID_2, Desk, changed, json_of, listed, write

SMALL = ("--name", "vm1", "--vcpus", "1", "--memory-mb", "128")


def spawned(*options: str, env: dict[str, str | None] | None = None, input: str | None = None) -> dict[str, Any]:
    """The `instance` that a spawn with these options asks for."""
    desk = Desk({"spawn": changed()})
    result = desk.run("send", "spawn", *options, env=env, input=input)
    assert result.exit_code == 0, result.output
    instance: dict[str, Any] = desk.calls[0].args["instance"]
    return instance


def refused(*arguments: str, code: int = 2, input: str | None = None) -> str:
    """What a command that must not reach the agent says."""
    desk = Desk()
    result = desk.run(*arguments, input=input)
    assert (result.exit_code, desk.calls, desk.casts) == (code, [], []), result.output
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("send", "spwn"), "No such command 'spwn': did you mean spawn?"),
        (("send", "atach-volume"), "did you mean attach_volume?"),
        (("plan", "spwan"), "did you mean spawn?"),
        (("opertions",), "did you mean operations?"),
        (("send", "zzz"), "known: spawn, destroy, "),
    ],
)
def test_a_command_that_isnt_there_is_refused_with_the_one_that_was_meant(
    asked: tuple[str, ...], told: str
) -> None:
    assert told in refused(*asked)


def test_a_spawn_from_options_alone() -> None:
    instance = spawned(*SMALL, "--image", "guest.qcow2", "--bridge", "br0", "--uuid", str(UUID_1))
    assert instance == {
        "uuid": str(UUID_1),
        "name": "vm1",
        "vcpus": 1,
        "memory_mb": 128,
        "disks": [{"kind": "image", "image": {"url": str(Path("guest.qcow2").absolute()), "format": "qcow2"}}],
        "interfaces": [{"type": "bridge", "bridge": "br0"}],
    }


def test_a_uuid_is_chosen_and_told_when_none_is_given() -> None:
    desk = Desk({"spawn": changed()})
    result = desk.run("send", "spawn", *SMALL)
    assert f"uuid of the new instance: {desk.calls[0].args['instance']['uuid']}" in result.stderr
    assert desk.calls[0].args["instance"]["uuid"] not in result.stdout


def test_options_stand_above_the_file_and_set_above_both(tmp_path: Path) -> None:
    file = write(
        tmp_path / "spec.yaml",
        "name: from-file\nvcpus: 1\nmemory_mb: 64\nmetadata: {a: file, b: file}\ncpu: {mode: maximum, cores: 1}\n"
        "disks: [{kind: blank, size_mb: 1}, {kind: swap, size_mb: 2}]\n",
    )
    options = ("--vcpus", "2", "--metadata", "b=option", "--cpu", "cores=2", "--disk", "kind=blank,size_mb=3")
    instance = spawned("-f", file, *options, "--set", "memory_mb=96", "--set", "disks.0.size_mb=4")
    assert (instance["name"], instance["vcpus"], instance["memory_mb"]) == ("from-file", 2, 96)
    assert instance["metadata"] == {"a": "file", "b": "option"}
    assert instance["cpu"] == {"mode": "maximum", "cores": 2}
    assert instance["disks"] == [{"kind": "blank", "size_mb": 4}]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_holds_the_arguments_or_the_instance_alone(tmp_path: Path, wrapped: bool) -> None:
    inside = "uuid: 11111111-1111-4111-8111-111111111111\nname: a\nvcpus: 1\nmemory_mb: 64\n"
    text = "instance:\n  " + inside.replace("\n", "\n  ") if wrapped else inside
    desk = Desk({"spawn": changed()})
    assert (
        desk.run("send", "spawn", "-f", write(tmp_path / "a.yaml", text + "\nidempotency_key: k\n")).exit_code == 0
    )
    assert desk.calls[0].args["idempotency_key"] == "k"
    assert desk.calls[0].args["instance"]["uuid"] == str(UUID_1)


def test_a_file_may_come_on_standard_input() -> None:
    assert spawned("-f", "-", input='{"name": "a", "vcpus": 1, "memory_mb": 64}')["name"] == "a"


def test_disks_and_interfaces_come_in_the_order_that_the_help_tells() -> None:
    instance = spawned(
        *SMALL,
        *("--interface", "type=user", "--disk", "kind=swap,size_mb=1", "--network", "default", "--bridge", "br0"),
        *("--volume-file", "v1=/srv/v1.raw", "--image", "/a.qcow2", "--image", "/b.raw,size_mb=9", "--user-net"),
    )
    assert [disk["kind"] for disk in instance["disks"]] == ["image", "image", "volume", "swap"]
    assert [nic["type"] for nic in instance["interfaces"]] == ["bridge", "network", "user", "user"]
    assert instance["disks"][1] == {"kind": "image", "size_mb": 9, "image": {"url": "/b.raw", "format": "raw"}}


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("https://h/a.qcow2", {"url": "https://h/a.qcow2", "format": "qcow2"}),
        ("https://h/a.qcow2?token=x.raw", {"url": "https://h/a.qcow2?token=x.raw", "format": "qcow2"}),
        ("/a.img,format=raw", {"url": "/a.img", "format": "raw"}),
        (
            f"http://h/a.raw,checksum=sha256:{'0' * 64}",
            {"url": "http://h/a.raw", "format": "raw", "checksum": f"sha256:{'0' * 64}"},
        ),
    ],
)
def test_an_image_is_a_path_or_url_with_its_format(text: str, image: dict[str, str]) -> None:
    assert spawned(*SMALL, "--image", text)["disks"] == [{"kind": "image", "image": image}]


@pytest.mark.parametrize("name", ["cloud.img", "cloud"])
def test_an_images_format_is_never_guessed(name: str) -> None:
    said = refused("send", "spawn", *SMALL, "--image", name)
    assert f"--image: {name}: its name doesn't tell the format; add ,format=qcow2 or ,format=raw" in said


@pytest.mark.parametrize(
    ("option", "text", "info"),
    [
        ("--volume-file", "v=/v.raw", {"driver_volume_type": "file", "data": {"path": "/v.raw", "format": "raw"}}),
        (
            "--volume-file",
            "v=/v,format=qcow2,access_mode=ro",
            {"driver_volume_type": "file", "data": {"path": "/v", "format": "qcow2", "access_mode": "ro"}},
        ),
        ("--volume-device", "v=/dev/vg/v", {"driver_volume_type": "local", "data": {"device_path": "/dev/vg/v"}}),
        (
            "--volume-nbd",
            "v=nbd://10.0.0.5/a%2Fdisk",
            {"driver_volume_type": "nbd", "data": {"host": "10.0.0.5", "port": 10809, "export": "a/disk"}},
        ),
        (
            "--volume-nbd",
            "v=nbd://[::1]:1234",
            {"driver_volume_type": "nbd", "data": {"host": "::1", "port": 1234, "export": ""}},
        ),
        (
            "--volume-nbd",
            "v=nbd+unix:///disk?socket=/run/nbd.sock",
            {"driver_volume_type": "nbd", "data": {"socket": "/run/nbd.sock", "export": "disk"}},
        ),
    ],
)
def test_a_volume_is_said_shortly(option: str, text: str, info: dict[str, Any]) -> None:
    expected = {**info, "serial": "v", "data": {"volume_id": "v", **info["data"]}}
    assert spawned(*SMALL, option, text)["disks"] == [{"kind": "volume", "connection_info": expected}]
    desk = Desk({"attach_volume": changed()})
    assert desk.run("send", "attach_volume", str(UUID_1), option, text).exit_code == 0
    assert desk.calls[0].args == {"instance_uuid": str(UUID_1), "connection_info": expected}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--volume-file", "/v.raw"), "--volume-file: ID=WHERE is expected"),
        (("--volume-nbd", "v=http://h/x"), "--volume-nbd: an NBD URI is expected"),
        (("--volume-nbd", "v=nbd://h:99999/x"), "--volume-nbd: not an NBD URI"),
        (("--volume-nbd", "v=nbd+unix:///x"), "--volume-nbd: an NBD URI is expected"),
        (("--disk", "blank"), "--disk: key=value is expected"),
        (("--metadata", "a"), "--metadata: key=value is expected"),
        (("--cpu", "{"), "--cpu: not JSON"),
        (("--vcpus", "many"), "'many' is not a valid integer"),
        (("--firmware", "efi"), "'efi' is not one of 'bios', 'uefi'"),
        (("--set", "vcpus"), "--set: key=value is expected"),
        (("--ssh-key", "/none"), "--ssh-key: /none: No such file"),
        (("-f", "/none.yaml"), "/none.yaml: No such file"),
        (("--no-such-option",), "No such option"),
        (("--admin-pass", "hunter2"), "can be read by every user"),
    ],
)
def test_wrong_usage_names_the_option_and_sends_nothing(options: tuple[str, ...], words: str) -> None:
    said = refused("send", "spawn", *SMALL, *options)
    assert words in said
    assert "hunter2" not in said
    assert "Traceback" not in said


def test_a_request_that_breaks_the_schema_is_told_field_by_field_before_anything_is_sent() -> None:
    said = refused("send", "spawn", "--name", "a b", "--vcpus", "0", "--memory-mb", "64", code=65)
    assert said.startswith("error: invalid_request: instance.name: ")
    assert "\n  instance.name: has another form; it must match" in said
    assert "\n  instance.vcpus: isn't valid; should be greater than or equal to 1" in said


def test_a_misspelt_field_gets_the_nearest_name() -> None:
    said = refused("send", "spawn", *SMALL, "--set", "vcpu=2", code=65)
    assert "instance.vcpu: no such field; did you mean 'vcpus'?" in said


def test_secrets_reach_the_agent_and_never_the_terminal(tmp_path: Path) -> None:
    data = write(tmp_path / "user-data", "#cloud-config\npassword: hunter2\n")
    desk = Desk({"spawn": changed()})
    result = desk.run(
        *("send", "spawn", *SMALL, "--user-data", data, "--admin-pass", "env:PW"),
        *("--set", "config_drive.files.0.path=/x", "--set", f"config_drive.files.0.content=@{data}"),
        env={"PW": "hunter2"},
    )
    assert result.exit_code == 0
    assert desk.calls[0].args["instance"]["config_drive"] == {
        "user_data": "#cloud-config\npassword: hunter2\n",
        "admin_pass": "hunter2",
        "files": [{"path": "/x", "content": "#cloud-config\npassword: hunter2"}],
    }
    assert "hunter2" not in result.output


def test_a_password_can_be_asked_for_and_is_not_echoed() -> None:
    desk = Desk({"spawn": changed()})
    result = desk.run("send", "spawn", *SMALL, "--admin-pass", "-", input="hunter2\n")
    assert desk.calls[0].args["instance"]["config_drive"] == {"admin_pass": "hunter2"}
    assert "hunter2" not in result.output
    assert "admin pass" in result.stderr


def test_a_refused_secret_is_not_repeated(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "name: a\nvcpus: 1\nmemory_mb: 64\nconfig_drive: {admin_pass: [hunter2]}\n")
    assert "hunter2" not in refused("send", "spawn", "-f", file, code=65)


def test_public_keys_are_named_by_their_comments(tmp_path: Path) -> None:
    one = write(tmp_path / "one.pub", "ssh-ed25519 AAAA me@home.example\n")
    two = write(tmp_path / "two.pub", "# mine\nssh-ed25519 BBBB\n")
    assert spawned(*SMALL, "--ssh-key", one, "--ssh-key", two)["config_drive"]["public_keys"] == {
        "me@home.example": "ssh-ed25519 AAAA me@home.example",
        "two": "ssh-ed25519 BBBB",
    }


def test_a_private_key_is_not_sent(tmp_path: Path) -> None:
    key = write(tmp_path / "id", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n")
    said = refused("send", "spawn", *SMALL, "--ssh-key", key)
    assert "a public key is expected" in said
    assert "hunter2" not in said


def test_an_instance_is_named_by_uuid_or_by_its_name() -> None:
    desk = Desk({"stop": changed(), "list_instances": listed("vm0", "vm1")})
    assert desk.run("send", "stop", str(UUID_1), "--no-graceful", "--timeout-s", "5").exit_code == 0
    assert desk.run("send", "stop", "vm1", "--host", "there").exit_code == 0
    by_uuid, lookup, by_name = desk.calls
    assert by_uuid.args == {"instance_uuid": str(UUID_1), "graceful": False, "timeout_s": 5}
    assert (lookup.method, lookup.host, lookup.args) == ("list_instances", "there", {"name": "vm1"})
    assert (by_name.args["instance_uuid"], by_name.host) == ("00000000-0000-0000-0000-000000000002", "there")


@pytest.mark.parametrize(
    ("names", "code", "words"), [((), 11, "no instance named vm"), (("vm", "vm"), 12, "several")]
)
def test_a_name_that_nobody_or_two_have_is_an_error(names: tuple[str, ...], code: int, words: str) -> None:
    desk = Desk({"list_instances": listed(*names)})
    result = desk.run("send", "stop", "vm")
    assert result.exit_code == code
    assert words in result.stderr


def test_a_request_without_its_instance_is_told_what_is_missing() -> None:
    assert "instance_uuid: is missing" in refused("send", "stop", code=65)


def test_a_result_is_one_line_for_people_and_json_for_programs() -> None:
    desk = Desk({"start": changed(power_state="running", generation=3)})
    people = desk.run("send", "start", str(UUID_1))
    assert people.stdout == (
        f"start: done; instance {UUID_1}, power state running, generation 3, operation {UUID_2}\n"
    )
    assert json_of(desk.run("send", "start", str(UUID_1), "--json")) == {
        "operation_id": str(UUID_2),
        "instance_uuid": str(UUID_1),
        "generation": 3,
        "power_state": "running",
        "already": False,
    }


def test_a_volume_said_in_two_ways_is_wrong_usage() -> None:
    said = refused(
        "send", "attach_volume", str(UUID_1), "--volume-file", "v=/v.raw", "--volume-device", "v=/dev/v"
    )
    assert "connection_info was given in several ways; take one" in said


def test_what_was_so_already_is_told() -> None:
    desk = Desk({"start": changed(already=True)})
    assert desk.run("send", "start", str(UUID_1)).stdout.startswith("start: it was so already; ")


def test_a_cast_is_sent_and_its_identity_printed() -> None:
    desk = Desk()
    result = desk.run("send", "start", str(UUID_1), "--cast", "--host", "there", "--idempotency-key", "k")
    assert result.stdout == "the-message-id\n"
    assert [(cast.method, cast.host) for cast in desk.casts] == [("start", "there")]
    assert desk.casts[0].args == {"instance_uuid": str(UUID_1), "idempotency_key": "k"}
    assert json_of(desk.run("send", "start", str(UUID_1), "--cast", "--json")) == {
        "method": "start",
        "host": "here",
        "message_id": "the-message-id",
        "instance_uuid": str(UUID_1),
    }


def test_a_query_cannot_be_cast() -> None:
    assert "No such option" in refused("send", "ping", "--cast")


def test_a_query_prints_what_was_answered() -> None:
    pong = answers.Pong.model_validate(
        {"host": "here", "agent_version": "1", "observed_at": "2030-01-31T12:00:00Z"}
    )
    desk = Desk({"ping": pong})
    assert (
        desk.run("send", "ping").stdout == "host: here\nagent_version: '1'\nobserved_at: '2030-01-31T12:00:00Z'\n"
    )
    assert json_of(desk.run("send", "ping", "--json"))["host"] == "here"


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (("send", "spawn", *SMALL), 1800),
        (("send", "start", str(UUID_1)), 900),
        (("send", "get_host"), 30),
        (("send", "start", str(UUID_1), "--timeout", "2.5"), 2.5),
    ],
)
def test_how_long_it_waits(arguments: tuple[str, ...], seconds: float) -> None:
    desk = Desk()
    desk.run(*arguments)
    assert desk.calls[0].timeout == seconds


def test_dashes_in_a_methods_name_are_as_good_as_underscores() -> None:
    desk = Desk({"get_host": changed()})
    assert desk.run("send", "get-host").exit_code == 0
    assert desk.calls[0].method == "get_host"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_command_with_an_option_for_every_field(method: str) -> None:
    help_text = CliRunner().invoke(cli, ["send", method, "--help"], terminal_width=200).stdout
    for field in fields_of(METHODS[method].params):
        assert f"{field.option} " in help_text or f"{field.option}\n" in help_text


@pytest.mark.parametrize("method", METHODS)
def test_no_two_options_of_a_command_have_one_name(method: str) -> None:
    with click.Context(cli) as ctx:
        group = cli.get_command(ctx, "send")
        assert isinstance(group, click.Group)
        command = group.get_command(ctx, method)
    assert command is not None
    options = [name for p in command.get_params(ctx) for name in (*p.opts, *p.secondary_opts)]
    assert len(options) == len(set(options))
    assert len({p.name for p in command.params}) == len(command.params)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.kind == "change"])
def test_a_file_and_the_options_alone_say_the_same(method: str, tmp_path: Path) -> None:
    """Each scalar field given as an option arrives as the same field given in a file."""
    samples = {
        "mode": "hard",
        "timeout_s": 5.0,
        "graceful": False,
        "delete_disks": False,
        "volume_id": "v",
        "port_id": "p",
    }
    fields = {field.name: field for field in fields_of(METHODS[method].params) if len(field.path) == 1}
    args: dict[str, Any] = {
        "instance_uuid": str(UUID_1),
        "operation_id": str(UUID_1),
        "idempotency_key": "k",
        "if_generation": 3,
        "not_after": "2030-01-31T12:00:00Z",
        "vif": {"type": "user"},
        "connection_info": {"driver_volume_type": "local", "data": {"device_path": "/dev/x"}},
        **samples,
    }
    said = {name: value for name, value in args.items() if name in fields}
    if method == "spawn":
        said["instance"] = {"uuid": str(UUID_1), "name": "a", "vcpus": 1, "memory_mb": 64}
    by_file, by_options = Desk({method: changed()}), Desk({method: changed()})
    assert by_file.run("send", method, "-f", write(tmp_path / "a.json", json.dumps(said))).exit_code == 0
    options: list[str] = []
    for name, value in (said | said.pop("instance", {})).items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--no-{option[2:]}" if not value else option)
        else:
            options += [option, json.dumps(value) if isinstance(value, dict) else str(value)]
    result = by_options.run("send", method, *options)
    assert result.exit_code == 0, result.output
    assert by_options.calls == by_file.calls
