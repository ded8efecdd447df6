"""Images: fetched once, whole, from where they may come; nothing is left of what fails."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent import telemetry
from agent.deadline import within
from agent.errors import AgentError, InvalidRequest, NoCapacity, NotFound, Unavailable
from agent.hypervisor.storage.disks import LocalDisks
from agent.hypervisor.storage.web import Web
from agent.spec import ImageSource
from tests.integration.storage_ground import (
    MIB,
    NO_WAIT,
    cached,
    checksum,
    info,
    open_disks,
    qcow2,
    self_signed,
    serving,
    silent,
    source,
)
from tests.unit.hypervisor.storage.specs import image_disk, spec


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def disks(tmp_path: Path) -> LocalDisks:
    return open_disks(tmp_path)


@pytest.fixture
def image(tmp_path: Path, disks: LocalDisks) -> Path:
    return qcow2(tmp_path / "images" / "a.qcow2")


def remote(url: str, content: bytes | None, form: str = "qcow2") -> ImageSource:
    facts = {"url": url, "format": form, "checksum": checksum(content) if content is not None else None}
    return ImageSource.model_validate(facts)


class Watch:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.begun = asyncio.Event()

    def __call__(self, what: str, fraction: float) -> None:
        self.told.append(fraction)
        self.begun.set()


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again, until a deadline that an agent meets which starts on a busy host."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


# From this host.


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", None])
async def test_a_local_image_comes_into_the_cache_once(
    disks: LocalDisks, image: Path, state: Path, algorithm: str | None
) -> None:
    asked = source(image, algorithm=algorithm)
    await disks.fetch(asked, silent)
    (name,) = cached(state)
    first = (state / "image-cache" / name / "disk").stat().st_ino
    await disks.fetch(asked, silent)
    assert cached(state) == [name]
    assert (state / "image-cache" / name / "disk").stat().st_ino == first
    assert (state / "image-cache" / name / "disk").read_bytes() == image.read_bytes()


async def test_with_a_checksum_in_the_cache_the_source_isnt_needed_any_more(
    disks: LocalDisks, image: Path
) -> None:
    asked = source(image)
    await disks.fetch(asked, silent)
    image.unlink()
    await disks.fetch(asked, silent)


async def test_a_local_image_that_was_changed_is_another_image(
    disks: LocalDisks, image: Path, state: Path
) -> None:
    asked = source(image, algorithm=None)
    await disks.fetch(asked, silent)
    qcow2(image, 16)
    await disks.fetch(asked, silent)
    assert len(cached(state)) == 2


async def test_a_file_url_is_as_good_as_a_path(disks: LocalDisks, image: Path, state: Path) -> None:
    await disks.fetch(source(image), silent)
    await disks.fetch(source(image).model_copy(update={"url": image.as_uri()}), silent)
    assert len(cached(state)) == 1


async def test_a_missing_image_is_not_found(disks: LocalDisks, image: Path, state: Path) -> None:
    asked = source(image)
    image.unlink()
    with pytest.raises(NotFound):
        await disks.fetch(asked, silent)
    assert cached(state) == []


async def test_an_image_elsewhere_is_refused_whoever_links_to_it(
    disks: LocalDisks, tmp_path: Path, state: Path
) -> None:
    outside = qcow2(tmp_path / "outside.qcow2")
    link = tmp_path / "images" / "link"
    link.symlink_to(outside)
    for path in (outside, link):
        with pytest.raises(InvalidRequest, match="outside"):
            await disks.fetch(source(path), silent)
    assert cached(state) == []


async def test_a_pipe_in_the_place_of_an_image_is_refused_and_doesnt_hang(
    disks: LocalDisks, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "images" / "pipe")
    asked = ImageSource.model_validate({"url": str(tmp_path / "images" / "pipe"), "format": "raw"})
    with pytest.raises(InvalidRequest, match="regular"):
        await disks.fetch(asked, silent)


async def test_a_wrong_checksum_is_refused_and_leaves_nothing(disks: LocalDisks, image: Path, state: Path) -> None:
    asked = source(image).model_copy(update={"checksum": "sha256:" + "0" * 64})
    with pytest.raises(InvalidRequest) as caught:
        await disks.fetch(asked, silent)
    assert caught.value.details["fields"][0]["path"] == "image.checksum"
    assert cached(state) == []


async def test_the_same_content_under_another_format_is_looked_at_anew(
    disks: LocalDisks, image: Path, state: Path
) -> None:
    await disks.fetch(source(image), silent)
    with pytest.raises(InvalidRequest, match="it is qcow2"):
        await disks.fetch(source(image, "raw"), silent)
    assert len(cached(state)) == 1


async def test_the_holes_of_a_raw_image_stay_holes(disks: LocalDisks, tmp_path: Path, state: Path) -> None:
    path = tmp_path / "images" / "sparse.raw"
    with path.open("wb") as file:
        file.write(b"boot" * 1024)
        file.truncate(256 * MIB)
    await disks.fetch(source(path, "raw", algorithm=None), silent)
    stat = (state / "image-cache" / cached(state)[0] / "disk").stat()
    assert stat.st_size == 256 * MIB
    assert stat.st_blocks * 512 < 4 * MIB


# From a server.


async def test_an_image_is_downloaded_with_progress(disks: LocalDisks, image: Path, state: Path) -> None:
    content, watch = image.read_bytes(), Watch()
    async with serving(content) as server:
        with telemetry.measured() as shares:
            await disks.fetch(remote(f"{server.url}/a", content), watch)
    (name,) = cached(state)
    assert (state / "image-cache" / name / "disk").read_bytes() == content
    assert watch.told == sorted(watch.told)
    assert watch.told[-1] == 1.0
    assert shares["download"] > 0


async def test_a_server_that_doesnt_say_the_length_is_fine(disks: LocalDisks, image: Path, state: Path) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.length = False
        await disks.fetch(remote(f"{server.url}/a", content), silent)
    assert len(cached(state)) == 1


async def test_many_who_ask_at_once_share_one_download(disks: LocalDisks, image: Path, state: Path) -> None:
    content = image.read_bytes()
    watches = [Watch() for _ in range(8)]
    async with serving(content) as server:
        asked = remote(f"{server.url}/a", content)
        await asyncio.gather(*(disks.fetch(asked, watch) for watch in watches))
        assert len(server.requests) == 1
    assert all(watch.told[-1] == 1.0 for watch in watches)
    assert len(cached(state)) == 1


async def test_one_who_gives_up_leaves_the_download_to_the_others(disks: LocalDisks, image: Path) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.go_on.clear()
        asked = remote(f"{server.url}/a", content)
        watch = Watch()
        first = asyncio.create_task(disks.fetch(asked, silent))
        second = asyncio.create_task(disks.fetch(asked, watch))
        await watch.begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.go_on.set()
        await second
        assert len(server.requests) == 1


async def test_when_the_last_gives_up_nothing_is_left_and_the_next_begins_anew(
    disks: LocalDisks, image: Path, state: Path
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.go_on.clear()
        asked = remote(f"{server.url}/a", content)
        watch = Watch()
        only = asyncio.create_task(disks.fetch(asked, watch))
        await watch.begun.wait()
        assert [name.startswith(".part-") for name in cached(state)] == [True]
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        assert cached(state) == []
        server.go_on.set()
        await disks.fetch(asked, silent)
        assert len(server.requests) == 2


async def test_a_fetch_past_its_deadline_is_unavailable_and_leaves_nothing(
    disks: LocalDisks, image: Path, state: Path
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.go_on.clear()
        with within(0.2), pytest.raises(Unavailable, match="in time"):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
    assert cached(state) == []


async def test_ending_the_disks_ends_their_downloads(disks: LocalDisks, image: Path, state: Path) -> None:
    content = image.read_bytes()
    running = asyncio.create_task(disks.run())
    async with serving(content) as server:
        server.go_on.clear()
        watch = Watch()
        fetching = asyncio.create_task(disks.fetch(remote(f"{server.url}/a", content), watch))
        await watch.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(Unavailable, match="stopping"):
            await fetching
    assert cached(state) == []


@pytest.mark.parametrize("trouble", ["statuses", "cuts"])
async def test_what_passes_is_tried_again_from_the_first_byte(
    disks: LocalDisks, image: Path, state: Path, trouble: str
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        if trouble == "statuses":
            server.statuses = [503, 429]
        else:
            server.cuts = 2
        await disks.fetch(remote(f"{server.url}/a", content), silent)
        assert len(server.requests) == 3
    assert (state / "image-cache" / cached(state)[0] / "disk").read_bytes() == content


async def test_what_doesnt_pass_is_unavailable_after_a_few_tries(
    disks: LocalDisks, image: Path, state: Path
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.cuts = 99
        with pytest.raises(Unavailable):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
        assert len(server.requests) == NO_WAIT.attempts
    assert cached(state) == []


async def test_a_server_that_isnt_there_is_unavailable(disks: LocalDisks, image: Path) -> None:
    async with serving(b"") as server:
        gone = server.url
    with pytest.raises(Unavailable):
        await disks.fetch(remote(f"{gone}/a", image.read_bytes()), silent)


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFound), (410, NotFound), (403, InvalidRequest), (204, InvalidRequest)]
)
async def test_a_refusal_isnt_tried_again(
    disks: LocalDisks, image: Path, status: int, error: type[AgentError]
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.statuses = [status]
        with pytest.raises(error):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
        assert len(server.requests) == 1


async def test_a_silent_server_is_unavailable(tmp_path: Path, image: Path) -> None:
    disks = open_disks(tmp_path, replace(NO_WAIT, attempts=2), Web(silence_s=1.0))
    content = image.read_bytes()
    async with serving(content) as server:
        server.go_on.clear()
        with pytest.raises(Unavailable, match="can't be read"):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
        await until(lambda: len(server.requests) == 2)


@pytest.mark.parametrize("length", [True, False])
async def test_more_than_the_host_accepts_is_refused_declared_or_not(
    tmp_path: Path, image: Path, state: Path, length: bool
) -> None:
    content = image.read_bytes()
    disks = open_disks(tmp_path, replace(NO_WAIT, max_image_bytes=len(content) - 1))
    async with serving(content) as server:
        server.length = length
        with pytest.raises(InvalidRequest, match="larger"):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
    assert cached(state) == []


async def test_what_cant_fit_isnt_even_begun(tmp_path: Path, image: Path, state: Path) -> None:
    disks = open_disks(tmp_path, replace(NO_WAIT, reserve=2**60))
    with pytest.raises(NoCapacity) as caught:
        await disks.fetch(source(image), silent)
    assert caught.value.details["resource"] == "disk"
    assert cached(state) == []


async def test_nothing_secret_of_a_url_gets_into_errors_or_the_cache(
    disks: LocalDisks, image: Path, state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        url = server.url.replace("://", "://user:hunter2@") + "/a?signature=hunter2"
        said = []
        unreadable = remote("https://user:hunter2@host:port/a?signature=hunter2", content)
        for cuts, asked in ((99, remote(url, content)), (0, remote(url, b"other")), (0, unreadable)):
            server.cuts = cuts
            with pytest.raises(AgentError) as caught:
                await disks.fetch(asked, silent)
            error: BaseException | None = caught.value
            while error is not None:
                said.append(f"{error!r} {getattr(error, 'details', '')}")
                error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        server.cuts = 0
        await disks.fetch(remote(url, content), silent)
    said.append((state / "image-cache" / cached(state)[0] / "about.json").read_text())
    out, err = capfd.readouterr()
    assert not re.search("hunter2", " ".join([*said, out, err]))


@pytest.mark.parametrize("url", ["http://", "http://host:port/a", "http://[x/a", "https:///a"])
async def test_a_url_that_cant_be_asked_is_refused(disks: LocalDisks, url: str) -> None:
    with pytest.raises(InvalidRequest):
        await disks.fetch(remote(url, b"x"), silent)


# Without a checksum: only TLS vouches for the content, and the server must name its versions.


@pytest.fixture
def trusting(tmp_path: Path) -> LocalDisks:
    """Disks that trust the certificate of `self_signed`."""
    self_signed_files = tmp_path / "tls"
    self_signed_files.mkdir()
    return open_disks(tmp_path, web=Web(ca_file=self_signed_files / "ca.pem"))


async def test_over_tls_a_version_of_an_image_is_fetched_once(
    trusting: LocalDisks, tmp_path: Path, state: Path
) -> None:
    content = qcow2(tmp_path / "a").read_bytes()
    tls, _ = self_signed(tmp_path / "tls")
    async with serving(content, tls) as server:
        asked = remote(f"{server.url}/a", None)
        await trusting.fetch(asked, silent)
        await trusting.fetch(asked, silent)
        assert len(cached(state)) == 1
        server.headers = {"ETag": '"2"'}
        await trusting.fetch(asked, silent)
        assert len(cached(state)) == 2


async def test_an_untrusted_certificate_is_unavailable_at_once(
    disks: LocalDisks, image: Path, tmp_path: Path
) -> None:
    content = image.read_bytes()
    tls, _ = self_signed(tmp_path)
    async with serving(content, tls) as server:
        with pytest.raises(Unavailable, match="certificate"):
            await disks.fetch(remote(f"{server.url}/a", content), silent)
        assert server.requests == []


async def test_plain_http_needs_a_checksum_by_a_redirect_too(trusting: LocalDisks, tmp_path: Path) -> None:
    content = qcow2(tmp_path / "a").read_bytes()
    tls, _ = self_signed(tmp_path / "tls")
    async with serving(content) as plain, serving(content, tls) as sealed:
        sealed.redirect = f"{plain.url}/a"
        for url in (plain.url, sealed.url):
            with pytest.raises(InvalidRequest) as caught:
                await trusting.fetch(remote(f"{url}/a", None), silent)
            assert caught.value.details["fields"][0]["path"] == "image.checksum"
        await trusting.fetch(remote(f"{sealed.url}/a", content), silent)


async def test_a_server_that_names_no_version_needs_a_checksum(trusting: LocalDisks, tmp_path: Path) -> None:
    content = qcow2(tmp_path / "a").read_bytes()
    tls, _ = self_signed(tmp_path / "tls")
    async with serving(content, tls) as server:
        server.headers = {}
        with pytest.raises(InvalidRequest, match="names no version"):
            await trusting.fetch(remote(f"{server.url}/a", None), silent)


async def test_redirects_without_end_are_refused(disks: LocalDisks, image: Path) -> None:
    async with serving(b"") as server:
        server.redirect = f"{server.url}/again"
        with pytest.raises(InvalidRequest, match="redirects"):
            await disks.fetch(remote(f"{server.url}/a", image.read_bytes()), silent)


# The cache.


async def test_unused_images_make_room_used_ones_stay(tmp_path: Path, state: Path) -> None:
    disks = open_disks(tmp_path, replace(NO_WAIT, max_bytes=2 * MIB))
    used, unused, new = (source(qcow2(tmp_path / "images" / f"{mib}", mib)) for mib in (8, 16, 24))
    made = spec(disks=[image_disk("root", image=used.model_dump())])
    await disks.make_directory(made.uuid)
    await disks.create(made, made.disks[0])
    await disks.fetch(unused, silent)
    await disks.fetch(new, silent)
    names = {str(image.checksum).replace(":", "-") + ".qcow2" for image in (used, new)}
    assert set(cached(state)) == names
    # With its instance the image's use ends.
    await disks.remove(made.uuid)
    await disks.fetch(unused, silent)
    assert len(cached(state)) < 3
    assert str(used.checksum).replace(":", "-") + ".qcow2" not in cached(state)


async def test_old_images_go_by_themselves_but_not_those_in_use(tmp_path: Path, state: Path) -> None:
    disks = open_disks(tmp_path, replace(NO_WAIT, max_idle_s=-1))
    used, unused = (source(qcow2(tmp_path / "images" / f"{mib}", mib)) for mib in (8, 16))
    made = spec(disks=[image_disk("root", image=used.model_dump())])
    await disks.make_directory(made.uuid)
    await disks.create(made, made.disks[0])
    await disks.fetch(unused, silent)
    running = asyncio.create_task(disks.run())
    await until(lambda: len(cached(state)) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cached(state) == [str(used.checksum).replace(":", "-") + ".qcow2"]
    overlay = state / "instances" / str(made.uuid) / "root.qcow2"
    assert Path(info(overlay, "qcow2")["backing-filename"]).exists()


KILLED = """
import asyncio, sys
from pathlib import Path
from agent.spec import ImageSource
from tests.integration.storage_ground import open_disks, silent

async def main(root, url, checksum):
    disks = open_disks(Path(root))
    await disks.fetch(ImageSource(url=url, format="qcow2", checksum=checksum), silent)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_an_agent_killed_in_the_middle_of_a_download_leaves_nothing_to_its_successor(
    tmp_path: Path, image: Path, state: Path
) -> None:
    content = image.read_bytes()
    async with serving(content) as server:
        server.go_on.clear()
        agent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(tmp_path), f"{server.url}/a", checksum(content)
        )
        await until(lambda: any((state / "image-cache").glob(".part-*/disk")))
        agent.send_signal(signal.SIGKILL)
        await agent.wait()
        assert [name.startswith(".part-") for name in cached(state)] == [True]
        server.go_on.set()
        successor = open_disks(tmp_path)
        assert cached(state) == []
        await successor.fetch(remote(f"{server.url}/a", content), silent)
    assert len(cached(state)) == 1
