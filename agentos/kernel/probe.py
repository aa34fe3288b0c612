"""Whether a model can be a kernel at all: it follows the grammar, reads both languages, declines what no call does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agentos.errors import AgentosError, UserError
from agentos.kernel.corpus.build import Corpus
from agentos.kernel.examples import collect
from agentos.kernel.language import parse
from agentos.kernel.words import language
from agentos.registry import Registry
from agentos.types import Plan

EACH = 12
"""Sentences of each language, and as many that no call does; drawn from examples that no kernel has learned from."""
LEAST_VALID, LEAST_RIGHT, LEAST_DECLINED = 0.95, 0.5, 0.25
"""Shares under which a model is refused. An untrained 0.5B model that can do it reaches 1.0, about 0.75 and 0.5."""
_DRAWN = 400
_SEED = 97


@dataclass(frozen=True)
class Probed:
    """What a model made of the probe, in shares."""

    valid: float
    """Answers that were a plan or a reply, and not something that cannot be read."""
    english: float
    """English requests that came to the right call, whatever its arguments."""
    chinese: float
    declined: float
    cases: int

    @property
    def faults(self) -> list[str]:
        """What speaks against it, a phrase each."""
        found = []
        if self.valid < LEAST_VALID:
            found.append(f"writes plans that can be read {self.valid:.0%} of the time ({LEAST_VALID:.0%} at least)")
        for name, share in (("English", self.english), ("Chinese", self.chinese)):
            if share < LEAST_RIGHT:
                found.append(f"finds the call of {share:.0%} of {name} requests ({LEAST_RIGHT:.0%} at least)")
        if self.declined < LEAST_DECLINED:
            found.append(f"declines {self.declined:.0%} of what no call does ({LEAST_DECLINED:.0%} at least)")
        return found

    def check(self, model: str) -> None:
        """Refuses a model that cannot be a kernel.

        Raises:
            UserError: with the figures.
        """
        if self.faults:
            raise UserError(
                f"{model!r} cannot be the kernel: it {'; it '.join(self.faults)}, in {self.cases} sentences. "
                "Set kernel_model to another, or train one (agentos kernel train)"
            )


async def probe(table: Registry, plan: Callable[[str], Awaitable[Plan]]) -> Probed:
    """Asks a planner the probe's sentences.

    Args:
        table: The syscalls.
        plan: Makes a plan of a sentence; an `AgentosError` counts as one that cannot be read.
    """
    corpus = Corpus(table, collect(table), _SEED, dev=True)
    kinds: dict[str, list[tuple[str, str]]] = {"en": [], "zh": [], "none": []}
    for row in corpus.rows(_DRAWN, others=0, share=1.0):
        where = language(row.text) if row.kind == "single" else row.kind
        if where in kinds and len(kinds[where]) < EACH:
            steps = parse(row.plan, table).steps
            kinds[where].append((row.text, steps[0].syscall if steps else ""))
    right = dict.fromkeys(kinds, 0)
    valid = total = 0
    for where, cases in kinds.items():
        for text, wanted in cases:
            total += 1
            try:
                made = await plan(text)
            except AgentosError:
                continue
            valid += bool(made.steps) or made.reply is not None
            got = made.steps[0].syscall if made.steps else ""
            right[where] += got == wanted
    share = {where: right[where] / max(1, len(kinds[where])) for where in kinds}
    return Probed(valid / max(1, total), share["en"], share["zh"], share["none"], total)
