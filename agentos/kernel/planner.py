"""From a sentence to a validated plan, by way of a model."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from agentos.engines.traced import generating
from agentos.errors import UserError
from agentos.kernel import language, sheets, words
from agentos.kernel.examples import Example, sayings
from agentos.kernel.pages import Pages
from agentos.kernel.retrieval import Found, Retrieval
from agentos.kernel.sheets import Sheets
from agentos.kernel.spans import SpanFinder, without_repeats
from agentos.kernel.tuned import Manifest
from agentos.redact import Redactor
from agentos.registry import Registry
from agentos.types import Completed, Engine, Generation, Json, Message, Plan, Prompt, Step

PREFIX = """You are the kernel of agentos. Turn the user's sentence into calls, one a line, and write nothing else.
- Copy names and texts from the sentence as they are. Leave out an argument that the sentence does not give.
- Write ? for a required argument that the sentence does not give.
- s1.model is the model of the first line's result. Add "after s1" to a call that must wait for the first line.
- Write none() when no call does what the user asks. Write chat() for a greeting or small talk.

The calls:
"""
LEANING = 16.0
"""How much retrieval leans on the choice of syscall: log-odds for a likeness of 1 against one of 0."""
LEANING_ADAPTED = 3.0
"""The same for a kernel that was trained to read the table."""
UNLIKE = 0.25
"""A sentence less like every example than this leans towards `none()`."""
TOLD = 300
"""Most characters of an error that the model is told: one that lists every syscall would grow with the table."""
_SMALL_TALK = (
    "You are agentos, a system that runs models on this machine. Answer small talk in one short friendly sentence, "
    "in the user's language. Never say that you did anything."
)
_SLICE = 2
"""Blocks that are computed between two looks."""
_BUSY = 2.0
"""Seconds between two looks whether the processors are free."""


@dataclass(frozen=True)
class Usage:
    """Tokens that models read and wrote."""

    prompt: int = 0
    cached: int = 0
    """Of the prompt's: those whose key-value state was reused."""
    written: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(self.prompt + other.prompt, self.cached + other.cached, self.written + other.written)


@dataclass(frozen=True)
class Planned:
    """A plan and what it took."""

    plan: Plan
    completed: Completed | None = None
    found: Found | None = None
    confidence: float | None = None
    """Probability of the plan among those that could have been written, where the engine tells."""
    answered: str = ""
    """What a plan without steps is: `chat`, `declined`, `asked`, `unsure` or `unplanned`."""
    steps: tuple[Step, ...] = ()
    """Of a plan that lacks arguments: the steps without them."""
    missing: tuple[language.Missing, ...] = ()
    """What it lacks."""
    unsure: bool = False
    """Whether a plan that lacks arguments is little more than a guess, so that none but the person may complete it."""
    usage: Usage = Usage()
    """What models were asked for it, a second attempt and small talk included."""


@dataclass(frozen=True)
class Correction:
    """What went wrong with a plan, for the one repair."""

    plan: Plan
    error: str


class Planner:
    """Plans with any engine; one that cannot follow a grammar is held to the language by reading it back."""

    def __init__(
        self, table: Registry, examples: Iterable[Example], engine: Callable[[], Awaitable[Engine]], *,
        known: Callable[[], Iterable[str]] = tuple, timed: Callable[[float], None] = lambda seconds: None,
        adapter: Callable[[], Manifest | None] = lambda: None, private: bool = False,
    ) -> None:
        """A planner over a table.

        Args:
            table: The syscalls.
            examples: Sentences whose plans are known.
            engine: Gives the kernel's loaded engine, and waits for it where it is still loading.
            known: Names of things that exist, which a sentence may name in any words.
            timed: Told of each plan how many seconds it took.
            adapter: The adapter that the engine holds, which was trained to plan.
            private: Whether the kernel reads placeholders for private values; its plans hold the values.
        """
        self._table = table
        self._examples = list(examples)
        self._retrieval = Retrieval(table, self._examples)
        self._spans = SpanFinder(table, self._examples)
        self._known = known
        self._timed = timed
        self._pages = Pages(table, PREFIX)
        self._sheets = Sheets(table)
        self._adapter = adapter
        self._private = private
        self._engine = engine
        self._numbers = itertools.count(1)

    @cached_property
    def _read_widely(self) -> Retrieval:
        """Retrieval over all that a trained kernel has learned from, too."""
        return Retrieval(self._table, [*self._examples, *sayings(self._table)], grouped=False)

    async def warm(self, busy: Callable[[], bool] = lambda: False) -> None:
        """Has the engine compute the states of every prompt's blocks while nothing is asked, nor anything else done.

        Args:
            busy: Whether the processors are wanted elsewhere: two that compute on all cores make each other many times
                slower, so that what could wait would take more from the other than it needs.
        """
        if self._adapter() is not None:
            for prefix in self._sheets.prefixes:
                await self._ahead(Prompt(prefix))
            return
        for prefix, blocks in self._pages.known(self._retrieval.around):
            for start in range(0, len(blocks), _SLICE):
                while busy():  # noqa: ASYNC110
                    await asyncio.sleep(_BUSY)
                await self._ahead(Prompt(prefix, blocks[start : start + _SLICE], chat=True))

    async def prepare(self, sentence: str) -> None:
        """Has the engine compute the states that a sentence's prompt will be made of."""
        if self._adapter() is not None:
            laid = self._sheets.lay(self._read_widely.find(sentence))
            await self._ahead(Prompt(laid.prefix, laid.blocks))
            return
        await self._ahead(Prompt(*self._pages.lay(self._retrieval.find(sentence)), chat=True))

    async def _ahead(self, prompt: Prompt) -> None:
        await _finish(await self._engine(), Generation(self._id("ahead"), prompt, max_tokens=0))

    async def plan(self, sentence: str, name: str = "", correction: Correction | None = None) -> Planned:
        """The plan for a sentence; what cannot be read or does not validate is repaired once.

        Raises:
            UserError: the sentence is empty, or too long for the model.
            Failed: the model's process died.
        """
        if not sentence.strip():
            raise UserError("there is nothing to plan: the sentence is empty")
        started = time.monotonic()
        spent: list[Completed] = []
        way = self._planned_apart if self._private else self._planned
        planned = await way(sentence, name, correction, spent)
        self._timed(time.monotonic() - started)
        used = sum((Usage(one.prompt_tokens, one.cached_tokens, one.tokens) for one in spent), Usage())
        return replace(planned, usage=used)

    def named(self, sentence: str) -> tuple[str, ...]:
        """What of a sentence may be the name of something, as in its plans."""
        return self._spans.find(sentence, self._known()).names

    async def _planned_apart(
        self, sentence: str, name: str, correction: Correction | None, spent: list[Completed]
    ) -> Planned:
        redactor = Redactor()

        def without(text: str) -> str:
            return redactor.redact(text)[0]

        if correction is not None:
            correction = Correction(_said(correction.plan, without), without(correction.error))
        planned = await self._planned(without(sentence), name, correction, spent)
        steps = _said(Plan(name, planned.steps), redactor.restore).steps
        return replace(planned, plan=_said(planned.plan, redactor.restore), steps=steps)

    async def _planned(
        self, sentence: str, name: str, correction: Correction | None, spent: list[Completed]
    ) -> Planned:
        for attempt in (1, 2):
            trained = correction is None and self._adapter() is not None
            found = (self._read_widely if trained else self._retrieval).find(sentence)
            request = self._read_off(sentence, found) if trained else self._shown(sentence, found, correction)
            completed = await _finish(await self._engine(), request)
            spent.append(completed)
            try:
                parsed = language.parse(completed.text, self._table)
                steps = self.checked(parsed.steps, {(m.syscall, m.parameter) for m in parsed.missing})
            except UserError as error:
                if attempt == 2:
                    reply = words.unplanned(sentence, str(error))
                    return Planned(Plan(name, (), reply), completed, found, answered="unplanned")
                correction = Correction(Plan(name), f"{completed.text!r}: {error}")
                continue
            sure, least = self._confidence(completed)
            reads = all(self._table[step.syscall].effect == "read" for step in steps)
            unsure = sure is not None and sure < least and not reads
            if parsed.missing:
                reply = words.asked(sentence, parsed.missing, self._table)
                return Planned(
                    Plan(name, (), reply), completed, found, sure, "asked", steps, parsed.missing, unsure
                )
            if parsed.chat:
                reply = await self._small_talk(sentence, spent)
                return Planned(Plan(name, (), reply), completed, found, answered="chat")
            if steps:
                if unsure:
                    reply = words.unsure(sentence, language.write(steps, self._table))
                    return Planned(Plan(name, (), reply), completed, found, sure, "unsure")
                return Planned(Plan(name, steps), completed, found, sure)
            reply = words.declined(sentence, [entry.name for entry in found.entries[:3]])
            return Planned(Plan(name, (), reply), completed, found, answered="declined")
        raise AssertionError("unreachable")

    def _confidence(self, completed: Completed) -> tuple[float | None, float]:
        """How sure the kernel is of a plan, calibrated, and how sure it must be; None where that is not known."""
        adapter = self._adapter()
        if adapter is None or completed.confidence is None:
            return None, 0.0
        return float(completed.confidence**adapter.slope), adapter.threshold

    def checked(self, steps: Sequence[Step], missing: Set[tuple[str, str]] = frozenset()) -> tuple[Step, ...]:
        """The steps with their arguments' types put right; defaults are filled in at the call.

        Raises:
            UserError: an argument does not fit.
        """
        right = []
        for step in steps:
            entry = self._table[step.syscall]
            lacking = {p.name: "?" for p in entry.params if (entry.name, p.name) in missing}
            literal: dict[str, Json] = {n: "x" if isinstance(v, dict) else v for n, v in step.args.items()}
            typed = entry.validate({**lacking, **_plain_lists(literal)})
            kept = {n: v if isinstance(v, dict) or _has_reference(v) else typed[n] for n, v in step.args.items()}
            repeated = without_repeats(kept, [param.name for param in entry.params if param.required])
            right.append(replace(step, args={n: v for n, v in kept.items() if n not in repeated}))
        return tuple(right)

    def _read_off(self, sentence: str, found: Found) -> Generation:
        """The request to a kernel that was trained to read the table: a sheet of it and the sentence."""
        laid = self._sheets.lay(found)
        spans = self._spans.find(sentence, self._known())
        weights = {f"{entry.name}(": found.weights.get(entry.name, 0.0) for entry in laid.entries}
        weights |= {answer: found.weights.get(answer, 0.0) for answer in (language.NONE, language.CHAT)}
        return Generation(
            self._id("plan"), Prompt(laid.prefix, laid.blocks, sheets.tail(sentence)), max_tokens=256,
            grammar=language.grammar(laid.entries, spans),
            prior={start: LEANING_ADAPTED * weight for start, weight in weights.items()},
            draft=(self._guess(found, spans), sentence), adapted=True,
        )

    def _shown(self, sentence: str, found: Found, correction: Correction | None) -> Generation:
        """The request to an untrained kernel: retrieved syscalls with examples like the sentence."""
        tail = sentence.strip()
        if correction is not None:
            was = language.write(correction.plan.steps, self._table) if correction.plan.steps else ""
            tail += f"\n(This went wrong: {was} {correction.error[:TOLD]} Write other calls.)"
        spans = self._spans.find(sentence, self._known())
        weights = {f"{entry.name}(": found.weights.get(entry.name, 0.0) for entry in found.entries}
        weights |= {answer: found.weights.get(answer, 0.0) for answer in (language.NONE, language.CHAT)}
        weights[language.NONE] = max(weights[language.NONE], UNLIKE)
        shown = tuple(weights)
        weights |= {start: weight for start, weight in found.beginnings.items() if start.startswith(shown)}
        return Generation(
            self._id("plan"), Prompt(*self._pages.lay(found), tail, chat=True), max_tokens=256,
            grammar=language.grammar(found.entries, spans),
            prior={start: LEANING * weight for start, weight in weights.items()},
            draft=(self._guess(found, spans), sentence),
        )

    def _guess(self, found: Found, spans: language.Spans) -> str:
        """The nearest example's answer with its names replaced by the sentence's."""
        if found.guess is None:
            return ""
        text, copied = found.guess.text, iter(spans.names)

        def swap(match: re.Match[str]) -> str:
            return f'"{next(copied, match.group(1))}"' if match.group(1) in text else match.group()

        return re.sub(r'"([^"\n]+)"', swap, found.guess.answer)

    async def _small_talk(self, sentence: str, spent: list[Completed]) -> str:
        turns = (Message("system", _SMALL_TALK), Message("user", sentence))
        completed = await _finish(await self._engine(), Generation(self._id("chat"), turns, max_tokens=40))
        spent.append(completed)
        return completed.text.strip()

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"


async def _finish(engine: Engine, request: Generation) -> Completed:
    with generating(engine) as told:
        async for piece in engine.generate(request):
            if isinstance(piece, Completed):
                told(piece.prompt_tokens, piece.tokens, piece.reason)
                return piece
    raise AssertionError("an engine's stream ended without its Completed")


def _said(plan: Plan, other: Callable[[str], str]) -> Plan:
    """A plan with other words in its arguments and its reply."""

    def mapped(value: Json) -> Json:
        if isinstance(value, str):
            return other(value)
        if isinstance(value, list):
            return [mapped(item) for item in value]
        return value  # a reference names a step

    steps = tuple(replace(step, args={n: mapped(v) for n, v in step.args.items()}) for step in plan.steps)
    return replace(plan, steps=steps, reply=other(plan.reply) if plan.reply else plan.reply)


def _has_reference(value: Json) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _plain_lists(args: dict[str, Json]) -> dict[str, Json]:
    return {n: ["x" if isinstance(i, dict) else i for i in v] if isinstance(v, list) else v for n, v in args.items()}
