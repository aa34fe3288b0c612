"""`model="agentos"`: the system itself as a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from agentos.interfaces import openai_system

from .live import Live


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live.base, api_key=live.keys["ada"], max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, *turns: str, **more: Any) -> str:
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[at % 2], "content": said} for at, said in enumerate(turns)]
    made = client.chat.completions.create(model="agentos", messages=messages, **more)
    assert made.choices[0].finish_reason == "stop"
    return made.choices[0].message.content or ""


def test_a_sentence_is_planned_and_run(client: openai.OpenAI) -> None:
    said = ask(client, "how much memory is free?")
    assert said.startswith("```") and "available" in said
    assert "可用" in ask(client, "现在内存怎么样")


def test_progress_streams_before_the_answer(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "how much memory is free?"}]
    stream = client.chat.completions.create(model="agentos", messages=messages, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    plan = next(at for at, piece in enumerate(pieces) if piece.startswith('> resources.query(kind="memory")'))
    assert any("available" in piece for piece in pieces[plan + 1 :])


def test_it_runs_in_the_callers_role(live: Live, client: openai.OpenAI) -> None:
    said = ask(client.with_options(api_key=live.keys["vera"]), "delete smollm2-135m")
    assert "denied to vera" in said


def test_a_held_call_is_a_question_that_the_next_message_answers(live: Live, client: openai.OpenAI) -> None:
    question = ask(client, "delete smollm2-135m")
    assert question.startswith("`models.delete(model='smollm2-135m')` waits for a person: "), question
    found = re.search(r"`yes (a[0-9a-f]{8})`", question)
    assert found, question
    assert [held.id for held in live.system.approvals.pending("ada")] == [found[1]]
    other = ask(client.with_options(api_key=live.keys["otto"]), "delete it", question, "yes")
    assert "not on this machine" not in other and live.system.approvals.pending("ada")
    assert "not on this machine" in ask(client, "delete smollm2-135m", question, f"yes {found[1]}")
    assert not live.system.approvals.pending("ada")
    assert found[1] in ask(client, f"yes {found[1]}")  # no longer waits


def test_a_plain_no_answers_the_question_before_it(live: Live, client: openai.OpenAI) -> None:
    question = ask(client, "delete smollm2-135m")
    assert "refused by ada" in ask(client, "delete smollm2-135m", question, "no")
    assert not live.system.approvals.pending("ada")


@pytest.mark.parametrize(("given", "param"), [
    ({"n": 2}, "n"), ({"logprobs": True}, "logprobs"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
])
def test_what_it_cannot_heed_is_told_by_name(client: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, "how much memory is free?", **given)
    assert error.value.param == param


def test_the_last_word_must_be_a_persons(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        ask(client, "how much memory is free?", "I will look.")


def test_responses_speak_with_the_system_and_remember_its_question(client: openai.OpenAI) -> None:
    first = client.responses.create(model="agentos", input="delete smollm2-135m")
    assert "waits for a person" in first.output_text
    answer = client.responses.create(model="agentos", input="no", previous_response_id=first.id)
    assert "refused by ada" in answer.output_text


def test_nobody_keeps_a_place_by_listening(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_system, "LONGEST", 0.0, raising=False)
    with pytest.raises(openai.APIStatusError, match="goes on without being told here") as said:
        ask(client, "how much memory is free?")
    assert said.value.status_code == 408
