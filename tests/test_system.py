"""The whole system in one process, with the scripted engine: sentences and calls in, effects and records out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agentos.config import Settings
from agentos.errors import DeniedError, Failed, UserError
from agentos.interfaces.place import only_system
from agentos.interfaces.planning import planning
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.system import System
from agentos.types import Caller, Event, Name

SCRIPT = r"""
- {when: "relate it\n.*went wrong", say: "test.note(word=\"one\")\ntest.limited(word=s1.word, top=3)"}
- {when: "went wrong: .*top must be", say: "test.note(word=\"once\")\ntest.limited(word=\"once\", top=3)"}
- {when: "relate it", say: "test.note(word=\"one\")\ntest.limited(word=s1.word, top=99)"}
- {when: "hopeless", say: "test.limited(word=\"hopeless\", top=\"many\")"}
- {when: "meet", say: "test.meet(word=\"a\")\ntest.meet(word=\"b\")"}
- {when: "find it\n.*went wrong", say: "test.note(word=\"evil\")"}
- {when: "find it", say: "test.hear()\ntest.find(word=s1.word)"}
- {when: "heed", say: "test.hear()\ntest.note(word=s1.word)"}
- {when: "drop what", say: "test.hear()\ntest.drop(word=s1.word)"}
- {when: "look up", say: "test.hear()\ntest.look(word=s1.word)\ntest.note(word=s2.word)"}
- {when: "refer", say: "test.note(word=\"first\")\ntest.note(word=s1.word) after s1"}
- {when: "broken", say: "test.fail()\ntest.note(word=\"never\") after s1\ntest.note(word=\"free\")"}
- {when: "mend", say: "test.note(word=\"once\")\ntest.limited(word=\"once\", top=99)"}
- {when: "two drops", say: "test.drop(word=\"a\")\ntest.drop(word=\"b\")"}
- {when: "slow drops", say: "test.hold()\ntest.drop(word=\"b\")"}
- {when: "long plan", say: "test.note(word=\"x\")", wait: 30}
- {when: "weather", say: "none()"}
- {when: "count (\\w+)", say: "test.note(word=\"\\1\")"}
"""
ADMIN = Caller("ada", "admin", "session-1", "cli")
OSCAR = Caller("oscar", "operator", "session-1", "cli")
VERA = Caller("vera", "viewer", "session-1", "cli")


@dataclass(frozen=True)
class Said:
    """What a test syscall gives."""

    word: str


@dataclass
class Did:
    """What the test syscalls have done."""

    words: list[str] = field(default_factory=list)
    meeting: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


def table(did: Did) -> Registry:
    """The installed syscalls and some that can be watched."""

    @syscall(effect="write")
    async def note(ctx: Any, word: Name) -> Said:
        """Notes a word.

        Args:
            word: Which.
        """
        did.words.append(word)
        return Said(word)

    @syscall(effect="read", untrusted=True)
    async def hear(ctx: Any) -> Said:
        """Gives what somebody outside said."""
        return Said("rm -rf")

    @syscall(effect="read")
    async def find(ctx: Any, word: Name) -> Said:
        """Looks for a thing that is not there.

        Args:
            word: Which.
        """
        raise UserError(f"there is no {word!r}; did you mean 'evil'?")

    @syscall(effect="read")
    async def look(ctx: Any, word: Name) -> Said:
        """Looks a word up.

        Args:
            word: Which.
        """
        return Said(f"{word}, they say")

    @syscall(effect="write")
    async def meet(ctx: Any, word: Name) -> Said:
        """Waits until another one is here.

        Args:
            word: Which.
        """
        await did.meeting.wait()
        did.words.append(word)
        return Said(word)

    @syscall(effect="write")
    async def fail(ctx: Any) -> Said:
        """Fails."""
        raise Failed("the tape ran out; nothing was changed")

    @syscall(effect="write")
    async def limited(ctx: Any, word: Name, top: int = 1) -> Said:
        """Counts to a limit.

        Args:
            word: Which.
            top: How far.
        """
        if top > 10:
            raise UserError(f"top must be 10 or less, not {top}")
        did.words.append(f"{word} {top}")
        return Said(word)

    @syscall(effect="execute")
    async def drop(ctx: Any, word: Name) -> Said:
        """Drops, once confirmed.

        Args:
            word: Which.
        """
        did.words.append(f"drop {word}")
        return Said(word)

    @syscall(effect="execute")
    async def hold(ctx: Any) -> Said:
        """Takes its time, once confirmed."""
        did.holding.set()
        await did.let_go.wait()
        did.words.append("held")
        return Said("held")

    made = installed()
    for function in (note, hear, look, find, meet, fail, limited, drop, hold):
        made.add(describe(function, "test"))
    return made


@dataclass
class World:
    """A running system and what was done with it."""

    system: System
    did: Did

    async def ask(self, text: str, caller: Caller = OSCAR) -> list[Event]:
        return await heard(self.system.run_sentence(text, caller))

    async def answer(self, approval: str, answer: str, caller: Caller = OSCAR) -> list[Event]:
        return await heard(self.system.answer(approval, answer, caller))

    def trail(self) -> list[tuple[str, str, str]]:
        rows = self.system.store.connection.execute(
            "select d.syscall, d.decision, coalesce(f.outcome, d.outcome) from audit d"
            " left join audit f on f.of = d.id and f.of != 0 where d.of = 0 order by d.id"
        )
        return [tuple(row) for row in rows]

    def states(self) -> list[str]:
        return [row[0] for row in self.system.store.connection.execute("select state from runs order by started")]


async def heard(events: AsyncIterator[Event]) -> list[Event]:
    async with asyncio.timeout(60):
        return [event async for event in events]


def of(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [event.data for event in events if event.kind == kind]


def held(events: list[Event]) -> dict[str, str]:
    """Held calls by their `word` argument."""
    return {str(item["args"].get("word", "")): item["approval"] for item in of(events, "held")}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "script.yaml").write_text(SCRIPT, "utf-8")
    home = tmp_path / "home"
    return Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script=str(tmp_path / "script.yaml"),
        offline=True, lang="en",
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, did: Did) -> AsyncIterator[World]:
    system = System(settings, table(did))
    try:
        await system.start()
        for caller in (OSCAR, VERA, ADMIN):
            if caller.user not in {user.name for user in system.people.users()}:
                system.people.add(caller.user, caller.role)
        yield World(system, did)
    finally:
        await system.stop()


@pytest_asyncio.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running(settings, Did()) as made:
        yield made


async def test_steps_that_wait_for_nothing_run_at_the_same_time(world: World) -> None:
    events = await world.ask("meet")
    assert sorted(world.did.words) == ["a", "b"]
    assert of(events, "end")[0]["ok"] and [event.kind for event in events][-1] == "end"


async def test_a_reference_is_filled_with_what_the_earlier_step_gave(world: World) -> None:
    events = await world.ask("refer")
    assert world.did.words == ["first", "first"]
    assert of(events, "end")[0]["results"] == {"s1": {"word": "first"}, "s2": {"word": "first"}}


async def test_a_failed_step_stops_its_followers_and_no_others_and_says_so(world: World) -> None:
    events = await world.ask("broken")
    assert world.did.words == ["free"]
    assert [(item["step"], item["kind"]) for item in of(events, "error")] == [("s1", "failed")]
    assert "1 of 3" in of(events, "reply")[0]["text"]
    assert of(events, "end")[0]["exit_code"] == 1
    assert world.trail() == [("test.fail", "allow", "failed"), ("test.note", "allow", "done")]


async def test_a_call_that_does_not_fit_goes_back_to_the_model_once_and_what_is_done_stays_done(world: World) -> None:
    events = await world.ask("mend it")
    assert world.did.words == ["once", "once 3"]
    assert of(events, "plan")[1]["repaired"] is True
    assert of(events, "end")[0]["ok"] and world.states() == ["done"]


async def test_a_repaired_plan_may_use_what_an_earlier_step_gave(world: World) -> None:
    events = await world.ask("relate it")
    assert world.did.words == ["one", "one 3"] and of(events, "end")[0]["ok"]
    assert [row[:2] for row in world.trail()] == [
        ("test.note", "allow"), ("test.limited", "allow"), ("test.limited", "allow"),
    ]


async def test_what_was_deleted_comes_back(world: World, tiny_models: dict[str, Path]) -> None:
    async def call(name: str, args: dict[str, Any]) -> list[Event]:
        events = await heard(world.system.run_call(name, args, ADMIN, yes=True))
        assert of(events, "end")[0]["ok"], events
        return events

    await call("models.pull", {"model": "tiny", "source": str(tiny_models["llama"])})
    stored = world.system.models.card("tiny")
    gone = of(await call("models.delete", {"model": "tiny"}), "result")[0]["result"]
    assert all(row.model != "tiny" for row in world.system.models.listing("stored").models)
    await call("kernel.undo", {"item": gone["undo"]})
    assert world.system.models.card("tiny") == stored
    assert [row[0] for row in world.trail()] == ["models.pull", "models.delete", "kernel.undo"]
    assert all(row[1:] == ("allow", "done") for row in world.trail())


async def test_every_decision_has_its_outcome_on_the_trail(world: World) -> None:
    for sentence in ("refer", "broken", "mend it", "meet"):
        await world.ask(sentence)
    await world.ask("refer", VERA)
    asked = held(await world.ask("two drops"))
    await world.answer(asked["a"], "once")
    await world.answer(asked["b"], "no")
    outcomes = {row[1:] for row in world.trail()}
    assert outcomes == {
        ("allow", "done"), ("allow", "failed"), ("deny", "refused"), ("confirm", "confirmed"), ("confirm", "refused"),
    }
    assert world.system.audit.verify().ok


async def test_a_plan_that_stays_wrong_runs_nothing(world: World) -> None:
    events = await world.ask("hopeless")
    assert world.did.words == [] and of(events, "end")[0]["exit_code"] == 1
    assert "nothing was run" in of(events, "reply")[0]["text"]


async def test_what_the_table_does_not_do_is_declined(world: World) -> None:
    events = await world.ask("how is the weather")
    assert "nothing was run" in of(events, "reply")[0]["text"] and world.trail() == []


async def test_approving_the_second_of_two_runs_the_second_and_only_it(world: World) -> None:
    first = await world.ask("two drops")
    asked = held(first)
    assert set(asked) == {"a", "b"} and world.did.words == []
    assert of(first, "end")[0]["exit_code"] == 4
    assert set(of(first, "end")[0]["waiting"]) == set(asked.values())
    second = await world.answer(asked["b"], "once")
    assert world.did.words == ["drop b"]
    assert held(second) == {"a": asked["a"]} and of(second, "end")[0]["waiting"] == [asked["a"]]
    assert world.states() == ["waiting"]
    third = await world.answer(asked["a"], "once")
    assert world.did.words == ["drop b", "drop a"]
    assert of(third, "end")[0]["ok"] and world.states() == ["done"]


async def test_refusing_one_leaves_the_other(world: World) -> None:
    asked = held(await world.ask("two drops"))
    refused = await world.answer(asked["a"], "no")
    assert of(refused, "error")[0]["kind"] == "refused" and held(refused) == {"b": asked["b"]}
    done = await world.answer(asked["b"], "once")
    assert world.did.words == ["drop b"] and of(done, "end")[0]["exit_code"] == 3
    assert ("test.drop", "confirm", "refused") in world.trail() and ("test.drop", "allow", "done") in world.trail()


async def test_an_answer_that_comes_to_a_run_twice_spoils_no_later_one(world: World) -> None:
    """As where a boot takes in what was said while it was said."""
    first = await world.ask("two drops")
    asked, run = held(first), of(first, "end")[0]["run"]
    await world.answer(asked["b"], "once")
    again = await heard(world.system.runs.go_on(run, asked["b"], "once", "otto", ""))
    assert "waits for no such answer" in of(again, "error")[0]["message"] and of(again, "end")[0]["exit_code"] == 2
    assert world.states() == ["waiting"]
    last = await world.answer(asked["a"], "once")
    assert of(last, "end")[0]["ok"] and world.did.words == ["drop b", "drop a"]


async def test_a_call_is_answered_once(world: World) -> None:
    asked = held(await world.ask("two drops"))
    await world.answer(asked["a"], "once")
    with pytest.raises(UserError, match="answered already"):
        await world.answer(asked["a"], "once")
    assert world.did.words == ["drop a"]


async def test_an_always_covers_what_is_held_beside_it(world: World) -> None:
    asked = held(await world.ask("two drops"))
    events = await world.answer(asked["a"], "always")
    assert sorted(world.did.words) == ["drop a", "drop b"] and of(events, "end")[0]["ok"]
    assert world.system.approvals.pending() == []


async def test_an_always_lets_the_next_one_through_until_it_is_taken_back(world: World) -> None:
    def drop() -> Any:
        return heard(world.system.run_call("test.drop", {"word": "x"}, OSCAR))

    await world.answer(held(await drop())["x"], "always")
    assert held(await drop()) == {} and world.did.words == ["drop x", "drop x"]
    world.system.approvals.revoke(world.system.approvals.rules()[0].id, OSCAR)
    assert "x" in held(await drop()) and len(world.did.words) == 2


async def test_a_yes_for_the_session_holds_in_this_session_only(world: World) -> None:
    def drop(session: str) -> Any:
        caller = replace(OSCAR, session=session)
        return heard(world.system.run_call("test.drop", {"word": "x"}, caller))

    await world.answer(held(await drop("one"))["x"], "session")
    assert held(await drop("one")) == {} and len(world.did.words) == 2
    assert "x" in held(await drop("two")) and len(world.did.words) == 2


async def test_yes_confirms_for_those_who_may(world: World) -> None:
    events = await heard(world.system.run_call("test.drop", {"word": "x"}, OSCAR, yes=True))
    assert world.did.words == ["drop x"] and of(events, "end")[0]["ok"]


async def test_yes_does_not_confirm_for_who_may_not(settings: Settings) -> None:
    (settings.home / "policies").mkdir(parents=True)
    (settings.home / "policies" / "generous.cedar").write_text(
        '@id("viewers-execute")\n@reason("viewers may run what is confirmed")\n'
        'permit (principal in Role::"viewer", action in Action::"execute", resource);\n', "utf-8",
    )
    async with running(settings, Did()) as world:
        events = await heard(world.system.run_call("test.drop", {"word": "x"}, VERA, yes=True))
        assert world.did.words == [] and of(events, "end")[0]["exit_code"] == 4
        with pytest.raises(DeniedError):
            world.system.answer(held(events)["x"], "once", VERA)
        await world.answer(held(events)["x"], "once", ADMIN)
        assert world.did.words == ["drop x"]


async def test_what_is_denied_says_so_and_runs_nothing(world: World) -> None:
    events = await world.ask("refer", VERA)
    assert world.did.words == [] and of(events, "end")[0]["exit_code"] == 3
    assert world.trail() == [("test.note", "deny", "refused")]


async def test_a_second_answer_waits_for_what_the_first_one_started(world: World) -> None:
    asked = {item["syscall"]: item["approval"] for item in of(await world.ask("slow drops"), "held")}
    first = asyncio.create_task(world.answer(asked["test.hold"], "once"))
    await asyncio.wait_for(world.did.holding.wait(), 30)
    second = asyncio.create_task(world.answer(asked["test.drop"], "once"))
    await asyncio.sleep(0.1)
    assert world.did.words == []
    world.did.let_go.set()
    await first
    assert of(await second, "end")[0]["ok"]
    assert world.did.words == ["held", "drop b"] and world.states() == ["done"]


async def test_cancelling_a_run_closes_the_calls_it_holds(world: World) -> None:
    asked = {item["syscall"]: item["approval"] for item in of(await world.ask("slow drops"), "held")}
    first = asyncio.create_task(world.answer(asked["test.hold"], "once"))
    await asyncio.wait_for(world.did.holding.wait(), 30)
    (run,) = world.system.store.connection.execute("select id from runs").fetchone()
    assert await world.system.cancel(run, OSCAR)
    assert of(await first, "end")[0]["exit_code"] == 130
    assert world.system.approvals.pending() == [] and world.did.words == []
    with pytest.raises(UserError, match="answered already"):
        await world.answer(asked["test.drop"], "once")
    assert ("test.hold", "allow", "cancelled") in world.trail()


async def test_a_run_that_waits_for_a_person_can_be_cancelled(world: World) -> None:
    (held,) = {str(item["run"]) for item in of(await world.ask("two drops"), "held")}
    assert await world.system.cancel(held, OSCAR)
    assert world.states() == ["cancelled"] and world.system.approvals.pending() == []
    assert not await world.system.cancel(held, OSCAR)


async def test_the_time_of_every_plan_is_counted(world: World) -> None:
    await world.ask("count sheep")
    assert world.system.status()["plans"] == 1 and world.system.status()["plan_ms"] is not None


async def test_planning_can_be_cancelled(world: World) -> None:
    events = world.system.run_sentence("a long plan", OSCAR)
    run = str((await anext(events)).data["run"])
    assert await world.system.cancel(run, OSCAR)
    rest = await heard(events)
    assert of(rest, "end")[0]["exit_code"] == 130 and world.states() == ["cancelled"]
    assert of(await world.ask("refer"), "end")[0]["ok"]


async def test_a_held_call_outlives_a_restart(settings: Settings) -> None:
    did = Did()
    async with running(settings, did) as world:
        asked = held(await world.ask("two drops"))
    async with running(settings, did) as world:
        assert {item.id for item in world.system.approvals.pending()} == set(asked.values())
        await world.answer(asked["b"], "once")
        assert did.words == ["drop b"]
        assert of(await world.answer(asked["a"], "once"), "end")[0]["ok"]
    assert did.words == ["drop b", "drop a"]


async def test_an_answer_that_was_recorded_and_not_acted_on_is_acted_on_after_a_restart(settings: Settings) -> None:
    did = Did()
    async with running(settings, did) as world:
        asked = held(await world.ask("two drops"))
        world.system.approvals.answer(asked["a"], OSCAR, "once")
    async with running(settings, did) as world:
        await until(lambda: world.states() == ["waiting"] and did.words == ["drop a"])
        assert of(await world.answer(asked["b"], "once"), "end")[0]["ok"]
    assert did.words == ["drop a", "drop b"]


async def test_a_run_that_was_cut_off_by_the_end_goes_on(settings: Settings) -> None:
    did = Did()
    async with running(settings, did) as world:
        approval = of(await heard(world.system.run_call("test.hold", {}, OSCAR)), "held")[0]["approval"]
        task = asyncio.create_task(world.answer(approval, "once"))
        await asyncio.wait_for(did.holding.wait(), 30)
    await task
    async with running(settings, did) as world:
        await until(lambda: world.states() == ["done"])
        assert did.words == [] and ("test.hold", "allow", "cancelled") in world.trail()


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_two_systems_cannot_have_one_home(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    with only_system(settings), pytest.raises(Failed), only_system(settings):
        raise AssertionError("unreachable")


async def test_fifty_runs_at_once_share_one_database(world: World) -> None:
    worst, stop = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not stop.is_set():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    runs = [heard(world.system.run_call("test.note", {"word": f"w{n}"}, OSCAR)) for n in range(50)]
    ends = [of(events, "end")[0] for events in await asyncio.gather(*runs)]
    stop.set()
    await watching
    assert all(end["ok"] for end in ends) and len(set(world.did.words)) == len(world.did.words) == 50
    assert worst < 5, f"the event loop stood still for {worst:.1f} s"
    assert len(world.trail()) == 50 and world.system.audit.verify().ok


async def test_a_planner_of_its_own_takes_a_scripted_kernel(settings: Settings) -> None:
    async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
        pass

    script = '- {when: "memory", say: "resources.query(kind=\\"memory\\")"}'
    async with planning(replace(settings, kernel_engine="scripted", kernel_script=script), silent) as (planner, _, _):
        plan = (await planner.plan("how much memory is free?")).plan
    assert [(step.syscall, dict(step.args)) for step in plan.steps] == [("resources.query", {"kind": "memory"})]


async def test_words_from_outside_that_would_change_something_wait_for_a_person_who_sees_whence(world: World) -> None:
    events = await world.ask("heed them")
    (waiting,) = of(events, "held")
    assert waiting["args"] == {"word": "rm -rf"} and waiting["outside"] == {"word": "word of test.hear (s1)"}
    assert "confirm-outside" in {item["rule"] for item in of(events, "decision")}
    (kept,) = world.system.approvals.pending()
    assert kept.outside == {"word": "word of test.hear (s1)"}
    assert world.did.words == []
    await world.answer(waiting["approval"], "once")
    assert world.did.words == ["rm -rf"]
    rows = world.system.store.connection.execute("select arguments from audit where syscall = 'test.note'").fetchall()
    assert all("word of test.hear (s1)" in row[0] for row in rows) and rows


async def test_no_yes_that_was_given_beforehand_covers_words_from_outside(world: World) -> None:
    await world.answer(of(await world.ask("drop what they say"), "held")[0]["approval"], "always")
    assert world.did.words == ["drop rm -rf"]
    again = await world.ask("drop what they say")
    assert [item["syscall"] for item in of(again, "held")] == ["test.drop"], "always was said of other words"
    assert world.did.words == ["drop rm -rf"]


async def test_words_from_outside_stay_so_through_a_call_that_only_looks(world: World) -> None:
    events = await world.ask("look up what they say")
    (waiting,) = of(events, "held")
    assert waiting["outside"] == {"word": "word of test.look (s2)"}
    assert world.did.words == []


async def test_no_plan_is_repaired_by_an_error_that_may_quote_words_from_outside(world: World) -> None:
    events = await world.ask("find it")
    assert len(of(events, "plan")) == 1 and world.did.words == []
    assert [item["kind"] for item in of(events, "error")] == ["user"]
