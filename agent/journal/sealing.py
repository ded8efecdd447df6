"""The journal's key: seals what is secret in it and makes digests that say nothing to others.

The key lives outside the database: in a file beside it, made at the first start, or in bytes that the
service manager hands over (a systemd credential). Who gets hold of `journal.db` alone can read no secret
and can't try out passwords against the fingerprints.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from agent.errors import Internal
from agent.journal.refusal import StartRefused


class KeyFile:
    """A Fernet key: 32 bytes in URL-safe base64, 44 characters. Implements `agent.secret.Sealer`."""

    __slots__ = ("_digest_key", "_fernet")

    def __init__(self, key: bytes) -> None:
        """Raises ValueError, without the key in it, when `key` isn't one."""
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise ValueError("a key is 32 bytes in URL-safe base64") from None
        self._digest_key = hmac.digest(key, b"compute-agent journal digest", hashlib.sha256)

    @classmethod
    def from_bytes(cls, key: bytes) -> KeyFile:
        """A key handed over by the service manager; a newline at its end is fine. Raises StartRefused."""
        try:
            return cls(key.strip())
        except ValueError as failure:
            raise StartRefused(f"the journal's key can't be used: {failure}") from None

    @classmethod
    def load_or_create(cls, path: Path) -> KeyFile:
        """Read `path`, or make it with a new key, mode 0600. Raises StartRefused."""
        try:
            if not path.exists():
                _create(path, Fernet.generate_key())
            return cls.load(path)
        except OSError as failure:
            raise StartRefused(f"the journal's key {path} can't be read: {failure.strerror}") from failure

    @classmethod
    def load(cls, path: Path) -> KeyFile:
        """Read `path`. Raises StartRefused; FileNotFoundError, PermissionError."""
        try:
            _check_mode(path)
            return cls(path.read_bytes().strip())
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as failure:
            raise StartRefused(f"the journal's key {path} can't be read: {failure.strerror}") from failure
        except ValueError as failure:
            raise StartRefused(f"the journal's key {path} is damaged: {failure}; restore it") from None

    @property
    def check(self) -> str:
        """What a journal keeps to know its key by."""
        return self.digest(b"this is the key")

    def seal(self, clear: str) -> str:
        return self._fernet.encrypt(clear.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises Internal when it was sealed with another key or was altered."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise Internal("a secret in the journal can't be opened with this key") from None

    def digest(self, *parts: bytes) -> str:
        """HMAC-SHA256 in hex over `parts`; where one ends and the next begins counts."""
        mac = hmac.new(self._digest_key, digestmod=hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big"))
            mac.update(part)
        return mac.hexdigest()

    def __repr__(self) -> str:
        return "KeyFile(**********)"


def _create(path: Path, key: bytes) -> None:
    """Whole and on the disk, or not there at all: half a key would lock out the journal for good."""
    half = path.with_name(path.name + ".new")
    half.unlink(missing_ok=True)
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, key + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    half.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_mode(path: Path) -> None:
    found = path.stat().st_mode
    if not stat.S_ISREG(found):
        raise StartRefused(f"the journal's key {path} is no file: restore the key it was")
    mode = found & 0o777
    if mode & 0o077:
        raise StartRefused(
            f"the journal's key {path} can be read by others (mode {mode:04o}): chmod 600 it, "
            "and take the secrets it protected as known"
        )
