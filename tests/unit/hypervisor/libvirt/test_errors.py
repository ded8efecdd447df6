"""What libvirt's errors mean, and that the numbers are libvirt's."""

from __future__ import annotations

import enum

import libvirt
import pytest

from agent.errors import (
    AgentError,
    Busy,
    Conflict,
    InvalidRequest,
    NoCapacity,
    NotFound,
    OperationFailed,
    TimedOut,
    Unavailable,
    Unsupported,
)
from agent.hypervisor.libvirt import api
from agent.hypervisor.libvirt.errors import FROM_REMOTE, FROM_RPC, MEANING, Code, Failure, translate

FROM_QEMU = 10


@pytest.mark.parametrize("code", Code)
def test_each_code_is_the_librarys_number_and_has_a_meaning(code: Code) -> None:
    assert getattr(libvirt, f"VIR_ERR_{code.name}") == code
    assert issubclass(MEANING[code], AgentError)


@pytest.mark.parametrize(
    ("prefix", "flags"),
    [
        ("VIR_DOMAIN_AFFECT_", api.Affect),
        ("VIR_DOMAIN_DEFINE_", api.Define),
        ("VIR_DOMAIN_UNDEFINE_", api.Undefine),
        ("VIR_DOMAIN_STATS_", api.Stats),
        ("VIR_CONNECT_GET_ALL_DOMAINS_STATS_", api.GetStats),
        ("VIR_DOMAIN_CONTROL_", api.Control),
    ],
)
def test_each_flag_is_the_librarys_number(prefix: str, flags: type[enum.IntEnum | enum.IntFlag]) -> None:
    for name, member in flags.__members__.items():
        assert getattr(libvirt, prefix + name) == member


def test_the_flags_with_names_of_our_own_are_the_librarys_numbers() -> None:
    assert libvirt.VIR_DOMAIN_XML_INACTIVE == api.Xml.INACTIVE
    assert libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN == api.PowerButton.ACPI
    assert libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN == api.PowerButton.ACPI
    assert libvirt.VIR_DOMAIN_METADATA_ELEMENT == api.METADATA_ELEMENT
    assert libvirt.VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR == api.CONTROL_LOST
    assert libvirt.VIR_FROM_RPC == FROM_RPC
    assert libvirt.VIR_FROM_REMOTE == FROM_REMOTE


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (Code.NO_DOMAIN, NotFound),
        (Code.OPERATION_INVALID, Conflict),
        (Code.NO_SUPPORT, Unsupported),
        (Code.CONFIG_UNSUPPORTED, Unsupported),
        (Code.XML_ERROR, InvalidRequest),
        (Code.NO_MEMORY, NoCapacity),
        (Code.OPERATION_TIMEOUT, TimedOut),
        (Code.AGENT_UNRESPONSIVE, Unavailable),
        (Code.INTERNAL_ERROR, OperationFailed),
    ],
)
def test_a_code_becomes_what_the_caller_does_next(code: Code, meaning: type[AgentError]) -> None:
    error = translate(Failure(code, FROM_QEMU, "as libvirt says"), "start of x")
    assert type(error) is meaning
    assert str(error) == "start of x: as libvirt says"


def test_an_unlisted_code_has_no_meaning() -> None:
    assert translate(Failure(libvirt.VIR_ERR_SEXPR_SERIAL, FROM_QEMU, "?"), "x") is None
    assert translate(Failure(9999, FROM_QEMU, "?"), "x") is None


@pytest.mark.parametrize(
    "failure",
    [
        Failure(Code.SYSTEM_ERROR, FROM_RPC, "Cannot recv data: Connection reset by peer"),
        Failure(Code.INTERNAL_ERROR, FROM_RPC, "client socket is closed"),
        Failure(Code.RPC, FROM_REMOTE, "bad reply"),
        Failure(Code.OPERATION_FAILED, FROM_QEMU, "whatever", lost=True),
    ],
)
def test_a_broken_connection_leaves_the_outcome_unknown(failure: Failure) -> None:
    error = translate(failure, "start of x")
    assert isinstance(error, Unavailable)
    assert error.details == {"outcome": "unknown"}


def test_a_host_without_room_is_told_from_a_guest_that_fails() -> None:
    said = "process exited while connecting to monitor: cannot set up guest memory 'pc.ram': Cannot allocate"
    error = translate(Failure(Code.INTERNAL_ERROR, FROM_QEMU, said), "start of x")
    assert type(error) is NoCapacity
    assert error.details == {"resource": "memory"}


def test_a_vnc_port_that_was_taken_meanwhile_may_be_tried_again() -> None:
    said = "qemu unexpectedly closed the monitor: Failed to find an available port: Address already in use"
    error = translate(Failure(Code.INTERNAL_ERROR, FROM_QEMU, said), "start of x")
    assert type(error) is Busy
    assert error.retryable


def test_no_free_port_is_a_feature_that_this_guest_lacks() -> None:
    failure = Failure(Code.INTERNAL_ERROR, 20, "internal error: No more available PCI slots")
    error = translate(failure, "attach of y to x")
    assert type(error) is Unsupported
    assert error.details == {"feature": "machine.hotplug_ports"}
