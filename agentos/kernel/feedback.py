"""Corrections that people gave: what they said and what it should have come to, kept to be learned from.

A correction is kept because its giver says so, one at a time; nothing is collected on its own.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from agentos.errors import AgentosError, Failed, UserError
from agentos.kernel.corpus.build import Corpus, Row
from agentos.kernel.corpus.said import Said
from agentos.kernel.language import CHAT, NONE, parse, write
from agentos.registry import Registry
from agentos.types import Step

LONGEST = 1000
"""Letters of a sentence, at most."""
VARIANTS = 12
"""Rows that are drawn from one correction: itself, and the same about other things in other tones."""


@dataclass(frozen=True)
class Correction:
    """One sentence and its right plan, in the plan language."""

    text: str
    plan: str
    user: str
    time: float


class Feedback:
    """A file of corrections, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        """The file need not be there yet."""
        self._path = path

    def add(self, text: str, plan: str, user: str, table: Registry) -> Correction:
        """Keeps a correction, once it is known to be one that the table can carry out.

        Args:
            text: What was said.
            plan: What it should have come to: calls, one a line, `none()` or `chat()`.
            user: Who says so.
            table: The syscalls.

        Raises:
            UserError: the sentence is empty or too long, or the plan is none.
            Failed: it cannot be written.
        """
        said = text.strip()
        if not said or len(said) > LONGEST:
            raise UserError(f"a correction's sentence has 1 to {LONGEST} letters, and this one {len(said)}; not kept")
        made = Correction(said, _checked(plan, table), user, time.time())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made), ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Failed(f"the correction could not be kept: {error}") from error
        return made

    def all(self) -> list[Correction]:
        """The corrections, oldest first; of one sentence the last one counts."""
        found: dict[str, Correction] = {}
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except OSError:
            return []
        for line in lines:
            try:
                made = Correction(**json.loads(line))
            except (ValueError, TypeError):  # half a line, of a machine that lost its power
                continue
            found.pop(made.text, None)
            found[made.text] = made
        return list(found.values())

    def rows(self, table: Registry, seed: int = 0) -> list[Row]:
        """Rows to learn from; a correction that the table of today cannot carry out is left out."""
        corpus = Corpus(table, [], seed)
        found: list[Row] = []
        for made in self.all():
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
