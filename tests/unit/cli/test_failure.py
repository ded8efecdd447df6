"""Every error ends in words on standard error and a number; none in a traceback."""

import pytest

from agent.cli import exit_codes
from agent.errors import BY_CODE, InvalidRequest
from agent.rpc.client import BrokerUnreachable, LoginRefused, Unroutable, remote_error
from agent.rpc.schema.results import Error
from tests.unit.cli.desk import UUID_1, Desk, json_of


@pytest.mark.parametrize("code", BY_CODE)
def test_every_class_of_errors_has_a_number_of_its_own(code: str) -> None:
    result = Desk({"ping": BY_CODE[code]("it went wrong", details={"feature": "tpm"}, incident="i-1")}).run(
        "send", "ping"
    )
    assert result.exit_code == exit_codes.BY_CODE[code]
    assert result.stderr.startswith(f"error: {code}: it went wrong\n  feature: tpm\n  incident: i-1")
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_the_numbers_are_a_promise() -> None:
    assert exit_codes.BY_CODE == {
        "invalid_request": 65,
        "unsupported": 10,
        "not_found": 11,
        "conflict": 12,
        "no_capacity": 13,
        "expired": 14,
        "cancelled": 15,
        "timed_out": 16,
        "operation_failed": 17,
        "operation_stuck": 18,
        "unavailable": 69,
        "internal": 70,
        "busy": 75,
    }
    numbers = [*exit_codes.BY_CODE.values(), *exit_codes.MEANINGS]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (remote_error(Error(code="from_the_future", message="new", retryable=True)), 9),
        (BrokerUnreachable("amqp://h:5672/: refused"), 76),
        (LoginRefused("user u"), 77),
        (Unroutable("no queue compute.here"), 68),
        (ValueError("a bug"), 1),
        (BrokenPipeError(), 141),
        (KeyboardInterrupt(), 130),
    ],
)
def test_other_failures_have_numbers_too(error: BaseException, number: int) -> None:
    result = Desk({"ping": error}).run("send", "ping")
    assert result.exit_code == number
    assert "Traceback" not in result.stderr


def test_each_wrong_field_is_told_with_its_mend() -> None:
    fields = [{"path": f"a{n}", "problem": "is bad", "mend": "make it good"} for n in range(2)]
    result = Desk({"ping": InvalidRequest("a0: is bad", details={"fields": fields})}).run("send", "ping")
    assert "\n  a0: is bad; make it good\n  a1: is bad; make it good\n" in result.stderr


def test_with_json_an_error_is_json_on_standard_output_too() -> None:
    error = BY_CODE["busy"]("later", details={"waiting": 16})
    assert json_of(Desk({"ping": error}).run("send", "ping", "--json")) == {
        "error": {
            "code": "busy",
            "message": "later",
            "retryable": True,
            "details": {"waiting": 16},
            "incident": None,
        }
    }


def test_debug_shows_where_a_bug_is() -> None:
    assert "Traceback" in Desk({"ping": ValueError("a bug")}).run("send", "ping", "--debug").stderr


def test_a_message_from_elsewhere_cannot_command_the_terminal() -> None:
    assert "\x1b" not in Desk({"ping": BY_CODE["busy"]("\x1b]0;x\x07")}).run("send", "ping").stderr


def test_wrong_settings_are_told_and_have_a_number() -> None:
    result = Desk().run("send", "ping", env={"COMPUTE_AGENT_AMQPP__URL": "amqp://u:hunter2@h/"})
    assert result.exit_code == 78
    assert "COMPUTE_AGENT_AMQPP__URL: sets nothing; did you mean COMPUTE_AGENT_AMQP__URL?" in result.stderr
    assert "hunter2" not in result.output


def test_a_host_that_cannot_be_one_is_told() -> None:
    result = Desk().run("send", "start", str(UUID_1), "--host", "a b")
    assert result.exit_code == 78
    assert "host: " in result.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("send", "fly"), ("list", "--frobnicate"), ("show",)])
def test_wrong_usage_is_two(arguments: tuple[str, ...]) -> None:
    result = Desk().run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: agent-cli")
