"""Images from http and https servers.

One try is one GET from the first byte; `images` tries again after `Interrupted`. There is no HEAD before it:
signed URLs are good for one method only. Nothing of a URL beyond host and path gets into an error, and
aiohttp's own errors, which print whole URLs, are never chained.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp

from agent.errors import AgentError, InvalidRequest, NotFound, Unavailable
from agent.hypervisor.storage.paths import shown
from agent.hypervisor.storage.sources import CHUNK, Interrupted, Stream
from agent.hypervisor.storage.web import Web

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
GONE = frozenset({404, 410})
MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Download:
    """An image on a server. `sealed`: no checksum vouches for it, so TLS must, on every hop."""

    url: str
    web: Web
    sealed: bool

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stream]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.web.connect_s, sock_read=self.web.silence_s)
        connector = aiohttp.TCPConnector(ssl=await self.web.trust())
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, read_bufsize=CHUNK
        ) as session:
            with _named(self.url):
                response = await session.get(
                    self.url, max_redirects=MAX_REDIRECTS, headers={"Accept-Encoding": "identity"}
                )
            async with response:
                self._judge(response)
                version, size = _version(response), response.content_length
                yield Stream(version, size, _chunks(self.url, response))

    def _judge(self, response: aiohttp.ClientResponse) -> None:
        if (error := _refusal(response.status, self.url)) is not None:
            raise error
        hops = [*(hop.url for hop in response.history), response.url]
        if self.sealed and any(hop.scheme != "https" for hop in hops):
            raise InvalidRequest.field(
                "image.checksum", "missing, and the image doesn't come by https alone", "give a checksum"
            )


async def _chunks(url: str, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    with _named(url):
        async for chunk in response.content.iter_chunked(CHUNK):
            yield chunk


def _version(response: aiohttp.ClientResponse) -> str | None:
    # The redirected-to URL is left out: it may be signed anew each time.
    tags = [response.headers.get(name) for name in ("ETag", "Last-Modified")]
    return " ".join([*filter(None, tags), str(response.content_length)]) if any(tags) else None


def _refusal(status: int, url: str) -> Exception | None:
    if status == 200:
        return None
    if status in PASSING:
        return Interrupted(f"{shown(url)} answered {status}")
    if status in GONE:
        return NotFound(f"no image at {shown(url)}")
    return InvalidRequest.field("image.url", f"the server answered {status}", "give a URL that can be read")


@contextmanager
def _named(url: str) -> Iterator[None]:
    """aiohttp's errors become ours. An error of whoever reads the chunks passes through."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise _ours(error, url) from None


def _ours(error: Exception, url: str) -> AgentError | Interrupted:
    what = type(error).__name__
    if isinstance(error, aiohttp.ClientSSLError):
        return Unavailable(f"{shown(url)}: the server's certificate isn't trusted ({what})")
    if isinstance(error, aiohttp.TooManyRedirects):
        return InvalidRequest.field("image.url", "too many redirects", "give the image's own URL")
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return InvalidRequest.field("image.url", "not a URL that can be asked", "mend it")
    return Interrupted(f"{shown(url)} can't be read ({what})")
