"""list, show, operations, plan, watch, console, dead: what they ask, and what they print."""

import json
from typing import Any

import pytest

from agent.cli.console import fresh
from agent.cli.operations import shares
from agent.cli.parked import new_identity
from agent.journal.records import Status
from agent.rpc.parked import ParkedMessage
from agent.rpc.schema import results as answers
from agent.rpc.schema.base import Message
from agent.rpc.schema.envelope import PLACEHOLDER
from agent.rpc.streams import Missed, Position
from tests.unit.cli.desk import NOW, UUID_1, UUID_2, Desk, changed, event, json_of, listed, view


def test_list_shows_a_row_for_each_instance() -> None:
    desk = Desk({"list_instances": listed("vm0", "vm1")})
    lines = desk.run("list", "--power-state", "running").stdout.splitlines()
    assert lines[0].split() == [
        "uuid",
        "name",
        "power",
        "state",
        "vcpus",
        "memory",
        "MiB",
        "generation",
        "under",
        "way",
    ]
    assert [line.split()[1:3] for line in lines[1:]] == [["vm0", "running"], ["vm1", "running"]]
    assert desk.calls[0].args == {"power_state": "running", "name": None, "project_id": None}


def test_a_long_table_is_not_cut_in_a_pipe() -> None:
    name = "a" * 64
    assert name in Desk({"list_instances": listed(name)}).run("list").stdout


def test_list_as_json_is_the_answer_itself() -> None:
    answer = listed("vm0")
    assert json_of(Desk({"list_instances": answer}).run("list", "--json")) == answer.model_dump(mode="json")


def test_an_unknown_state_is_shown_with_the_last_known() -> None:
    instance = view("vm0", power_state="unknown", power_state_code=-1, last_known="paused")
    answer = answers.InstanceList.model_validate({"observed_at": NOW, "instances": [instance]})
    assert "unknown (was paused)" in Desk({"list_instances": answer}).run("list").stdout


def got(**facts: Any) -> answers.GotInstance:
    return answers.GotInstance.model_validate({"observed_at": NOW, "instance": view("vm0", **facts)})


def test_show_finds_an_instance_by_its_name() -> None:
    desk = Desk({"list_instances": listed("vm0"), "get_instance": got(vnc_port=5900)})
    assert "vnc_port: 5900" in desk.run("show", "vm0").stdout
    assert desk.calls[1].args == {"instance_uuid": "00000000-0000-0000-0000-000000000001"}
    assert json_of(desk.run("show", "vm0", "--json"))["instance"]["vnc_port"] == 5900


def test_a_name_with_control_characters_does_not_reach_the_terminal() -> None:
    desk = Desk({"list_instances": listed("\x1b[2Jvm")})
    assert "\x1b" not in desk.run("list").stdout


OPERATION: dict[str, Any] = {
    "id": str(UUID_2),
    "method": "spawn",
    "instance_uuid": str(UUID_1),
    "status": "running",
    "accepted_at": NOW,
    "begun_at": NOW,
    "ended_at": "2030-01-31T12:00:01.5Z",
    "progress": 0.25,
    "doing": "downloading",
    "steps": [{"name": "define", "mark": "done", "at": NOW, "seconds": 0.0123}],
    "shares": {"total": 2.0, "libvirt": 1.5},
    "error": {"code": "no_capacity", "message": "no room"},
}


def test_operations_lists_what_was_asked_for() -> None:
    answer = answers.OperationList.model_validate({"observed_at": NOW, "operations": [OPERATION]})
    desk = Desk({"list_operations": answer})
    out = desk.run("operations", "--stuck", "--instance", str(UUID_1), "--limit", "5").stdout
    asked = desk.calls[0].args
    assert (asked["status"], asked["instance_uuid"], asked["limit"]) == ("stuck", str(UUID_1), 5)
    for words in ("running 25% downloading", "1.50", "no_capacity: no room", str(UUID_2)):
        assert words in out


@pytest.mark.parametrize(
    ("option", "value", "known"), [("--method", "foo", "attach_volume"), ("--status", "foo", "stuck")]
)
def test_operations_of_an_unknown_kind_are_refused_with_the_known_ones(
    option: str, value: str, known: str
) -> None:
    desk = Desk({})
    result = desk.run("operations", option, value)
    assert (result.exit_code, desk.calls) == (2, [])
    assert f"'{value}' is not one of" in result.stderr
    assert known in result.stderr


def test_operations_can_be_asked_for_by_a_method_written_with_dashes() -> None:
    answer = answers.OperationList.model_validate({"observed_at": NOW, "operations": []})
    desk = Desk({"list_operations": answer})
    desk.run("operations", "--method", "attach-volume")
    assert desk.calls[0].args["method"] == "attach_volume"


def test_every_status_that_an_operation_can_have_can_be_asked_for() -> None:
    assert set(answers.STATUSES) == {status.value for status in Status}


def test_an_operation_is_shown_with_its_steps_and_the_agents_own_share() -> None:
    answer = answers.GotOperation.model_validate({"observed_at": NOW, "operation": OPERATION})
    desk = Desk({"get_operation": answer})
    out = desk.run("operations", str(UUID_2)).stdout
    assert desk.calls[0].args == {"operation_id": str(UUID_2)}
    rows = [line.split() for line in out.splitlines()]
    assert ["define", "done", "2030-01-31T12:00:00+00:00", "0.012"] in rows
    assert ["libvirt", "1.500"] in rows
    assert ["own", "0.500"] in rows
    assert json_of(desk.run("operations", str(UUID_2), "--json")) == answer.model_dump(mode="json")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({}, []),
        ({"libvirt": 1.0}, [("libvirt", 1.0)]),
        ({"total": 1.0, "own": 0.3}, [("total", 1.0), ("own", 0.3)]),
        (
            {"total": 1.0, "libvirt": 0.5, "journal": 0.4, "queued": 2.0},
            [("total", 1.0), ("libvirt", 0.5), ("journal", 0.4), ("queued", 2.0), ("own", 0.5)],
        ),
        ({"total": 1.0, "libvirt": 1.5}, [("total", 1.0), ("libvirt", 1.5), ("own", 0.0)]),
    ],
)
def test_the_own_share_is_what_is_left_of_the_total(
    told: dict[str, float], shown: list[tuple[str, float]]
) -> None:
    assert shares(told) == shown


def test_plan_prints_the_xml_alone_shows_steps_and_resources_beside_it_and_sends_no_secret() -> None:
    planned = answers.Planned.model_validate(
        {
            "method": "spawn",
            "steps": [{"name": "define", "undo": True}, {"name": "start", "undo": False}],
            "resources": {"memory_mb": 128},
            "xml": "<domain/>",
        }
    )
    desk = Desk({"plan": planned})
    arguments = (
        "--name",
        "a",
        "--vcpus",
        "1",
        "--memory-mb",
        "128",
        "--admin-pass",
        "env:PW",
        "--uuid",
        str(UUID_1),
    )
    result = desk.run("plan", "spawn", *arguments, env={"PW": "hunter2"})
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["1", "define", "yes"] in rows
    assert ["2", "start"] in rows
    assert ["memory_mb", "128"] in rows
    assert result.stdout == "<domain/>\n"
    asked = desk.calls[0]
    assert (asked.method, asked.args["method"]) == ("plan", "spawn")
    assert asked.args["args"]["instance"]["name"] == "a"
    assert "hunter2" not in str(asked.args)
    assert json_of(desk.run("plan", "spawn", *arguments[:6], "--json"))["xml"] == "<domain/>"


@pytest.mark.parametrize("method", ["ping", "retry_operation", "cancel_operation"])
def test_what_is_no_change_of_an_instance_has_no_plan(method: str) -> None:
    assert "No such command" in Desk().run("plan", method).stderr


def test_watch_prints_events_as_they_come() -> None:
    desk = Desk(live=[event("compute.instance.power_state", sequence=1, old="running", new="shutdown")])
    assert desk.run("watch").stdout == (
        f"2030-01-31T12:00:00.000+00:00 here compute.instance.power_state {UUID_1} "
        '{"old": "running", "new": "shutdown"}\n'
    )
    (line,) = desk.run("watch", "--json").stdout.splitlines()
    assert json.loads(line)["data"] == {"old": "running", "new": "shutdown"}


def test_watch_filters_by_instance_type_and_host_and_ends_after_a_count() -> None:
    desk = Desk(
        live=[
            event("compute.instance.start.end", subject=UUID_2),
            event("compute.instance.start.end", host="there"),
            event("compute.operation.progress"),
            event("compute.instance.start.end"),
            event("compute.instance.stop.end"),
        ]
    )
    asked = ("watch", "--instance", str(UUID_1), "--type", "compute.instance.*", "--host", "here", "--count", "1")
    told = [json.loads(line) for line in desk.run(*asked, "--json").stdout.splitlines()]
    assert [(each["type"], each["source"]) for each in told] == [("compute.instance.start.end", "/compute/here")]


def test_watch_begins_where_it_is_told_to_and_says_what_is_missing() -> None:
    desk = Desk(live=[event("t", sequence=5)], missed=[Missed("there", "it has lost its journal")])
    done = desk.run("watch", "--host", "there", "--from-sequence", "5")
    assert desk.after == {"there": Position(4)}
    assert done.stderr == "events of there are missing: it has lost its journal\n"
    desk.run("watch")
    assert desk.after == {}


def output_of(text: str) -> answers.ConsoleOutput:
    return answers.ConsoleOutput.model_validate({"observed_at": NOW, "output": text})


def test_console_once_prints_what_is_there() -> None:
    desk = Desk({"get_console_output": output_of("login: ")})
    assert desk.run("console", str(UUID_1), "--once", "--tail-bytes", "9").stdout == "login: "
    assert desk.calls[0].args["tail_bytes"] == 9


def test_console_follows_and_prints_each_piece_once() -> None:
    said = iter(["boot\n", "boot\nlogin: ", "boot\nlogin: ", "boot\nlogin: root\n"])

    def tail(_: Message) -> answers.ConsoleOutput:
        try:
            return output_of(next(said))
        except StopIteration:
            raise KeyboardInterrupt from None

    result = Desk({"get_console_output": tail}).run("console", str(UUID_1), "--interval", "0.05")
    assert result.stdout == "boot\nlogin: root\n"
    assert result.exit_code == 130


LONG = "".join(f"line {n}\n" for n in range(200))


@pytest.mark.parametrize(
    ("seen", "tail", "new"),
    [
        ("", "abc", "abc"),
        ("abc", "abc", ""),
        ("abc", "abcdef", "def"),
        (LONG[:900], LONG[300:1000], LONG[900:1000]),
        ("x" + LONG[:900], "\N{REPLACEMENT CHARACTER}" + LONG[300:1000], LONG[900:1000]),
        (LONG[:300], LONG[700:], LONG[700:]),
        (LONG, "", ""),
        (LONG, "fresh boot\n", "fresh boot\n"),
        (f"{'x' * 70}A{'x' * 70}B", f"{'x' * 68}Bnew", "new"),  # it begins like an earlier place, too
    ],
)
def test_what_is_new_in_a_sliding_tail(seen: str, tail: str, new: str) -> None:
    assert fresh(seen, tail) == new


def test_typing_needs_a_guest_that_runs() -> None:
    desk = Desk({"get_instance": got(power_state="shutdown")})
    result = desk.run("console", str(UUID_1), "--interactive")
    assert result.exit_code == 12
    assert "has no console to type into: it is shutdown" in result.stderr


def test_typing_needs_the_guests_own_host() -> None:
    desk = Desk({"get_instance": got(console_path="/dev/pts/none")})
    result = desk.run("console", str(UUID_1), "--interactive")
    assert result.exit_code == 2
    assert (
        "/dev/pts/none can't be opened: No such file or directory; it is a file of the guest's host"
        in result.stderr
    )


def parked(**facts: Any) -> ParkedMessage:
    drive = {"admin_pass": PLACEHOLDER, "hostname": "h"}
    body = {"method": "spawn", "args": {"instance": {"name": "vm", "config_drive": drive}}}
    base: dict[str, Any] = {
        "id": "m1",
        "host": "here",
        "method": "spawn",
        "code": "busy",
        "message": "too much",
        "time": NOW,
    }
    return ParkedMessage(**{**base, "body": body, "queue": "compute.here", "removed": ("args.x",), **facts})


def test_parked_messages_are_listed_and_shown() -> None:
    desk = Desk(dead=[parked(), parked(id="m2", body=None)])
    assert [line.split()[0] for line in desk.run("dead", "list").stdout.splitlines()] == ["id", "m1", "m2"]
    shown = json_of(desk.run("dead", "show", "m1", "--json"))
    assert (shown["code"], shown["queue"], shown["removed"]) == ("busy", "compute.here", ["args.x"])
    assert shown["request"]["args"]["instance"]["name"] == "vm"
    assert json_of(desk.run("dead", "show", "m2", "--json"))["request"] is None


def test_a_parked_message_is_sent_again_when_its_secrets_are_filled_in() -> None:
    desk = Desk(dead=[parked()])
    refused = desk.run("dead", "resend", "m1")
    assert refused.exit_code == 2
    assert "fill them in: --set instance.config_drive.admin_pass=..." in refused.stderr
    assert (len(desk.dead), desk.resent) == (1, [])
    setting = ("--set", "instance.config_drive.admin_pass=env:PW")
    assert desk.run("dead", "resend", "m1", *setting, env={"PW": "hunter2"}).exit_code == 0
    ((_, body),) = desk.resent
    assert body["args"]["instance"]["config_drive"] == {"admin_pass": "hunter2", "hostname": "h"}
    assert desk.dead == []


def test_a_secret_for_a_parked_message_is_not_given_on_the_command_line() -> None:
    desk = Desk(dead=[parked()])
    result = desk.run("dead", "resend", "m1", "--set", "instance.config_drive.admin_pass=hunter2")
    assert result.exit_code == 2
    assert "hunter2" not in result.output


def test_a_parked_request_of_oslo_messaging_is_filled_in_inside_its_envelope() -> None:
    inner = {"method": "attach_volume", "args": {"connection_info": {"data": {"auth_password": PLACEHOLDER}}}}
    desk = Desk(dead=[parked(body={"oslo.version": "2.0", "oslo.message": json.dumps(inner)})])
    setting = ("--set", "connection_info.data.auth_password=env:PW")
    assert desk.run("dead", "resend", "m1", *setting, env={"PW": "hunter2"}).exit_code == 0
    ((_, body),) = desk.resent
    assert body["oslo.version"] == "2.0"
    assert json.loads(body["oslo.message"])["args"]["connection_info"] == {"data": {"auth_password": "hunter2"}}


def test_what_is_sent_again_has_one_new_identity_however_often_unless_the_old_one_is_wanted() -> None:
    message = parked(body={"method": "pause", "args": {"instance_uuid": str(UUID_1), "idempotency_key": "old"}})
    desk = Desk(dead=[message, message, message, message])
    for options in ((), (), ("--same-identity",), ("--set", "idempotency_key=mine")):
        assert desk.run("dead", "resend", "m1", *options).exit_code == 0
    first, second, same, own = (body["args"]["idempotency_key"] for _, body in desk.resent)
    assert first == second
    assert first.startswith("resent-")
    assert (same, own) == ("old", "mine")


def test_each_refusal_that_was_parked_has_a_new_identity_of_its_own() -> None:
    refusals = [parked(), parked(id="m2"), parked(host="there"), parked(time="now")]
    assert len({new_identity(refusal) for refusal in refusals}) == 4


def test_a_query_has_no_identity_to_renew() -> None:
    desk = Desk(dead=[parked(body={"method": "ping", "args": {}})])
    assert desk.run("dead", "resend", "m1").exit_code == 0
    assert desk.resent[0][1]["args"] == {}


@pytest.mark.parametrize("body", [None, {"oslo.message": "{broken"}])
def test_what_is_no_request_can_only_be_dropped(body: dict[str, Any] | None) -> None:
    desk = Desk(dead=[parked(body=body)])
    result = desk.run("dead", "resend", "m1")
    assert result.exit_code == 2
    assert "it can only be dropped" in result.stderr
    assert desk.run("dead", "drop", "m1").exit_code == 0
    assert desk.dead == []


def test_a_parked_message_that_is_not_there_is_not_found() -> None:
    for command in ("show", "resend", "drop"):
        assert Desk().run("dead", command, "m1").exit_code == 11


def test_the_broker_comes_from_the_settings_and_the_url_option_stands_above() -> None:
    desk = Desk({"start": changed()})
    env = {"COMPUTE_AGENT_AMQP__URL": "amqp://u:hunter2@one/", "COMPUTE_AGENT_RPC__TOPIC": "t"}
    desk.run("send", "start", str(UUID_1), env=env)
    assert desk.settings is not None
    assert (desk.settings.amqp.url.get_secret_value(), desk.settings.rpc.topic) == ("amqp://u:hunter2@one/", "t")
    desk.run("send", "start", str(UUID_1), "--url", "amqp://two/", env=env)
    assert desk.settings.amqp.url.get_secret_value() == "amqp://two/"
    assert desk.settings.rpc.topic == "t"


def test_a_url_that_is_none_is_wrong_usage_and_not_repeated() -> None:
    result = Desk().run("list", "--url", "http://u:hunter2@h/")
    assert result.exit_code == 2
    assert "--url: must be amqp://user:password@host:port/vhost" in result.stderr
    assert "hunter2" not in result.output
