"""Ground for storage tests: real images made on the spot, and a real web server on the loopback."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import ipaddress
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.hypervisor.storage.disks import DiskOptions, LocalDisks
from agent.hypervisor.storage.images import Bounds
from agent.hypervisor.storage.web import Web
from agent.spec import ImageSource

MIB = 1024 * 1024
NO_WAIT = Bounds(reserve=0, retry_wait_s=0.01)


def qemu_img(*args: str | Path) -> None:
    subprocess.run(["qemu-img", *args], check=True, capture_output=True)


def qcow2(path: Path, mib: int = 8, *, data_mib: int = 1) -> Path:
    """A qcow2 image of `mib` MiB, `data_mib` of them written."""
    qemu_img("create", "-f", "qcow2", path, f"{mib}M")
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P 0x5a 0 {data_mib}M", path], check=True, capture_output=True
    )
    return path


def info(path: Path, form: str) -> dict[str, Any]:
    done = subprocess.run(["qemu-img", "info", "-f", form, "--output=json", path], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def source(path: Path, form: str = "qcow2", *, algorithm: str | None = "sha256") -> ImageSource:
    """`path` as a local image, with its checksum unless `algorithm` is None."""
    return ImageSource.model_validate(
        {
            "url": str(path),
            "format": form,
            "checksum": checksum(path.read_bytes(), algorithm) if algorithm else None,
        }
    )


def silent(what: str, fraction: float) -> None:
    """A progress nobody looks at."""


def cached(state_dir: Path) -> list[str]:
    """What is in the image cache, half-made things too."""
    return sorted(path.name for path in (state_dir / "image-cache").iterdir())


def open_disks(root: Path, bounds: Bounds = NO_WAIT, web: Web | None = None) -> LocalDisks:
    """Disks in `root/state`, images allowed in `root/images`."""
    (root / "images").mkdir(exist_ok=True)
    options = DiskOptions(allowed_directories=(root / "images",), bounds=bounds, web=web)
    return LocalDisks.open(root / "state", options)


class ImageServer:
    """Serves `content` at every path, and misbehaves as told."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests: list[web.Request] = []
        self.statuses: list[int] = []
        """Answers for the next requests, before it behaves."""
        self.cuts = 0
        """So many next answers end in the middle."""
        self.headers = {"ETag": '"1"'}
        self.length = True
        """Whether it says how long the answer is."""
        self.redirect: str | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.redirect is not None:
            raise web.HTTPFound(self.redirect)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        response = web.StreamResponse(headers=self.headers)
        if self.length:
            response.content_length = len(self.content)
        await response.prepare(request)
        half = len(self.content) // 2
        await response.write(self.content[:half])
        if self.cuts:
            self.cuts -= 1
            assert request.transport is not None
            request.transport.abort()
            return response
        await self.go_on.wait()
        await response.write(self.content[half:])
        return response


@asynccontextmanager
async def serving(content: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[ImageServer]:
    server = ImageServer(content)
    app = web.Application()
    app.router.add_get("/{name:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        server.go_on.set()
        await runner.cleanup()


def self_signed(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for 127.0.0.1, and the file of certificates that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "image server of a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.pem").write_bytes(pem)
    (directory / "server.pem").write_bytes(pem + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context, directory / "ca.pem"
