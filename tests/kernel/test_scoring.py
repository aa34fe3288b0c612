"""What counts as the same plan, and what does not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from agentos.kernel.scoring import Score, score
from agentos.registry import Registry
from agentos.syscall import describe, syscall
from agentos.types import Json, KeepAlive, Name, Plan, Private, Step, Undone, When
from agentos.types.units import Kind

Size = Annotated[str, Kind("size")]


@syscall(effect="read")
async def query(ctx: Any, kind: Literal["all", "cpu", "memory", "disk"] = "all", top: int = 10) -> Undone:
    """The machine.

    Args:
        kind: Which part.
        top: How many.
    """
    return Undone("query", kind)


@syscall(effect="write")
async def load(ctx: Any, model: Name, device: Literal["auto", "gpu"] = "auto", keep_alive: KeepAlive = "10m") -> Undone:
    """Brings a model into memory.

    Args:
        model: Which.
        device: Where.
        keep_alive: How long.
    """
    return Undone("load", model)


@syscall(effect="execute")
async def generate(ctx: Any, model: Name, prompt: Private, max_tokens: int = 256) -> Undone:
    """A model's answer.

    Args:
        model: Which.
        prompt: What it is asked.
        max_tokens: How long at most.
    """
    return Undone("generate", model)


@syscall(effect="read")
async def search(ctx: Any, user: Name | None = None, since: When | None = None, topic: str | None = None) -> Undone:
    """The record.

    Args:
        user: Whose.
        since: From when.
        topic: About what.
    """
    return Undone("search", user or "")


@syscall(effect="execute")
async def submit(
    ctx: Any,
    command: Private,
    *,
    memory: Size | None = None,
    after: list[Name] | None = None,
    rate: float = 0.5,
    loud: bool = False,
) -> Undone:
    """A job.

    Args:
        command: What runs.
        memory: How much it may take.
        after: What it waits for.
        rate: How fast.
        loud: Whether it says so.
    """
    return Undone("submit", command)


@pytest.fixture(scope="module")
def table() -> Registry:
    made = Registry()
    for function in (query, load, generate, search, submit):
        made.add(describe(function, "t"))
    return made


def plan(*steps: Step) -> Plan:
    return Plan("p", steps)


def one(call: str, **args: Json) -> tuple[Step, ...]:
    return (Step("s1", f"t.{call}", args),)


SAME = [
    (one("query"), one("query", kind="all")),
    (one("query", kind="all", top=10), one("query")),
    (one("query", top=3), one("query", top="3")),
    (one("query", top=3), one("query", top=3.0)),
    (one("query", kind="cpu"), one("query", kind="cpu", top=None)),
    (one("load", model="m"), one("load", model="m", keep_alive="10m", device="auto")),
    (one("load", model="m", keep_alive="1h"), one("load", model="m", keep_alive="an hour")),
    (one("load", model="m", keep_alive="一个半小时"), one("load", model="m", keep_alive="5400")),
    (one("load", model="m", keep_alive="forever"), one("load", model="m", keep_alive="永远")),
    (one("load", model="Qwen/Qwen2.5-7B"), one("load", model=" 'Qwen/Qwen2.5-7B' ")),
    (one("load", model="m1"), one("load", model="「m1」")),
    (one("load", model="7"), one("load", model=7)),
    (one("generate", model="m", prompt="why?"), one("generate", model="m", prompt='"why?"')),
    (one("generate", model="m", prompt="“为什么？”"), one("generate", model="m", prompt="为什么？")),
    (one("search", since="yesterday"), one("search", since="Yesterday")),
    (one("search", since="yesterday"), one("search", since="since yesterday")),
    (one("search", since="last 24 hours"), one("search", since="24 hours ago")),
    (one("search", since="the last hour"), one("search", since="1h")),
    (one("search", since="最近三天"), one("search", since="三天前")),
    (one("search", since="yesterday"), one("search", since="2026-11-23T00:00:00")),
    (one("search", since="2026-11-20"), one("search", since="2026-11-20T00:00:00Z")),
    (one("search", topic="models"), one("search", topic="models?")),
    (one("search", topic="模型"), one("search", topic="“模型”。")),
    (one("submit", command="a", memory="2GiB"), one("submit", command="a", memory="2048 MiB")),
    (one("submit", command="a", after=["1", "2"]), one("submit", command="a", after=["2", "1"])),
    (one("submit", command="a", after=["1"]), one("submit", command="a", after="1")),
    (one("submit", command="a", rate=0.1), one("submit", command="a", rate="0.10")),
    (one("submit", command="a", loud=True), one("submit", command="a", loud="true")),
    ((), ()),
]

DIFFERENT = [
    (one("query", kind="cpu"), one("query")),
    (one("query"), one("query", kind="cpu")),
    (one("query", top=3), one("query", top=4)),
    (one("query", top=3), one("query", top="three")),
    (one("query", top=1), one("query", top=True)),
    (one("query", kind="cpu"), one("query", kind="CPU")),
    (one("query", kind="cpu"), one("query", kind="cpu", extra=1)),
    (one("query"), one("search")),
    (one("query"), one("nowhere")),
    (one("query"), ()),
    ((), one("query")),
    (one("query"), one("query") + (Step("s2", "t.query", {}),)),
    (one("load", model="m"), one("load", model="M")),
    (one("load", model="m"), one("load", model="m", keep_alive="1h")),
    (one("load", model="m", keep_alive="1h"), one("load", model="m", keep_alive="61m")),
    (one("load", model="m", keep_alive="1h"), one("load", model="m", keep_alive="a while")),
    (one("load", model="m", keep_alive="forever"), one("load", model="m")),
    (one("load", model="m"), one("load", model={"$ref": "s1.model"})),
    (one("load", model="m"), one("load", model={"name": "m"})),
    (one("generate", model="m", prompt="why?"), one("generate", model="m", prompt="why")),
    (one("generate", model="m", prompt="Why?"), one("generate", model="m", prompt="why?")),
    (one("generate", model="m", prompt='"a" or "b"'), one("generate", model="m", prompt='a" or "b')),
    (one("search", since="yesterday"), one("search", since="today")),
    (one("search", since="2026-11-20"), one("search", since="2026-11-21")),
    (one("search", since="2026-11-20"), one("search", since="friday")),
    (one("search", since="最近三天"), one("search", since="最近两天")),
    (one("submit", command="a", memory="2GB"), one("submit", command="a", memory="3GB")),
    (one("submit", command="a", after=["1", "2"]), one("submit", command="a", after=["1"])),
    (one("submit", command="a", after=["1", "1"]), one("submit", command="a", after=["1", "2"])),
]


@pytest.mark.parametrize(("wanted", "got"), SAME)
def test_two_ways_to_write_one_plan_are_the_same(wanted: Any, got: Any, table: Registry) -> None:
    assert score([wanted], plan(*got), table).exact


@pytest.mark.parametrize(("wanted", "got"), DIFFERENT)
def test_a_plan_that_does_something_else_is_not_exact(wanted: Any, got: Any, table: Registry) -> None:
    assert not score([wanted], plan(*got), table).exact


DIAMOND = (
    Step("a", "t.load", {"model": "m"}),
    Step("b", "t.generate", {"model": {"$ref": "a.model"}, "prompt": "x"}, ("a",)),
    Step("c", "t.generate", {"model": {"$ref": "a.model"}, "prompt": "y"}, ("a",)),
    Step("d", "t.query", {}, ("b", "c")),
)


def test_the_names_and_the_order_of_steps_do_not_matter(table: Registry) -> None:
    got = (
        Step("s1", "t.query", {"kind": "all"}, ("s2", "s3")),
        Step("s2", "t.generate", {"model": {"$ref": "s4.model"}, "prompt": "y"}, ("s4",)),
        Step("s3", "t.generate", {"model": {"$ref": "s4.model"}, "prompt": "x"}, ("s4",)),
        Step("s4", "t.load", {"model": "m"}),
    )
    assert score([DIAMOND], plan(*got), table) == Score(True, True, True)


def test_an_edge_that_follows_from_others_may_be_written_or_left_out(table: Registry) -> None:
    long_way = (*DIAMOND[:3], Step("d", "t.query", {}, ("a", "b", "c")))
    assert score([DIAMOND], plan(*long_way), table).exact
    assert score([long_way], plan(*DIAMOND), table).exact


def test_a_reference_waits_for_its_step_without_an_edge_of_its_own(table: Registry) -> None:
    bare = tuple(Step(step.id, step.syscall, step.args, () if step.id != "d" else step.after) for step in DIAMOND)
    assert score([DIAMOND], plan(*bare), table).exact


@pytest.mark.parametrize("edges", [(), ("b",), ("a",), ("b", "c", "nowhere")])
def test_a_missing_or_dangling_edge_is_not_exact_but_its_calls_are_right(edges: Any, table: Registry) -> None:
    got = (*DIAMOND[:3], Step("d", "t.query", {}, edges))
    assert score([DIAMOND], plan(*got), table) == Score(False, True, True)


def test_waiting_where_nobody_asked_for_it_is_not_exact(table: Registry) -> None:
    apart = (Step("s1", "t.query", {"kind": "cpu"}), Step("s2", "t.query", {"kind": "disk"}))
    chained = (apart[0], Step("s2", "t.query", {"kind": "disk"}, ("s1",)))
    assert not score([apart], plan(*chained), table).exact
    assert not score([chained], plan(*apart), table).exact


def test_the_direction_of_waiting_counts(table: Registry) -> None:
    forth = (Step("s1", "t.query", {"kind": "cpu"}), Step("s2", "t.query", {"kind": "disk"}, ("s1",)))
    back = (Step("s1", "t.query", {"kind": "cpu"}, ("s2",)), Step("s2", "t.query", {"kind": "disk"}))
    assert not score([forth], plan(*back), table).exact


def test_identical_steps_may_stand_for_each_other(table: Registry) -> None:
    wanted = (Step("a", "t.query"), Step("b", "t.query"), Step("c", "t.search", {}, ("b",)))
    got = (Step("a", "t.query"), Step("b", "t.query"), Step("c", "t.search", {}, ("a",)))
    assert score([wanted], plan(*got), table).exact


def test_a_reference_to_the_wrong_step_or_field_is_not_exact(table: Registry) -> None:
    wanted = (
        Step("a", "t.load", {"model": "m"}),
        Step("b", "t.load", {"model": "n"}),
        Step("c", "t.generate", {"model": {"$ref": "a.model"}, "prompt": "x"}, ("a", "b")),
    )
    for target in ("b.model", "a.device"):
        got = (*wanted[:2], Step("c", "t.generate", {"model": {"$ref": target}, "prompt": "x"}, ("a", "b")))
        assert score([wanted], plan(*got), table) == Score(False, True, False)


def test_a_cycle_ends_and_is_not_exact(table: Registry) -> None:
    wanted = (Step("a", "t.query"), Step("b", "t.search", {}, ("a",)))
    got = (Step("a", "t.query", {}, ("b",)), Step("b", "t.search", {}, ("a",)))
    assert not score([wanted], plan(*got), table).exact


def test_two_steps_of_one_name_are_not_exact(table: Registry) -> None:
    wanted = (Step("a", "t.query"), Step("b", "t.query"))
    assert not score([wanted], plan(Step("a", "t.query"), Step("a", "t.query")), table).exact


def test_any_of_several_right_plans_will_do_and_the_nearest_is_reported(table: Registry) -> None:
    either = [one("query", kind="cpu"), one("query", kind="memory")]
    assert score(either, plan(*one("query", kind="memory")), table).exact
    assert score(either, plan(*one("query", kind="disk")), table) == Score(False, True, False)
    assert score([(), one("query")], plan(), table) == Score(True, True, True)


def test_acting_and_declining_in_the_wrong_place_are_told_apart(table: Registry) -> None:
    acted = score([()], plan(*one("query")), table)
    declined = score([one("query")], plan(), table)
    assert (acted.over_acted, acted.over_declined) == (True, False)
    assert (declined.over_acted, declined.over_declined) == (False, True)
    undecided = score([(), one("query")], plan(*one("search")), table)
    assert not undecided.over_acted and not undecided.over_declined
