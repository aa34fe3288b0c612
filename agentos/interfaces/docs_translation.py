"""Whether a translated page is in step with its original: headings, code, tables, links, and what was changed since."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from posixpath import normpath

from agentos.errors import UserError

_FENCE = re.compile(r"\s*(```+|~~~+)")
_HEADING = re.compile(r"(#{1,6}) +(.+)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`[^`]*`")
_MARK = re.compile(r"<!-- translated: ([0-9a-f]+) -->")
_OTHER = "the other language's page"


@dataclass
class Section:
    """A heading and what stands beneath it, up to the next heading of any level; lines count from 1."""

    level: int
    title: str
    line: int
    code: list[list[tuple[int, str]]] = field(default_factory=list)
    """Each code block's lines as they are, its fences too, with their numbers."""
    prose: list[str] = field(default_factory=list)
    """All other lines but generated tables and the mark."""
    mark: str = ""

    @property
    def hash(self) -> str:
        """Of title and prose; how its lines are broken does not count."""
        return sha256(" ".join(" ".join([self.title, *self.prose]).split()).encode()).hexdigest()[:8]

    @property
    def rows(self) -> int:
        """How many lines its own tables have, heads and rules too."""
        return sum(line.lstrip().startswith("|") for line in self.prose)

    def links(self, page: Path, other: Path) -> Counter[str]:
        """Where its links and pictures lead, as seen from the folder that both pages are reached from."""
        targets = _LINK.findall("\n".join(_SPAN.sub("", line) for line in self.prose))
        return Counter(_target(target, page, other) for target in targets)


def sections(text: str) -> list[Section]:
    """The page's sections, in order.

    Raises:
        UserError: something stands before the first heading.
    """
    found: list[Section] = []
    fence, generated = "", False
    for number, line in enumerate(text.splitlines(), 1):
        opened = _FENCE.match(line)
        heading = None if fence or generated else _HEADING.fullmatch(line)
        if heading:
            found.append(Section(len(heading[1]), heading[2].strip(), number))
        elif not found:
            if line.strip():
                raise UserError(f"line {number} stands before the first heading. Nothing was marked. Move it beneath.")
        elif fence:
            found[-1].code[-1].append((number, line))
            fence = "" if line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
        elif generated or line.startswith("<!-- generated: "):
            generated = line != "<!-- end -->"
        elif opened:
            fence = opened[1]
            found[-1].code.append([(number, line)])
        elif mark := _MARK.fullmatch(line):
            found[-1].mark = mark[1]
        else:
            found[-1].prose.append(line)
    return found


def drift(original: Path, translation: Path) -> Iterator[str]:
    """What is out of step, a line each: file, line, section, and what differs from the original.

    Where the headings differ, that alone is told: what is beneath them cannot be paired.

    Raises:
        OSError: a page cannot be read.
        UserError: a page has text before its first heading.
    """
    yield from _drift(original, translation, marked=True)


def mark(original: Path, translation: Path) -> tuple[str, list[str]]:
    """The translation with each section marked as made of the original's as it now is; and whose marks are new.

    Raises:
        OSError: a page cannot be read.
        UserError: headings, code, tables or links differ, so that the translation cannot be of what the original says.
    """
    if differs := list(_drift(original, translation, marked=False)):
        raise UserError("\n".join([*differs, "No section was marked as translated. Bring these in step first."]))
    text = translation.read_text("utf-8")
    lines, new = text.splitlines(), []
    pairs = list(zip(sections(original.read_text("utf-8")), sections(text), strict=True))
    for ours, theirs in reversed(pairs):
        if theirs.mark != ours.hash:
            new.append(theirs.title)
        end = theirs.line + (theirs.line < len(lines) and bool(_MARK.fullmatch(lines[theirs.line])))
        lines[theirs.line : end] = [f"<!-- translated: {ours.hash} -->"]
    return "\n".join(lines) + "\n", new[::-1]


def _drift(original: Path, translation: Path, marked: bool) -> Iterator[str]:
    all_ours, all_theirs = (sections(page.read_text("utf-8")) for page in (original, translation))
    if [each.level for each in all_ours] != [each.level for each in all_theirs]:
        yield _headings(original, all_ours, translation, all_theirs)
        return
    for ours, theirs in zip(all_ours, all_theirs, strict=True):
        where, there = f"{translation}:{theirs.line} ({theirs.title})", f"{original}:{ours.line} ({ours.title})"
        yield from (f"{where}: {said}" for said in _code(ours, theirs, original))
        if ours.rows != theirs.rows:
            yield f"{where}: {theirs.rows} lines of tables, and {ours.rows} in {there}"
        expected, given = ours.links(original, translation), theirs.links(translation, original)
        if expected != given:
            lacks, besides = (", ".join(few) or "none" for few in (expected - given, given - expected))
            counts = f"{given.total()} links, and {expected.total()} in {there}"
            yield f"{where}: {counts}; lacking: {lacks}; not there: {besides}"
        if marked and theirs.mark != ours.hash:
            said = "was changed since it was translated" if theirs.mark else "is not marked as translated"
            yield f"{where}: {there} {said}"


def _headings(original: Path, ours: list[Section], translation: Path, theirs: list[Section]) -> str:
    """Where the headings differ: by their number the sections that no mark joins, else the first of another level."""
    if len(ours) == len(theirs):
        one, other = next(pair for pair in zip(ours, theirs, strict=True) if pair[0].level != pair[1].level)
        where, there = f"{translation}:{other.line} ({other.title})", f"{original}:{one.line} ({one.title})"
        return f"{where}: a heading of level {other.level}, and of level {one.level} in {there}"
    marks, hashes = {each.mark for each in theirs}, {each.hash for each in ours}
    single = [f"{original}:{each.line} ({each.title})" for each in ours if each.hash not in marks]
    single += [f"{translation}:{each.line} ({each.title})" for each in theirs if each.mark not in hashes]
    return f"{translation}: {len(theirs)} headings, and {len(ours)} in {original}; without a counterpart: " + (
        ", ".join(single) or "none, so one is there twice"
    )


def _code(ours: Section, theirs: Section, original: Path) -> Iterator[str]:
    if len(ours.code) != len(theirs.code):
        yield f"{len(theirs.code)} code blocks, and {len(ours.code)} in {original}:{ours.line}"
    for wanted, given in zip(ours.code, theirs.code, strict=False):
        for expected, line in zip_longest(wanted, given):
            if expected is None or line is None or expected[1] != line[1]:
                at = f"line {(line or given[-1])[0]}", f"{original}:{(expected or wanted[-1])[0]}"
                said = [f"`{each[1]}`" if each else "the block's end" for each in (line, expected)]
                yield f"code at {at[0]} is {said[0]}, and {said[1]} at {at[1]}"
                break


def _target(target: str, page: Path, other: Path) -> str:
    if target.startswith("#"):
        return "a heading of its own"
    if ":" in target:
        return target
    path = normpath(PurePosixPath(page.parent.as_posix()) / target)
    return _OTHER if path == normpath(other.as_posix()) else path
