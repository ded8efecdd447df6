"""Keys and screen here are a real pty's, the guest a real socket or pty."""

import os
import socket
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from agent.cli import terminal


@dataclass
class Person:
    """In front of a terminal: `hand` types and sees, `keyboard` is what a program opens."""

    hand: int
    keyboard: int

    def type(self, text: bytes) -> None:
        os.write(self.hand, text)

    def see(self, size: int = 4096) -> bytes:
        return os.read(self.hand, size)

    def modes(self) -> object:
        return termios.tcgetattr(self.keyboard)


@pytest.fixture
def person() -> Iterator[Person]:
    hand, keyboard = os.openpty()
    yield Person(hand, keyboard)
    os.close(hand)
    os.close(keyboard)


class Talk:
    """`terminal.talk` in a thread, so that a test can be the person and the guest."""

    def __init__(self, guest: int, person: Person) -> None:
        self._thread = threading.Thread(target=terminal.talk, args=(guest, person.keyboard, person.keyboard))
        self._thread.start()

    def ended(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[tuple[socket.socket, int]]:
    """The guest's end of its console, and the descriptor that `opened` made."""
    path = str(tmp_path / "console.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with terminal.opened(path) as descriptor:
            ours, _ = listener.accept()
            ours.settimeout(10)
            with ours:
                yield ours, descriptor


def test_keys_reach_the_guest_raw_and_its_output_the_screen(
    guest: tuple[socket.socket, int], person: Person
) -> None:
    machine, descriptor = guest
    before = person.modes()
    talk = Talk(descriptor, person)
    machine.sendall(b"login: ")
    assert person.see() == b"login: "
    person.type(b"root\r\x03")  # ctrl-C is the guest's, too
    assert machine.recv(4096) == b"root\r\x03"
    person.type(b"x\x1dnever sent")
    assert talk.ended()
    assert machine.recv(4096) == b"x"
    assert person.modes() == before


def test_it_ends_when_the_guest_goes_and_restores_the_terminal(
    guest: tuple[socket.socket, int], person: Person
) -> None:
    machine, descriptor = guest
    before = person.modes()
    talk = Talk(descriptor, person)
    machine.sendall(b"bye")
    assert person.see() == b"bye"
    machine.close()
    assert talk.ended()
    assert person.modes() == before


def test_a_pty_is_a_console_too_and_its_end_is_no_error(person: Person) -> None:
    machine, console = os.openpty()
    path = os.ttyname(console)
    with terminal.opened(path) as descriptor:
        os.close(console)
        talk = Talk(descriptor, person)
        os.write(machine, b"login: ")
        assert person.see() == b"login: "
        os.close(machine)
        assert talk.ended()


def test_keys_from_a_pipe_end_with_it(guest: tuple[socket.socket, int]) -> None:
    machine, descriptor = guest
    keys, typed = os.pipe()
    os.write(typed, b"shutdown\n")
    os.close(typed)
    with open(os.devnull, "wb") as screen:
        terminal.talk(descriptor, keys, screen.fileno())
    os.close(keys)
    assert machine.recv(4096) == b"shutdown\n"


@pytest.mark.parametrize("name", ["none", "directory"])
def test_what_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(click.UsageError, match="can't be opened"), terminal.opened(str(tmp_path / name)):
        pass
