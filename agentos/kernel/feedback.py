"""What people let the kernel learn from: what they said, and what it should have come to.

A correction is kept because its giver says so. That a plan was confirmed, refused, or had to be repaired is kept on
its own, and only of those who agreed to that. Private values are taken out before anything is written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from agentos.errors import AgentosError, Failed, UserError
from agentos.kernel.corpus.build import Corpus, Row
from agentos.kernel.corpus.said import Said
from agentos.kernel.direct import YES
from agentos.kernel.language import CHAT, NONE, parse, write
from agentos.kernel.state import RunState
from agentos.registry import Registry
from agentos.types import Redact, Step

LONGEST = 1000
"""Letters of a sentence, at most."""
VARIANTS = 12
"""Rows that are drawn from one correction: itself, and the same about other things in other tones."""


Kind = Literal["corrected", "confirmed", "repaired", "refused"]


@dataclass(frozen=True)
class Correction:
    """One sentence and its right plan, in the plan language; where it was refused, its wrong one."""

    text: str
    plan: str
    user: str
    time: float
    kind: Kind = "corrected"


class Feedback:
    """A file of what was said, one JSON object a line, and who agreed that more is kept than they give."""

    def __init__(self, path: Path, redactor: Callable[[], Redact] | None = None) -> None:
        """The file need not be there yet; a redactor is made for each sentence with its plan."""
        self._path, self._redactor = path, redactor
        self._consent = path.with_name("consent.json")

    def agreed(self, user: str) -> bool:
        """Whether somebody agreed that what becomes of their plans is kept."""
        return user in self._agreed()

    def agree(self, user: str, yes: bool) -> None:
        """Keeps whether somebody agrees.

        Raises:
            Failed: it cannot be written.
        """
        users = sorted({*self._agreed(), user} if yes else self._agreed() - {user})
        self._write(self._consent, json.dumps(users, ensure_ascii=False))

    def forget(self, user: str) -> int:
        """Takes out all that somebody gave; says how much it was.

        Raises:
            Failed: it cannot be written.
        """
        lines = self._lines()
        kept = [line for line in lines if (made := _read(line)) is not None and made.user != user]
        if len(kept) < len(lines):
            self._write(self._path, "".join(line + "\n" for line in kept))
        return len(lines) - len(kept)

    def _agreed(self) -> set[str]:
        try:
            return set(json.loads(self._consent.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return set()

    def _write(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = path.with_suffix(".part")
            part.write_text(text, "utf-8")
            part.chmod(0o600)
            os.replace(part, path)
        except OSError as error:
            raise Failed(f"{path} could not be written: {error}") from error

    def add(self, text: str, plan: str, user: str, table: Registry, kind: Kind = "corrected") -> Correction:
        """Keeps a sentence and its plan, once that is known to be one that the table can carry out.

        Args:
            text: What was said.
            plan: What it should have come to: calls, one a line, `none()` or `chat()`.
            user: Who says so.
            table: The syscalls.
            kind: What speaks for it; of `refused`, what it should not have come to.

        Raises:
            UserError: the sentence is empty or too long, or the plan is none.
            Failed: it cannot be written.
        """
        said = text.strip()
        if not said or len(said) > LONGEST:
            raise UserError(f"a correction's sentence has 1 to {LONGEST} letters, and this one {len(said)}; not kept")
        checked = _checked(plan, table)
        if self._redactor is not None:
            redact = self._redactor()
            said, checked = redact(said)[0], redact(checked)[0]
        made = Correction(said, checked, user, time.time(), kind)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            own = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(own, "a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made), ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Failed(f"the correction could not be kept: {error}") from error
        return made

    def all(self) -> list[Correction]:
        """What was kept, oldest first; of one sentence what each said of it last."""
        found: dict[tuple[str, str], Correction] = {}
        for line in self._lines():
            made = _read(line)
            if made is not None:
                found.pop((made.user, made.text), None)
                found[made.user, made.text] = made
        return list(found.values())

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text("utf-8").splitlines()
        except OSError:
            return []

    def rows(self, table: Registry, seed: int = 0) -> list[Row]:
        """Rows to learn from. What was refused tells no right plan; what today's table lacks cannot be learned."""
        corpus = Corpus(table, [], seed)
        found: list[Row] = []
        for made in self.all():
            if made.kind == "refused":
                continue
            try:
                parsed = parse(made.plan, table)
            except AgentosError:
                continue
            lacking = {(item.syscall, item.parameter): "?" for item in parsed.missing}
            steps = tuple(
                Step(s.id, s.syscall, {**s.args, **{n: "?" for c, n in lacking if c == s.syscall}}, s.after)
                for s in parsed.steps
            )
            answer = "" if steps else CHAT if parsed.chat else NONE
            found += corpus.around(Said(made.text, steps, answer), VARIANTS)
        return found


def spoken_for(state: RunState) -> Kind | None:
    """What the end of a sentence's run says of its plan; None: nothing."""
    failures = state.get("failures", {}).values()
    if any(failure.get("kind") == "refused" for failure in failures):
        return "refused"
    if failures or not state.get("results"):
        return None
    if state.get("repaired"):
        return "repaired"
    by_hand = any(given.get("id") != YES for given in state.get("approvals", {}).values())
    return "confirmed" if by_hand else None


def _read(line: str) -> Correction | None:
    try:
        return Correction(**json.loads(line))
    except (ValueError, TypeError):  # half a line, of a machine that lost its power
        return None


def _checked(plan: str, table: Registry) -> str:
    """A plan as it is written in the language."""
    parsed = parse(plan, table)
    if not parsed.steps:
        return CHAT if parsed.chat else NONE
    missing = {(item.syscall, item.parameter) for item in parsed.missing}
    for step in parsed.steps:
        entry = table[step.syscall]
        named = {param.name for param in entry.params}
        strange = [name for name in step.args if name not in named]
        if strange:
            raise UserError(f"{step.syscall} has no argument {strange[0]!r}; the correction was not kept")
        lacking = [
            param.name for param in entry.params
            if param.required and param.name not in step.args and (entry.name, param.name) not in missing
        ]
        if lacking:
            raise UserError(
                f"{step.syscall} needs {lacking[0]!r}: give it, or write {lacking[0]}=? where the sentence lacks it"
            )
    steps = [
        Step(s.id, s.syscall, {**s.args, **{n: "?" for c, n in missing if c == s.syscall}}, s.after)
        for s in parsed.steps
    ]
    return write(steps, table)
