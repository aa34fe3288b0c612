"""A model that cannot be a kernel is refused, with the figures."""

from __future__ import annotations

import pytest

from agentos.errors import Failed, UserError
from agentos.kernel.corpus.build import Corpus
from agentos.kernel.examples import collect
from agentos.kernel.language import parse
from agentos.kernel.probe import _DRAWN, _SEED, EACH, probe
from agentos.registry import Registry
from agentos.types import Plan, Step


@pytest.fixture
def right(syscalls: Registry) -> dict[str, str]:
    rows = Corpus(syscalls, collect(syscalls), _SEED, dev=True).rows(_DRAWN, others=0, share=1.0)
    return {row.text: row.plan for row in rows}


async def test_one_that_plans_right_passes(syscalls: Registry, right: dict[str, str]) -> None:
    async def plan(text: str) -> Plan:
        steps = parse(right[text], syscalls).steps
        return Plan("", steps) if steps else Plan("", (), "no")

    found = await probe(syscalls, plan)
    assert (found.valid, found.english, found.chinese, found.declined) == (1, 1, 1, 1)
    assert found.cases == 3 * EACH and not found.faults
    found.check("good")


async def test_one_that_acts_on_everything_reads_no_chinese_or_writes_nonsense_is_refused(
    syscalls: Registry, right: dict[str, str]
) -> None:
    async def acts(text: str) -> Plan:
        return Plan("", (Step("s1", "models.list", {}),))

    async def english(text: str) -> Plan:
        if any("\u3400" <= char <= "\u9fff" for char in text):
            return Plan("", (), "what?")
        steps = parse(right[text], syscalls).steps
        return Plan("", steps) if steps else Plan("", (), "no")

    async def nonsense(text: str) -> Plan:
        raise Failed("cannot be read")

    assert any("declines 0%" in fault for fault in (await probe(syscalls, acts)).faults)
    assert any("Chinese" in fault for fault in (await probe(syscalls, english)).faults)
    with pytest.raises(UserError, match=r"'bad' cannot be the kernel: .*can be read 0%"):
        (await probe(syscalls, nonsense)).check("bad")
