"""Downloads that resume, are held to their hash, and leave nothing broken behind."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import ssl
from collections.abc import Awaitable, Callable
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from agentos.errors import Failed
from agentos.models.sources import Fetch, Unreachable, pip
from agentos.sealing.files import opened
from agentos.types.units import show_bytes

TRIES = 5
"""In a row without a byte gained; each gain starts the count afresh."""
Tell = Callable[[int, int], Awaitable[None]]
"""Told the bytes of this download that are there, and its size (0 while unknown)."""


class WrongHash(Exception):
    """What came is not what was promised; the next source is tried."""


def client() -> httpx.AsyncClient:
    """An HTTP client that honours the proxy and certificate settings of the environment."""
    context = ssl.create_default_context()
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        file = os.environ.get(name)
        if file and Path(file).is_file():
            context.load_verify_locations(file)
    return httpx.AsyncClient(
        verify=context, follow_redirects=True, timeout=httpx.Timeout(60, connect=10),
        headers={"Accept-Encoding": "identity", "User-Agent": "agentos"},
    )


async def download(
    http: httpx.AsyncClient, what: Fetch, folder: Path, tell: Tell, *, pause: float = 1.0
) -> Path:
    """The file, whole and with the right hash; what is there already is not fetched again.

    A broken connection is taken up where it broke, now or by the next call. Cancelling keeps the part.

    Args:
        http: The client to use.
        what: What to fetch.
        folder: Where the file, or its `.part`, lies.
        tell: Told how far it is.
        pause: Seconds between tries, doubled each time.

    Raises:
        Unreachable: the source does not answer, or broke off too often.
        WrongHash: the bytes are not those promised; they are removed.
        Failed: the disk is full; the part is removed.
    """
    part = Part(folder / what.file)
    try:
        if await asyncio.to_thread(part.done, what.sha256):
            await tell(part.whole_size, part.whole_size)
            return part.whole
        resumed = part.size > 0
        while True:
            await _persist(http, what, part, tell, pause)
            found = await asyncio.to_thread(digest, part.path)
            if not what.sha256 or found == what.sha256:
                return part.finish()
            part.drop()
            if not resumed:
                raise WrongHash(f"{what.file}: sha256 {found[:12]}… came, and {what.sha256[:12]}… was promised")
            resumed = False  # what was there before may have been the wrong half: once more from the beginning
    except OSError as error:
        raise full_disk(error, folder, part) from error
    except WrongHash:
        part.drop()
        raise


class Part:
    """A download under way: `NAME.part`, and beside it the server's mark of which version it is."""

    def __init__(self, whole: Path) -> None:
        """The part of a file that will be `whole`."""
        whole.parent.mkdir(parents=True, exist_ok=True)
        self.whole = whole
        self.path = whole.with_name(whole.name + ".part")
        self._tag = whole.with_name(whole.name + ".tag")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def whole_size(self) -> int:
        """Bytes of the whole file."""
        return self.whole.stat().st_size

    @property
    def tag(self) -> str:
        """The version that was begun, or nothing."""
        return self._tag.read_text("utf-8") if self._tag.exists() else ""

    def done(self, sha256: str) -> bool:
        """Whether the whole file is there with that hash."""
        return bool(sha256) and self.whole.is_file() and digest(self.whole) == sha256

    def mark(self, tag: str) -> None:
        """Notes the version that is begun; a weak one is no use for resuming."""
        if tag and not tag.startswith("W/"):
            self._tag.write_text(tag, "utf-8")
        else:
            self._tag.unlink(missing_ok=True)

    def open(self, at: int) -> FileIO:
        """The file, cut to `at` bytes and ready for more; no buffer, so that a full disk shows at once."""
        stream = self.path.open("r+b" if at else "wb", buffering=0)
        stream.seek(at)
        stream.truncate()
        return stream

    def copy(self, source: str) -> None:
        """Takes the bytes of a file on this machine."""
        shutil.copyfile(source, self.path)

    def drop(self) -> None:
        """Removes what is there."""
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def finish(self) -> Path:
        """Gives the whole file its name."""
        self.path.replace(self.whole)
        self._tag.unlink(missing_ok=True)
        return self.whole


async def _persist(http: httpx.AsyncClient, what: Fetch, part: Part, tell: Tell, pause: float) -> None:
    if urlsplit(what.url).scheme == "file":
        return await asyncio.to_thread(part.copy, url2pathname(urlsplit(what.url).path))
    failures = 0
    while True:
        before = part.size
        try:
            if await _once(http, what, part, tell):
                return
            cause: httpx.HTTPError = httpx.ReadError("the connection broke")
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            if code in {401, 403, 407} and what.requirement:
                return await _by_pip(what, part)
            if code < 500 and code not in {408, 429}:
                raise Unreachable(f"{_host(what)} answered {code}") from error
            cause = error
        except httpx.HTTPError as error:
            cause = error
        failures = 1 if part.size > before else failures + 1
        closed = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
        if closed and failures >= 2 and not before:
            if what.requirement:
                return await _by_pip(what, part)
            raise Unreachable(f"{_host(what)} cannot be reached ({type(cause).__name__})")
        if failures >= TRIES:
            raise Unreachable(f"{_host(what)} broke off {failures} times ({type(cause).__name__})") from cause
        await asyncio.sleep(pause * 2 ** (failures - 1))


async def _once(http: httpx.AsyncClient, what: Fetch, part: Part, tell: Tell) -> bool:
    """One request; whether the file is whole after it."""
    have, mark = part.size, part.tag
    if have and not what.sha256 and not mark:
        have = 0  # nothing says that the file there is still the one that was begun
    if what.size and have == what.size:
        return True
    if what.size and have > what.size:
        have = 0
    headers = {"Range": f"bytes={have}-", **({"If-Range": mark} if mark else {})} if have else {}
    async with http.stream("GET", what.url, headers=headers) as answer:
        if answer.status_code == 416:
            part.drop()
            return False
        answer.raise_for_status()
        length = int(answer.headers.get("Content-Length") or 0)
        total = have + length if length else 0
        if answer.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if not span or int(span[1]) != have:
                part.drop()
                return False
            total = int(span[2]) if span[2] != "*" else total
        else:
            have, total = 0, length
            part.mark(answer.headers.get("ETag", ""))
        if what.size and total and total != what.size:
            raise WrongHash(f"{what.file}: {total} bytes are offered, and {what.size} were promised")
        room(part.whole.parent, (total or what.size) - have, what.file)
        with part.open(have) as out:
            async for chunk in answer.aiter_bytes():
                have += len(chunk)
                if what.size and have > what.size:
                    raise WrongHash(f"{what.file}: more than the {what.size} bytes promised")
                out.write(chunk)
                await tell(have, total or what.size)
    return not total or have == total


async def _by_pip(what: Fetch, part: Part) -> None:
    """The same wheel through pip's own download, which knows credentials and proxies that only pip is told."""
    folder = part.whole.with_suffix(".pip")
    try:
        await pip(["download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(folder), what.requirement])
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise Unreachable(f"pip brought {len(wheels)} wheels for {what.requirement}")
        shutil.move(wheels[0], part.path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def digest(path: Path) -> str:
    """The sha256 of a file, of what it holds in clear."""
    with opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def room(folder: Path, need: int, what: str) -> None:
    """Sees to it that a disk has room.

    Raises:
        Failed: it has not; the message has the numbers.
    """
    free = shutil.disk_usage(folder).free
    if need > free:
        raise Failed(
            f"{what} needs {show_bytes(need)} on disk and {folder} has {show_bytes(free)} free; nothing was stored. "
            "Free some space, or set AGENTOS_HOME or AGENTOS_CACHE to a larger disk."
        )


def full_disk(error: OSError, folder: Path, part: Part | None = None) -> Exception:
    """A `Failed` for a disk that is full, once the part is removed; any other error as it is."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return error
    if part is not None:
        part.drop()
    return Failed(
        f"the disk of {folder} is full; what was begun is removed and nothing was stored. "
        "Free some space, or set AGENTOS_HOME or AGENTOS_CACHE to a larger disk."
    )


def _host(what: Fetch) -> str:
    return urlsplit(what.url).hostname or what.file
