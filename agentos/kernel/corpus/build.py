"""The rows that a kernel's adapter learns from: a table, a sentence, the plan."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

from agentos.kernel.corpus import joined, tables
from agentos.kernel.corpus.said import Pools, Said, dressed, revalued
from agentos.kernel.examples import Example
from agentos.kernel.language import CHAT, NONE, parse, write
from agentos.kernel.sheets import tail
from agentos.registry import Registry
from agentos.types import Step

DEV = 12
"""One in so many examples is kept from learning, with all that could be made of it, to measure on."""
_KINDS = (("single", 48), ("several", 30), ("lacking", 7), ("none", 12), ("chat", 3))
_TRIES = 40
_AGAIN = 12


@dataclass(frozen=True)
class Row:
    """One row of the training set."""

    shown: str
    """The table, as the model reads it."""
    tail: str
    plan: str
    kind: str
    text: str
    """The sentence itself."""


class Corpus:
    """Draws rows; the same seed draws the same ones from the same table."""

    def __init__(self, table: Registry, examples: Iterable[Example], seed: int = 0, dev: bool = False) -> None:
        """A corpus over a table.

        Args:
            table: The syscalls.
            examples: Sentences with their plans.
            seed: Of every draw.
            dev: Whether to draw from the examples that are kept from learning, instead of the others.
        """
        self._table, self._draw, self._pools = table, random.Random(seed), Pools()
        self._foreign, strange = tables.strangers()
        own = [said for example in examples if _kept(example.text) == dev for said in [_read(example, table)]]
        strange = [said for said in strange if _kept(said.text) == dev]
        self._single = [said for said in own if joined.fit(said)]
        self._listed = [said for said in own if said.steps and not joined.fit(said)]
        self._strange = strange
        phrases = self._pools.phrases
        self._none = [said for said in own if said.answer == NONE]
        self._chat = [said for said in own if said.answer == CHAT]
        for tongue in ("en", "zh"):
            self._none += [Said(t, (), NONE) for t in phrases[f"decline_{tongue}"] if _kept(t) == dev]
            self._chat += [Said(t, (), CHAT) for t in phrases[f"chat_{tongue}"] if _kept(t) == dev]
        self._all = Registry()
        for entry in [*table, *self._foreign]:
            self._all.add(entry)

    def rows(self, count: int, others: int = 40, share: float = 0.5) -> list[Row]:
        """So many rows.

        Args:
            count: Of rows.
            others: Tables that are made of the real one.
            share: Of the rows, that show the real one as it is.
        """
        shown = [tables.whole(self._table)]
        make = (tables.extended, tables.sampled)
        shown += [make[number % 2](self._table, self._foreign, self._draw) for number in range(others)]
        found: dict[tuple[str, str], Row] = {}
        for number in range(count * _TRIES):
            if len(found) >= count:
                break
            at = 0 if others == 0 or self._draw.random() < share else 1 + number % others
            row = self._row(shown[at], at > 0)
            if row is not None:
                found.setdefault((row.shown, row.text), row)
        return list(found.values())

    def around(self, said: Said, count: int) -> list[Row]:
        """A request over the real table, and the same about other things and in other tones: so many rows at most."""
        shown = tables.whole(self._table)
        found = {said.text: Row(shown.text, tail(said.text), self._plan(said, shown), "given", said.text)}
        for _ in range(3 * count):
            if len(found) >= count:
                break
            made = dressed(self._other(said), self._pools, self._draw)
            found.setdefault(made.text, Row(shown.text, tail(made.text), self._plan(made, shown), "given", made.text))
        return list(found.values())

    def _plan(self, said: Said, shown: tables.Shown) -> str:
        return write(said.steps, shown.table) if said.steps else said.answer

    def _row(self, shown: tables.Shown, strange: bool) -> Row | None:
        kind = self._draw.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
        tried = (self._said(kind, shown, strange) for _ in range(_AGAIN))  # of some kinds most draws fit nothing
        said = next((one for one in tried if one is not None and shown.of(one) is not None), None)
        if said is None:
            return None
        there = shown.of(said)
        if there is None:
            return None
        if self._draw.random() < 0.6:
            there = dressed(there, self._pools, self._draw)
        plan = self._plan(there, shown)
        if len(there.text) > 300 or not self._sayable(there):
            return None
        return Row(shown.text, tail(there.text), plan, kind, there.text)

    def _said(self, kind: str, shown: tables.Shown, strange: bool) -> Said | None:
        """A request of a kind, in the real table's names; None where the draw fits nothing."""
        if kind == "chat":
            return self._draw.choice(self._chat)
        if kind == "none":
            return self._declined(shown, strange)
        pick = self._pick(shown, strange)
        if pick is None or kind == "single":
            return None if pick is None else self._other(pick)
        return self._lacking(pick) if kind == "lacking" else self._several(pick, shown, strange)

    def _declined(self, shown: tables.Shown, strange: bool) -> Said | None:
        if strange and self._draw.random() < 0.6:  # what no syscall that is shown does; of the rest one may do it
            absent = [said for said in (*self._single, *self._strange) if said.steps[0].syscall not in shown.names]
            return self._other(self._draw.choice(absent)) if absent else None
        return self._draw.choice(self._none)

    def _lacking(self, pick: Said) -> Said | None:
        listed = [said for said in self._listed if "?" in str(said.steps[0].args) and len(said.steps) == 1]
        if listed and self._draw.random() < 0.3:
            return self._other(self._draw.choice(listed))
        return joined.lacking(self._other(pick), self._all, self._draw) if joined.fit(pick) else None

    def _several(self, pick: Said, shown: tables.Shown, strange: bool) -> Said | None:
        draw = self._draw
        if draw.random() < 0.4:
            listed = [said for said in self._listed if len(said.steps) > 1]
            return self._other(draw.choice(listed)) if listed else None
        if draw.random() < 0.55:
            return self._handed_on(shown, strange)
        picked = (pick, self._pick(shown, strange), self._pick(shown, strange))
        parts = [part for part in map(self._other, filter(None, picked)) if joined.fit(part)]
        number = 3 if len(parts) == 3 and draw.random() < 0.3 else 2
        if len(parts) < number:
            return None
        return joined.several(parts[:number], self._pools, draw, in_order=draw.random() < 0.5)

    def _handed_on(self, shown: tables.Shown, strange: bool) -> Said | None:
        draw = self._draw
        picks = [pick for pick in (self._pick(shown, strange) for _ in range(8)) if pick is not None]
        maker = next((one for one in picks if joined.fit(one) and joined.makes(one, self._all)), None)
        if maker is None:
            return None
        near = self._near(shown, strange)
        takers = [self._other(draw.choice(self._single if draw.random() < 0.7 else near)) for _ in range(12)]
        takers = [taker for taker in takers if joined.fit(taker)]
        made: Said | None = self._other(maker)
        longest = 3 if draw.random() < 0.35 else 2
        for taker in takers:
            assert made is not None
            longer = joined.handed_on(made, taker, self._all, self._pools, draw)
            made = longer or made
            if len(made.steps) == longest:
                break
        return made if made is not None and len(made.steps) > 1 else None

    def _near(self, shown: tables.Shown, strange: bool) -> list[Said]:
        """Requests for what is shown."""
        return [said for said in (self._strange if strange and self._draw.random() < 0.6 else self._single)
                if said.steps[0].syscall in shown.names]

    def _pick(self, shown: tables.Shown, strange: bool) -> Said | None:
        """A request of one call, each syscall as likely as another."""
        near = self._near(shown, strange)
        if not near:
            return None
        name = self._draw.choice(sorted({said.steps[0].syscall for said in near}))
        return self._draw.choice([said for said in near if said.steps[0].syscall == name])

    def _other(self, said: Said) -> Said:
        return revalued(said, self._all, self._pools, self._draw)

    def _sayable(self, said: Said) -> bool:
        """Whether the names in a plan stand in its sentence, where alone a grammar lets them come from."""
        named = (
            step.args.get(param.name) for step in said.steps if step.syscall in self._all
            for param in self._all[step.syscall].params if param.kind == "name"
        )
        return all(value in said.text for value in named if isinstance(value, str) and value != "?")


def _kept(text: str) -> bool:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % DEV == 0


def _read(example: Example, table: Registry) -> Said:
    if not example.syscalls:
        return Said(example.text, (), example.answer)
    parsed = parse(example.answer, table)
    steps = []
    lacking = {(item.syscall, item.parameter) for item in parsed.missing}
    for step in parsed.steps:
        args = {**step.args, **{name: "?" for call, name in lacking if call == step.syscall}}
        steps.append(Step(step.id, step.syscall, args, tuple(a for a in step.after)))
    return Said(example.text, tuple(steps))
