"""A terminal and a guest's serial console, joined byte by byte.

    raw mode -> keys to the guest, its output to the screen -> ctrl-] or the end -> the terminal as it was

Raw, so that ctrl-C and the rest reach the guest; ctrl-] is the way out, as with telnet and virsh.
"""

from __future__ import annotations

import os
import selectors
import socket
import stat
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import click

ESCAPE = b"\x1d"
_CHUNK = 4096


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A file descriptor of the console: a pty or a unix socket. Raises click.UsageError."""
    try:
        descriptor = _open(path)
    except OSError as error:
        raise click.UsageError(
            f"the console {path} can't be opened: {error.strerror}; it is a file of the guest's host, "
            "and only its root and libvirt's users may open it"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if os.isatty(descriptor):
            tty.setraw(descriptor)  # or what the guest writes would be held back until the end of a line
        return descriptor
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        return os.dup(connection.fileno())


def talk(guest: int, keys: int | None = None, screen: int | None = None) -> None:
    """Until ctrl-], the end of `keys`, or the guest's end of the console is closed. Descriptors; the terminal
    is restored whatever happens."""
    keys = sys.stdin.fileno() if keys is None else keys
    screen = sys.stdout.fileno() if screen is None else screen
    with _raw(keys), selectors.DefaultSelector() as selector:
        selector.register(keys, selectors.EVENT_READ)
        selector.register(guest, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                going_on = _typed(keys, guest) if key.fd == keys else _shown(guest, screen)
                if not going_on:
                    return


def _typed(keys: int, guest: int) -> bool:
    data = os.read(keys, _CHUNK)
    before, escape, _ = data.partition(ESCAPE)
    _write(guest, before)
    return bool(data) and not escape


def _shown(guest: int, screen: int) -> bool:
    try:
        data = os.read(guest, _CHUNK)
    except OSError:  # EIO: the other side of a pty is closed
        return False
    _write(screen, data)
    return bool(data)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _raw(keys: int) -> Iterator[None]:
    if not os.isatty(keys):
        yield
        return
    before = termios.tcgetattr(keys)
    tty.setraw(keys)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
