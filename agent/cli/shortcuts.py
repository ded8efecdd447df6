"""Short options for what is given most: images, volumes, networks, a key, a password.

Each is a table row: the option, where its fragment belongs in the arguments, and how its text becomes the
fragment. The generic options made from the schema can say the same at more length.

    --image guest.qcow2                    {"kind": "image", "image": {"url": "/here/guest.qcow2", ...}}
    --image https://mirror/x,format=raw,size_mb=4096,checksum=sha256:...
    --volume-nbd v1=nbd://10.0.0.5/disk    {"kind": "volume", "connection_info": {...}}
    --bridge br0,mtu=1400                  {"type": "bridge", "bridge": "br0", "mtu": "1400"}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import click

from agent.cli.values import Tree, object_of, put, read_text
from agent.secret import Secret

_OF_THE_IMAGE = frozenset({"format", "checksum"})
_SUFFIXES = {".qcow2": "qcow2", ".raw": "raw"}
_NBD_PORT = 10809
_LISTS = frozenset({"instance.disks", "instance.interfaces"})
_OBJECTS = frozenset({"instance.config_drive.public_keys"})


@dataclass(frozen=True, slots=True)
class Shortcut:
    """`into`: the dotted path in the arguments; `make`: the option's text to what belongs there. With `many` it
    may be given several times. Without a metavar it takes no text, and is counted."""

    option: str
    metavar: str
    into: str
    make: Callable[[str], Any]
    help: str
    many: bool = False

    @property
    def parameter(self) -> str:
        return "cut_" + self.option.removeprefix("--").replace("-", "_")

    def texts(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        value = values.get(self.parameter)
        if not value:
            return ()
        if isinstance(value, int):
            return ("",) * value
        return (value,) if isinstance(value, str) else tuple(value)

    def click_option(self) -> click.Option:
        repeat = " May be given several times." if self.many else ""
        return click.Option(
            [self.option, self.parameter],
            multiple=self.many and bool(self.metavar),
            count=not self.metavar,
            metavar=self.metavar or None,
            help=self.help + repeat,
        )


def image(text: str) -> Tree:
    """`PATH|URL[,key=value...]`. Keys of the image and of the disk may be mixed. Raises click.UsageError."""
    where, _, rest = text.partition(",")
    extra = object_of(rest) if rest else {}
    source = {"url": _absolute(where)} | {key: extra.pop(key) for key in _OF_THE_IMAGE & extra.keys()}
    if "format" not in source:
        source["format"] = _format_of(where)
    return {"kind": "image", "image": source, **extra}


def volume(connect: Callable[[str], Tree]) -> Callable[[str], Tree]:
    """`ID=...` to cinder's connection_info."""

    def make(text: str) -> Tree:
        name, equals, where = text.partition("=")
        if not (name and equals and where):
            raise click.UsageError("ID=WHERE is expected, with the volume's id first")
        kind, data = next(iter(connect(where).items()))
        return {"driver_volume_type": kind, "serial": name, "data": {"volume_id": name, **data}}

    return make


def file_volume(where: str) -> Tree:
    path, _, rest = where.partition(",")
    extra = object_of(rest) if rest else {}
    return {"file": {"path": _absolute(path), "format": extra.pop("format", None) or _format_of(path), **extra}}


def device_volume(where: str) -> Tree:
    path, _, rest = where.partition(",")
    return {"local": {"device_path": _absolute(path), **(object_of(rest) if rest else {})}}


def nbd_volume(where: str) -> Tree:
    """An NBD URI: nbd://host[:port]/export or nbd+unix:///export?socket=/path. Raises click.UsageError."""
    try:
        url = urlsplit(where)
        port = url.port
    except ValueError as error:
        raise click.UsageError(f"not an NBD URI: {error}") from None
    export = unquote(url.path.removeprefix("/"))
    if url.scheme == "nbd" and url.hostname:
        return {"nbd": {"host": url.hostname, "port": port or _NBD_PORT, "export": export}}
    sockets = parse_qs(url.query).get("socket", [])
    if url.scheme == "nbd+unix" and len(sockets) == 1:
        return {"nbd": {"socket": sockets[0], "export": export}}
    raise click.UsageError("an NBD URI is expected: nbd://host[:port]/export or nbd+unix:///export?socket=/path")


def interface(kind: str) -> Callable[[str], Tree]:
    """`NAME[,key=value...]`; the user network has no name."""

    def make(text: str) -> Tree:
        name, _, rest = text.partition(",")
        return {"type": kind, **({kind: name} if name else {}), **(object_of(rest) if rest else {})}

    return make


def public_key(text: str) -> Tree:
    """A file in the form of authorized_keys: the key's comment is its name. Raises click.UsageError."""
    lines = [line.strip() for line in read_text(text).splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys or any("PRIVATE KEY" in line for line in keys):
        raise click.UsageError(f"{text}: a public key is expected, as in id_ed25519.pub")
    return {_key_name(key, f"{Path(text).stem}{number or ''}"): key for number, key in enumerate(keys)}


def _key_name(key: str, other: str) -> str:
    parts = key.split(maxsplit=2)
    return parts[2] if len(parts) == 3 else other


def _as_disk(make: Callable[[str], Tree]) -> Callable[[str], Tree]:
    return lambda text: {"kind": "volume", "connection_info": make(text)}


_VOLUMES: tuple[tuple[str, str, Callable[[str], Tree], str], ...] = (
    (
        "--volume-file",
        "ID=PATH[,format=...]",
        file_volume,
        "A volume in a file of the host; format by its suffix.",
    ),
    ("--volume-device", "ID=PATH", device_volume, "A volume that is a block device of the host."),
    (
        "--volume-nbd",
        "ID=URI",
        nbd_volume,
        "A volume behind NBD: nbd://host/export, nbd+unix:///export?socket=PATH.",
    ),
)
_INTERFACES = (
    ("--bridge", "NAME[,KEY=VALUE...]", "bridge", "An interface in a Linux bridge of the host."),
    ("--network", "NAME[,KEY=VALUE...]", "network", "An interface in a libvirt network."),
    ("--user-net", "", "user", "An interface in QEMU's own user-mode network."),
)

SHORTCUTS: dict[str, tuple[Shortcut, ...]] = {
    "spawn": (
        Shortcut(
            "--image",
            "PATH|URL[,KEY=VALUE...]",
            "instance.disks",
            image,
            "A disk on an image; the first one boots. Format by the suffix .qcow2 or .raw, or format=.",
            many=True,
        ),
        *(
            Shortcut(name, metavar, "instance.disks", _as_disk(volume(connect)), text, many=True)
            for name, metavar, connect, text in _VOLUMES
        ),
        *(
            Shortcut(name, metavar, "instance.interfaces", interface(kind), text, many=True)
            for name, metavar, kind, text in _INTERFACES
        ),
        Shortcut(
            "--user-data",
            "FILE",
            "instance.config_drive.user_data",
            lambda text: Secret(read_text(text)),
            "A script or #cloud-config for the guest; - is standard input.",
        ),
        Shortcut(
            "--admin-pass",
            "-|@FILE|env:NAME",
            "instance.config_drive.admin_pass",
            str,
            "The guest's password: - asks for it, @FILE and env:NAME read it.",
        ),
        Shortcut(
            "--ssh-key",
            "FILE",
            "instance.config_drive.public_keys",
            public_key,
            "A public key that may log in, as in id_ed25519.pub.",
            many=True,
        ),
    ),
    "attach_volume": tuple(
        Shortcut(name, metavar, "connection_info", volume(connect), text)
        for name, metavar, connect, text in _VOLUMES
    ),
    "attach_interface": tuple(
        Shortcut(name, metavar, "vif", interface(kind), text) for name, metavar, kind, text in _INTERFACES
    ),
}
"""Method to its short options. In a list of disks or interfaces the order is that of this table, then that of
the command line; --disk and --interface come last."""


def given(method: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fragments that were asked for, with their paths. Raises click.UsageError."""
    for shortcut in SHORTCUTS.get(method, ()):
        for text in shortcut.texts(values):
            try:
                yield shortcut.into, shortcut.make(text)
            except click.UsageError as error:
                raise click.UsageError(f"{shortcut.option}: {error.message}") from None


def collected(method: str, values: Mapping[str, Any]) -> Tree:
    """All fragments as one tree: those for a list in a list, objects merged. Raises click.UsageError."""
    gathered: dict[str, list[Any]] = {}
    for path, fragment in given(method, values):
        gathered.setdefault(path, []).append(fragment)
    tree: Tree = {}
    for path, fragments in gathered.items():
        put(tree, path, _together(path, fragments))
    return tree


def _together(path: str, fragments: list[Any]) -> Any:
    if path in _LISTS:
        return fragments
    if path in _OBJECTS:
        return {key: value for fragment in fragments for key, value in fragment.items()}
    if len(fragments) > 1:
        raise click.UsageError(f"{path} was given in several ways; take one")
    return fragments[0]


def _absolute(where: str) -> str:
    return where if "://" in where else os.path.abspath(where)


def _format_of(where: str) -> str:
    """Never guessed: an image taken for raw that isn't gives a guest the choice of what the host reads."""
    suffix = Path(urlsplit(where).path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"{where}: its name doesn't tell the format; add ,format=qcow2 or ,format=raw")
    return _SUFFIXES[suffix]
