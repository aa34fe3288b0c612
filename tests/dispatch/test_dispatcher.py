"""The only path: validate, policy, confirm, run, audit, in that order, and no call has its effect twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

from agentos.dispatch.context import Services
from agentos.dispatch.dispatcher import Dispatcher, Outcome
from agentos.errors import ApprovalNeeded, DeniedError, Failed, NotFound, TooMany, UserError
from agentos.policy.approvals import Approvals
from agentos.policy.audit import Audit
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.store import Store
from agentos.syscall import describe, syscall
from agentos.types import Allowed, Approval, Call, Caller, Denied, Event, Json, Name, NeedsPerson, Private, Role

ROLES: dict[str, Role] = {"vera": "viewer", "oscar": "operator", "ada": "admin"}
ALIASES = {"tiny": "tiny-1.0"}
NO_SECRET_MODEL = """
@id("keep-off-tiny")
@reason("nobody touches this one")
forbid (principal, action, resource == Model::"tiny-1.0");
"""


@dataclass(frozen=True)
class Made:
    """What a call gave."""

    thing: str
    count: int


def table_writing(did: list[str], database: Path) -> Registry:
    """Syscalls that note in `did` what reached them."""

    @syscall(effect="read")
    async def look(ctx: Any, thing: Name = "sky", count: int = 1) -> Made:
        """Looks.

        Args:
            thing: At what.
            count: How often.
        """
        did.append(f"look {thing}")
        return Made(thing, count)

    @syscall(effect="write")
    async def put(ctx: Any, model: Name, note: Private = "") -> Made:
        """Puts, once the decision is on disk.

        Args:
            model: What.
            note: Words.
        """
        with sqlite3.connect(database) as other:
            rows = other.execute("select decision, outcome from audit where call = ?", (ctx.call,)).fetchall()
        other.close()
        did.append(f"put {model} {rows}")
        return Made(model, len(did))

    @syscall(effect="destroy")
    async def drop(ctx: Any, thing: Name) -> Made:
        """Drops.

        Args:
            thing: What.
        """
        did.append(f"drop {thing}")
        return Made(thing, 1)

    @syscall(effect="write")
    async def fail(ctx: Any, how: str = "politely") -> Made:
        """Fails.

        Args:
            how: In which way.
        """
        did.append("fail")
        raise Failed("the tape ran out; nothing was changed") if how == "politely" else KeyError("secret words")

    @syscall(effect="write")
    async def wait(ctx: Any) -> Made:
        """Waits until it is cancelled."""
        did.append("wait")
        await ctx.progress("waiting", 0, 1)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    @syscall(effect="write")
    async def blurt(ctx: Any) -> Made:
        """Gives what no record can hold."""
        return Made("x", {1, 2})  # type: ignore[arg-type]

    table = Registry()
    for function in (look, put, drop, fail, wait, blurt):
        table.add(describe(function, "t"))
    return table


@dataclass
class World:
    """A dispatcher with real rules, approvals and trail."""

    store: Store
    did: list[str]
    table: Registry
    approvals: Approvals
    audit: Audit
    dispatcher: Dispatcher
    made: list[tuple[str, str]]
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self, name: str, args: dict[str, Json] | None = None, who: str = "oscar", id: str = "r1.s1") -> Call:
        return Call(id, f"t.{name}", args or {}, Caller(who, ROLES.get(who, "admin"), "session-1", "cli"))

    async def run(self, name: str, args: dict[str, Json] | None = None, approval: Approval | None = None,
                  **more: str) -> Outcome:
        async def emit(event: Event) -> None:
            assert event.data["message"] == "waiting"
            self.told.set()

        return await self.dispatcher.run(self.call(name, args, **more), approval, emit)

    def trail(self) -> list[tuple[str, str, str]]:
        """Decisions and what became of them: syscall, decision, outcome."""
        rows = self.store.connection.execute(
            "select d.syscall, d.decision, coalesce(f.outcome, d.outcome) from audit d"
            " left join audit f on f.of = d.id and f.of != 0 where d.of = 0 order by d.id"
        )
        return [tuple(row) for row in rows]


def world_at(home: Path, role_of: Any = ROLES.get) -> World:
    store, did, made = Store(home / "agentos.db"), [], []
    table = table_writing(did, home / "agentos.db")
    monitor = Monitor(table, role_of, owner_of=lambda kind, name: "oscar", extra=home / "policies")
    approvals, audit = Approvals(store, table, monitor.approves), Audit(store, table)
    nothing: Any = None
    dispatcher = Dispatcher(
        table, monitor, approvals, audit, Services(*[nothing] * len(fields(Services))),
        names={"model": lambda said: ALIASES.get(said, said)},
        made=lambda entry, result, user: made.append((entry.name, user)),
    )
    return World(store, did, table, approvals, audit, dispatcher, made)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = world_at(tmp_path)
    yield made
    made.store.close()


async def test_the_decision_is_on_disk_before_the_function_runs_and_the_outcome_after(world: World) -> None:
    given = await world.run("put", {"model": "m"})
    assert world.did == ["put m [('allow', 'pending')]"]
    assert given.result == {"thing": "m", "count": 1} and given.value == Made("m", 1)
    assert world.trail() == [("t.put", "allow", "done")]
    assert world.made == [("t.put", "oscar")]
    assert world.audit.verify().ok


async def test_nothing_of_an_answer_is_let_out_before_its_decision_is_on_disk(world: World) -> None:
    heads, said = world.store.path.parent / "audit" / "heads.jsonl", []

    async def emit(event: Event) -> None:
        said.append((event.data["text"], json.loads(heads.read_bytes().splitlines()[-1])["row"]))

    async def make(context: Any) -> Made:
        await context.text("one")
        await context.text(" two")
        return Made("x", 1)

    given = await world.dispatcher.run(world.call("look"), None, emit, make, answers=True)
    assert given.value == Made("x", 1) and said == [("one", 1), (" two", 1)]
    assert world.trail() == [("t.look", "allow", "done")] and world.audit.verify().ok
    heads.unlink()
    with pytest.raises(Failed, match="could not be signed"):
        await world.dispatcher.run(world.call("look", id="r2.s1"), None, emit, make, answers=True)
    assert len(said) == 2 and world.trail()[-1] == ("t.look", "allow", "failed")


@pytest.mark.parametrize("args", [{"count": "many"}, {"colour": "red"}, {"count": None}])
async def test_what_does_not_validate_reaches_neither_policy_nor_the_function(world: World, args: Any) -> None:
    with pytest.raises(UserError):
        await world.run("look", args)
    assert world.did == [] and world.trail() == []


async def test_an_unknown_syscall_is_named_and_nothing_is_recorded(world: World) -> None:
    with pytest.raises(NotFound, match=r"t\.lok"):
        await world.run("lok")
    assert world.trail() == []


async def test_arguments_are_put_right_before_anyone_sees_them(world: World) -> None:
    assert (await world.run("look", {"count": "3"})).result == {"thing": "sky", "count": 3}


@pytest.mark.parametrize("who", ["vera", "nobody"])
async def test_what_policy_denies_does_not_run_and_is_recorded(world: World, who: str) -> None:
    with pytest.raises(DeniedError, match=r"t\.put was denied"):
        await world.run("put", {"model": "m", "note": "my secret"}, who=who)
    assert world.did == [] and world.trail() == [("t.put", "deny", "refused")]


async def test_a_denial_names_rules_and_never_data(world: World) -> None:
    with pytest.raises(DeniedError) as said:
        await world.run("put", {"model": "hidden-name", "note": "my secret"}, who="vera")
    assert "hidden-name" not in str(said.value) and "my secret" not in str(said.value)


async def test_a_yes_does_not_help_against_a_denial(world: World) -> None:
    with pytest.raises(DeniedError):
        await world.run("drop", {"thing": "x"}, Approval("ada"), who="vera")
    assert world.did == []


async def test_a_crash_in_policy_is_a_denial(tmp_path: Path) -> None:
    def broken(user: str) -> Role:
        raise RuntimeError("the list of users is gone")

    world = world_at(tmp_path, broken)
    assert isinstance(world.dispatcher.check(world.call("look")), Denied)
    with pytest.raises(DeniedError, match="policy-error"):
        await world.run("look")
    assert world.did == [] and world.trail() == [("t.look", "deny", "refused")]
    world.store.close()


async def test_what_needs_a_person_does_not_run_without_one(world: World) -> None:
    assert isinstance(world.dispatcher.check(world.call("drop", {"thing": "x"})), NeedsPerson)
    with pytest.raises(ApprovalNeeded):
        await world.run("drop", {"thing": "x"})
    assert world.did == [] and world.trail() == [("t.drop", "confirm", "pending")]


async def test_a_confirmed_call_runs_and_the_trail_says_who_confirmed(world: World) -> None:
    call = world.call("drop", {"thing": "x"})
    decision = world.dispatcher.check(call)
    assert isinstance(decision, NeedsPerson)
    held = world.dispatcher.hold(call, decision, "r1")
    assert world.dispatcher.hold(call, decision, "r1") == held
    await world.run("drop", {"thing": "x"}, Approval("ada", "once", held))
    assert world.did == ["drop x"]
    assert world.trail() == [("t.drop", "confirm", "confirmed"), ("t.drop", "allow", "done")]
    said = world.store.connection.execute("select approved_by, approval from audit where decision = 'allow'").fetchone()
    assert said == ("ada", held)


async def test_a_standing_yes_counts_at_the_check_and_at_the_call(world: World) -> None:
    call = world.call("drop", {"thing": "x"})
    decision = world.dispatcher.check(call)
    assert isinstance(decision, NeedsPerson)
    world.approvals.answer(world.dispatcher.hold(call, decision, "r1"), call.caller, "always")
    assert isinstance(world.dispatcher.check(call), Allowed)
    await world.run("drop", {"thing": "x"}, id="r2.s1")
    assert world.did == ["drop x"]
    assert isinstance(world.dispatcher.check(world.call("drop", {"thing": "y"})), NeedsPerson)


@pytest.mark.parametrize(
    ("how", "kind", "kept"),
    [("politely", Failed, "the tape ran out; nothing was changed"), ("rudely", KeyError, "KeyError")],
)
async def test_a_function_that_fails_is_recorded_as_failed(world: World, how: str, kind: Any, kept: str) -> None:
    with pytest.raises(kind):
        await world.run("fail", {"how": how})
    assert world.trail() == [("t.fail", "allow", "failed")]
    assert world.made == []
    past = world.audit.outcome_of("r1.s1")
    assert past is not None and past.detail == kept


async def test_a_call_id_has_its_effect_once_and_gives_again_what_it_gave(world: World) -> None:
    first = await world.run("put", {"model": "m"})
    again = await world.run("put", {"model": "m"})
    assert again.result == first.result and again.value is None
    assert len(world.did) == 1 and world.trail() == [("t.put", "allow", "done")]


async def test_a_call_that_failed_is_not_made_again_under_its_id(world: World) -> None:
    for _ in range(2):
        with pytest.raises(Failed, match="tape ran out"):
            await world.run("fail")
    assert world.did == ["fail"]


async def test_a_call_that_was_cut_off_is_not_made_again_and_says_so(world: World) -> None:
    world.audit.decided(world.call("put", {"model": "m"}), Allowed("operator-works"))
    assert world.audit.recover() == 1
    with pytest.raises(Failed, match="may or may not have had its effect"):
        await world.run("put", {"model": "m"})
    assert world.did == []


async def test_a_read_that_was_cut_off_is_made_again(world: World) -> None:
    world.audit.decided(world.call("look"), Allowed("operator-works"))
    world.audit.recover()
    assert (await world.run("look")).result == {"thing": "sky", "count": 1}
    assert (await world.run("look")).value is None
    assert world.did == ["look sky"]


async def test_an_alias_cannot_pass_a_rule_about_the_model(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "tiny.cedar").write_text(NO_SECRET_MODEL, "utf-8")
    world = world_at(tmp_path)
    for said in ("tiny", "tiny-1.0"):
        assert isinstance(world.dispatcher.check(world.call("put", {"model": said})), Denied)
        with pytest.raises(DeniedError, match="keep-off-tiny"):
            await world.run("put", {"model": said}, who="ada", id=said)
    assert world.did == []
    named = world.store.connection.execute("select arguments from audit").fetchall()
    assert {json.loads(row[0])["model"] for row in named} == {"tiny-1.0"}
    world.store.close()


async def test_a_cancelled_call_is_recorded_as_cancelled(world: World) -> None:
    task = asyncio.create_task(world.run("wait"))
    await world.told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.trail() == [("t.wait", "allow", "cancelled")]
    with pytest.raises(Failed, match="cancelled"):
        await world.run("wait")


async def test_two_of_one_id_at_the_same_time_have_one_effect(world: World) -> None:
    first = asyncio.create_task(world.run("wait"))
    await world.told.wait()
    with pytest.raises(Failed):
        await world.run("wait")
    assert world.did.count("wait") == 1
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_result_that_is_no_json_closes_its_record(world: World) -> None:
    with pytest.raises(TypeError):
        await world.run("blurt")
    assert world.trail() == [("t.blurt", "allow", "failed")]


async def test_where_as_many_calls_wait_as_may_the_next_is_denied_and_says_what_to_do(world: World) -> None:
    world.approvals._most = 1
    held = world.call("drop", {"thing": "x"})
    decision = world.dispatcher.check(held)
    assert isinstance(decision, NeedsPerson)
    world.dispatcher.hold(held, decision, "r1")
    assert isinstance(world.dispatcher.check(held), NeedsPerson)  # it waits already
    other = replace(held, id="r2.s1")
    denied = world.dispatcher.check(other)
    assert isinstance(denied, Denied) and denied.rule == "pending-limit"
    with pytest.raises(TooMany, match="agentos approvals"):
        await world.run("drop", {"thing": "x"}, id="r2.s1")
    assert world.did == [] and world.trail() == [("t.drop", "confirm", "pending"), ("t.drop", "deny", "refused")]
    await world.run("look")
