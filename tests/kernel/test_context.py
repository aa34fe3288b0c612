"""What was said before completes a sentence where it is sure, is told, and stays what it is for policy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from agentos.config import Settings
from agentos.kernel.context import Before, Conversations, Past, Taken, Turn, Value
from agentos.kernel.language import Missing
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.system import System
from agentos.types import Caller, Event, Name, Private, Step

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = r"""
- {when: "hear of one", say: "test.hear()"}
- {when: "(?i)lift the stranger|lift (?:a model|them both)|升一个", say: "test.lift(model=?)"}
- {when: "(?i)lift (?:it|that one|the same)|升它|升这个", say: "test.lift(model=?)"}
- {when: "(?i)lower (?:it|that one)|降它|把刚才那个降下来", say: "test.lower(model=?)"}
- {when: "(?i)burn it|烧掉它", say: "test.burn(model=?)"}
- {when: "look at it", say: "test.look(model=?)"}
- {when: "lift it and weigh it", say: "test.lift(model=?)\ntest.look(model=s1.model)"}
- {when: "misjudge it", say: "test.pick(model=?, top=99)"}
- {when: "train one", say: "test.study(model=?, dataset=?)"}
- {when: "study it on (\\w+)", say: 'test.study(model=?, dataset="\1")'}
- {when: "study (\\w+) with (\\w+)", say: 'test.study(model="\1", dataset="\2")'}
- {when: "heave it|scrap it|甩掉它", say: "kernel.undo()"}
- {when: "undo it", say: "kernel.undo()"}
- {when: "heave the model (\\w+) off", say: 'test.lower(model="\1")'}
- {when: "甩掉 模型 (\\w+)", say: 'test.lower(model="\1")'}
- {when: "heave the model \"(.+)\" off", say: 'test.lower(model="\1")'}
- {when: "scrap the model (\\w+)", say: 'test.burn(model="\1")'}
- {when: "scrap the dataset (\\w+)", say: 'test.start(command="\1")'}
- {when: "view (\\w+)", say: 'datasets.show(dataset="\1")'}
- {when: "delete it", say: "models.delete(model=?)"}
- {when: "delete the dataset (\\w+)", say: 'datasets.delete(dataset="\1")'}
- {when: "lift \"(.+)\"", say: 'test.lift(model="\1")'}
- {when: "halt it|停掉它", say: "test.halt(job=?)"}
- {when: "start something", say: "test.start(command=?)"}
- {when: "start '(.*)'", say: 'test.start(command="\1")'}
- {when: "copy (\\w+)", say: 'test.copy(model="\1")'}
- {when: "(?:lift|升) ?(\\w+) and (\\w+)", say: "test.lift(model=\"\\1\")\ntest.lift(model=\"\\2\")"}
- {when: "(?:lift|升) ?(\\w+)", say: 'test.lift(model="\1")'}
- {when: "burn (\\w+)", say: 'test.burn(model="\1")'}
- {when: "hello", say: "chat()"}
- {when: ".", say: "none()"}
"""
ADA = Caller("ada", "admin", "talk-1", "repl")


@dataclass(frozen=True)
class Gave:
    """What the test syscalls give."""

    model: str = ""


@dataclass(frozen=True)
class Started:
    """A job."""

    job: str


@dataclass
class Done:
    """What was done."""

    calls: list[str] = field(default_factory=list)


def table(done: Done) -> Registry:
    """The installed syscalls and some that can be watched."""

    @syscall(effect="write")
    async def lift(ctx: Any, model: Name) -> Gave:
        """Lifts one.

        Args:
            model: Which.
        """
        done.calls.append(f"lift {model}")
        return Gave(model)

    @syscall(effect="write")
    async def lower(ctx: Any, model: Name) -> Gave:
        """Lowers one.

        Args:
            model: Which.
        """
        done.calls.append(f"lower {model}")
        return Gave(model)

    @syscall(effect="write")
    async def copy(ctx: Any, model: Name) -> Gave:
        """Copies one under another name.

        Args:
            model: Which.
        """
        done.calls.append(f"copy {model}")
        return Gave(f"{model}-copy")

    @syscall(effect="write")
    async def pick(ctx: Any, model: Name, top: int = 1) -> Gave:
        """Picks one.

        Args:
            model: Which.
            top: How many.
        """
        from agentos.errors import UserError

        raise UserError("top must be 10 or less")

    @syscall(effect="destroy")
    async def burn(ctx: Any, model: Name) -> Gave:
        """Burns one.

        Args:
            model: Which.
        """
        done.calls.append(f"burn {model}")
        return Gave(model)

    @syscall(effect="read")
    async def look(ctx: Any, model: Name) -> Gave:
        """Looks at one.

        Args:
            model: Which.
        """
        done.calls.append(f"look {model}")
        return Gave(model)

    @syscall(effect="read", untrusted=True)
    async def hear(ctx: Any) -> Gave:
        """Gives what somebody outside calls one."""
        return Gave("stranger")

    @syscall(effect="write")
    async def study(ctx: Any, model: Name, dataset: Name) -> Gave:
        """Teaches one.

        Args:
            model: Which.
            dataset: What it is to learn.
        """
        done.calls.append(f"study {model} {dataset}")
        return Gave(model)

    @syscall(effect="write")
    async def start(ctx: Any, command: Private) -> Started:
        """Starts something.

        Args:
            command: What.
        """
        done.calls.append(f"start {command}")
        return Started("j7")

    @syscall(effect="write")
    async def halt(ctx: Any, job: Name) -> Gave:
        """Halts a job.

        Args:
            job: Which.
        """
        done.calls.append(f"halt {job}")
        return Gave()

    made = installed()
    for function in (lift, lower, copy, pick, burn, look, hear, study, start, halt):
        made.add(describe(function, "test"))
    return made


@dataclass
class World:
    """A running system and what was done with it."""

    system: System
    done: Done
    ada: Caller

    async def say(self, text: str, caller: Caller | None = None, before: Before | None = None) -> list[Event]:
        async with asyncio.timeout(60):
            return [event async for event in self.system.run_sentence(text, caller or self.ada, before=before)]

    async def answer(self, approval: str, answer: str) -> list[Event]:
        async with asyncio.timeout(60):
            return [event async for event in self.system.answer(approval, answer, self.ada)]


def replies(events: list[Event]) -> list[str]:
    return [str(event.data["text"]) for event in events if event.kind == "reply"]


def held(events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.kind == "held"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[System, Done]]:
    home, done = tmp_path_factory.mktemp("context"), Done()
    (home / "script.yaml").write_text(SCRIPT, "utf-8")
    system = System(Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script=str(home / "script.yaml"),
        offline=True, lang="en",
    ), table(done))
    try:
        await system.start()
        for user in ("ada", "bob"):
            if user not in {one.name for one in system.people.users()}:
                system.people.add(user, "admin")
        yield system, done
    finally:
        await system.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def world(started: tuple[System, Done], request: pytest.FixtureRequest) -> World:
    """One system for all, and a session for each test."""
    system, done = started
    done.calls.clear()
    return World(system, done, Caller("ada", "admin", request.node.name, "repl"))


@pytest.mark.parametrize(("first", "then", "told"), [
    ("lift zeta", "and lower it again", "it: zeta"), ("升 zeta", "降它", "它：zeta"),
    ("lift zeta", "把刚才那个降下来", "刚才那个：zeta"), ("升 zeta", "now lower that one", "that one: zeta"),
])
async def test_a_pronoun_is_the_one_thing_that_was_named(world: World, first: str, then: str, told: str) -> None:
    await world.say(first)
    events = await world.say(then)
    assert world.done.calls == ["lift zeta", "lower zeta"] and replies(events) == [told]
    plan = next(event.data for event in events if event.kind == "plan")
    word = re.split("[:：]", told)[0]
    assert plan["taken"] == [{"step": "s1", "parameter": "model", "value": "zeta", "word": word}]


def planned(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    steps = next(event.data["plan"] for event in events if event.kind == "plan")["steps"]
    return [(step["syscall"], step["args"]) for step in steps]


@pytest.mark.parametrize(("first", "then", "name"), [
    ("lift zeta", "and heave it off", "zeta"), ("升 zeta", "甩掉它", "zeta"),
    ('lift "zeta two"', "heave it off please", "zeta two"),
])
async def test_what_would_be_another_call_is_planned_with_the_name(
    world: World, first: str, then: str, name: str
) -> None:
    await world.say(first)
    events = await world.say(then)
    assert world.done.calls == [f"lift {name}", f"lower {name}"] and "zeta" in replies(events)[0]
    taken = next(event.data for event in events if event.kind == "plan")["taken"]
    assert taken[0] == {"step": "s1", "parameter": "model", "value": name, "word": taken[0]["word"]}


async def test_what_is_destroyed_by_a_name_for_a_pronoun_waits_too(world: World) -> None:
    await world.answer(held(await world.say("burn omega"))[0]["approval"], "always")
    await world.say("lift omega")
    call = held(await world.say("scrap it"))[0]
    assert call["args"]["model"] == "omega" and "taken from the conversation" in call["reason"]
    assert world.done.calls == ["burn omega", "lift omega"]


async def test_a_name_that_came_from_outside_is_in_no_sentence_that_is_planned(world: World) -> None:
    await world.say("hear of one")
    events = await world.say("heave it off")
    assert planned(events) == [] and "kernel.undo()" in replies(events)[0]


async def test_a_plan_that_puts_the_name_elsewhere_is_not_run(world: World) -> None:
    await world.say("view reviews")
    events = await world.say("scrap it")
    assert planned(events) == [] and "kernel.undo()" in replies(events)[0] and world.done.calls == []


async def test_several_things_are_asked_about_where_the_name_makes_the_call(world: World) -> None:
    await world.say("lift zeta and beta")
    assert "zeta or beta" in replies(await world.say("heave it off"))[0]
    await world.say("beta")
    assert world.done.calls == ["lift zeta", "lift beta", "lower beta"]


async def test_undo_it_undoes(world: World) -> None:
    await world.say("lift zeta")
    assert planned(await world.say("undo it")) == [("kernel.undo", {})]


async def test_the_kind_of_what_was_spoken_of_decides_the_call(world: World) -> None:
    await world.say("view reviews")
    events = await world.say("delete it")
    assert planned(events) == [("datasets.delete", {"dataset": "reviews"})] and replies(events) == ["it: reviews"]


async def test_of_two_kinds_that_one_verb_takes_none_is_chosen(world: World) -> None:
    await world.say("study zeta with reviews")
    events = await world.say("delete it")
    assert planned(events) == [] and "model zeta or dataset reviews" in replies(events)[0]


@pytest.mark.parametrize(
    "then", ["now the same for beta", "and beta", "beta too", "beta 呢", "对 beta 也这样做", "换成 beta"]
)
async def test_the_same_is_done_for_another(world: World, then: str) -> None:
    await world.say("lift zeta")
    await world.say(then)
    assert world.done.calls == ["lift zeta", "lift beta"]


@pytest.mark.parametrize(("ask", "answer"), [
    ("lift a model", "zeta"), ("lift a model", "the model zeta please"), ("升一个", "用 zeta 吧"), ("升一个", "“zeta”"),
])
async def test_an_answer_completes_the_plan_that_was_asked_about(world: World, ask: str, answer: str) -> None:
    question = replies(await world.say(ask))
    assert len(question) == 1 and "model" in question[0]
    await world.say(answer)
    assert world.done.calls == ["lift zeta"]


@pytest.mark.parametrize("no", ["never mind", "no", "算了", "不用了"])
async def test_a_question_can_be_taken_back(world: World, no: str) -> None:
    await world.say("lift a model")
    events = await world.say(no)
    assert "nothing was run" in replies(events)[0] or "什么都没有执行" in replies(events)[0]
    await world.say("zeta")
    assert world.done.calls == []


async def test_another_request_is_no_answer_and_ends_the_question(world: World) -> None:
    await world.say("lift a model")
    await world.say("lift beta")
    await world.say("zeta")
    assert world.done.calls == ["lift beta"]


async def test_two_candidates_are_asked_about_and_the_answer_is_taken(world: World) -> None:
    await world.say("lift zeta and beta")
    events = await world.say("lower it")
    assert world.done.calls == ["lift zeta", "lift beta"]
    assert "zeta or beta" in replies(events)[0] and "'model'" in replies(events)[0]
    await world.say("beta")
    assert world.done.calls[2:] == ["lower beta"]


async def test_what_a_plan_gave_beside_what_it_named_is_a_second_candidate(world: World) -> None:
    await world.say("copy zeta")
    assert "zeta or zeta-copy" in replies(await world.say("lower it"))[0]
    assert world.done.calls == ["copy zeta"]


async def test_something_new_is_not_taken_from_before(world: World) -> None:
    await world.say("lift zeta")
    assert "'model'" in replies(await world.say("lift a model"))[0]
    assert world.done.calls == ["lift zeta"]


async def test_the_kind_decides_what_is_meant(world: World) -> None:
    await world.say("start 'nightly run'")
    await world.say("lift zeta")
    events = await world.say("halt it")
    assert replies(events) == ["it: j7"] and world.done.calls[-1] == "halt j7"


async def test_several_arguments_are_asked_for_and_given_by_name(world: World) -> None:
    await world.say("train one")
    again = replies(await world.say("zeta"))[0]
    assert "model zeta, or dataset zeta" in again and world.done.calls == []
    await world.say("model zeta, dataset reviews")
    assert world.done.calls == ["study zeta reviews"]


async def test_the_same_for_one_of_two_things_is_asked_or_told_by_its_kind(world: World) -> None:
    await world.say("study zeta with reviews")
    assert "model zeta or dataset reviews" in replies(await world.say("the same for beta"))[0]
    assert len(world.done.calls) == 1
    await world.say("study zeta with reviews")
    await world.say("the same for the dataset beta")
    assert world.done.calls[-1] == "study zeta beta"


async def test_a_text_that_is_asked_for_is_what_no_call_answers(world: World) -> None:
    await world.say("start something")
    await world.say("print the date of today")
    assert world.done.calls == ["start print the date of today"]


async def test_what_a_sentence_names_besides_is_kept(world: World) -> None:
    await world.say("lift zeta")
    events = await world.say("study it on reviews")
    assert world.done.calls[-1] == "study zeta reviews" and replies(events) == ["it: zeta"]


async def test_what_is_destroyed_by_a_pronoun_waits_even_where_a_yes_holds_beforehand(world: World) -> None:
    first = held(await world.say("burn alpha"))[0]
    await world.answer(first["approval"], "always")
    await world.say("burn alpha")
    assert world.done.calls == ["burn alpha", "burn alpha"]
    await world.say("lift alpha")
    events = await world.say("burn it")
    call = held(events)[0]
    assert call["args"]["model"] == "alpha" and "taken from the conversation" in call["reason"]
    assert replies(events) == ["it: alpha"] and world.done.calls[2:] == ["lift alpha"]
    done = await world.answer(call["approval"], "once")
    assert world.done.calls[3:] == ["burn alpha"] and done[-1].data["ok"]


async def test_what_came_from_outside_stays_so_across_sentences(world: World) -> None:
    await world.say("hear of one")
    call = held(await world.say("lift it"))[0]
    assert "test.hear" in call["outside"]["model"] and world.done.calls == []
    await world.say("hear of one")
    await world.say("look at it")  # which writes nothing
    assert world.done.calls == ["look stranger"]
    assert held(await world.say("lower it"))[0]["outside"], "what repeats an argument from outside is from outside"


async def test_what_the_person_says_themself_is_theirs(world: World) -> None:
    await world.say("hear of one")
    await world.say("lift a model")
    assert not held(await world.say("stranger"))
    assert world.done.calls == ["lift stranger"]


async def test_a_plan_from_the_conversation_is_not_made_anew_from_the_sentence_alone(world: World) -> None:
    await world.say("lift zeta")
    events = await world.say("misjudge it")
    assert [event.kind for event in events].count("plan") == 1 and events[-1].data["exit_code"] == 2


async def test_each_session_and_each_person_has_a_conversation_of_its_own(world: World) -> None:
    await world.say("lift zeta")
    other = Caller("ada", "admin", "talk-2", "repl")
    session = world.ada.session
    assert "'model'" in replies(await world.say("lower it", other))[0]
    assert "'model'" in replies(await world.say("lower it", Caller("bob", "admin", session, "repl")))[0]
    assert "'model'" in replies(await world.say("lower it", Caller("ada", "admin", "", "http")))[0]
    assert world.done.calls == ["lift zeta"]


async def test_a_client_that_keeps_its_conversation_names_the_run_or_what_was_said(world: World) -> None:
    run = str((await world.say("lift zeta", before=Before()))[-1].data["run"])
    await world.say("lift beta", before=Before())
    await world.say("lower it", before=Before(run))
    assert world.done.calls[-1] == "lower zeta"
    assert "'model'" in replies(await world.say("lower it", Caller("bob", "admin"), Before(run)))[0]
    events = await world.say("lower it", before=Before("r-unknown", ("lift gamma", "hello")))
    assert world.done.calls[-1] == "lower gamma" and "lift gamma" not in world.done.calls, "it is planned and not run"
    await world.say("delta", before=Before("", ("lift a model",)))
    assert world.done.calls[-1] == "lift delta"
    used = events[-1].data["usage"]
    assert used == {"prompt": 6, "cached": 0, "written": 4}, "all that was planned counts, small talk too"


async def test_small_talk_between_changes_nothing(world: World) -> None:
    await world.say("lift zeta")
    await world.say("hello")
    await world.say("lower it")
    assert world.done.calls[-1] == "lower zeta"


async def test_a_held_call_is_part_of_the_conversation(world: World) -> None:
    await world.say("burn zeta")
    await world.say("lower it")
    assert world.done.calls == ["lower zeta"]


async def test_what_is_used_is_told_of_each_part_once(world: World) -> None:
    events = await world.say("burn zeta")
    assert events[-1].data["usage"] == {"prompt": 2, "cached": 0, "written": 1}
    after = await world.answer(held(events)[0]["approval"], "once")
    assert after[-1].data["usage"] == {"prompt": 0, "cached": 0, "written": 0}


async def test_a_session_that_was_left_long_ago_is_another_one() -> None:
    now = [0.0]
    talks = Conversations(lambda: now[0])
    turn = Turn((Step("s1", "models.load", {"model": "zeta"}),), (), (Value("model", "zeta"),))
    talks.begin("r1", ADA, None)
    talks._runs["r1"].past = Past().plus(turn)
    now[0] = 3500.0
    assert talks.begin("r2", ADA, None).turns == (turn,)
    now[0] = 99_999.0
    assert talks.begin("r3", ADA, None).turns == ()


async def test_a_conversation_can_be_written_down_and_read() -> None:
    turn = Turn(
        (Step("s1", "models.load", {}),), (Missing("models.load", "model", "s1"),),
        (Value("dataset", "x", "rows of y"),),
        (Taken("s1", "model", "zeta", "it", "text of z"),), "zh",
    )
    past = Past((turn,), ("said",))
    assert Past.from_json(past.to_json()) == past
