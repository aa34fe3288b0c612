"""`model="agentos"` in a conversation: what was said before counts, and what the plans took is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .live import Live

SHOWN = "show smollm2-135m"


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live.base, api_key=live.keys["ada"], max_retries=0) as made:
        yield made


def made(client: openai.OpenAI, *turns: str, **more: Any) -> Any:
    messages: Any = [{"role": ("user", "assistant")[at % 2], "content": said} for at, said in enumerate(turns)]
    return client.chat.completions.create(model="agentos", messages=messages, **more)


def ask(client: openai.OpenAI, *turns: str, **more: Any) -> str:
    return made(client, *turns, **more).choices[0].message.content or ""


@pytest.mark.parametrize(("then", "told"), [("show it again", "it: smollm2-135m"), ("显示它", "它：smollm2-135m")])
def test_a_follow_up_is_planned_with_what_was_said_before(client: openai.OpenAI, then: str, told: str) -> None:
    first = ask(client, SHOWN)
    said = ask(client, SHOWN, first, then)
    assert said.startswith(told) and said.count("smollm2-135m") > 1
    assert "qwen2.5-coder-0.5b" in ask(client, SHOWN, first, then, said, "now the same for qwen2.5-coder-0.5b")


def test_a_question_is_answered_by_the_next_message(client: openai.OpenAI) -> None:
    question = ask(client, "show a model")
    assert "which one?" in question
    assert "smollm2-135m" in ask(client, "show a model", question, "smollm2-135m")


def test_a_streamed_answer_is_gone_on_from_too(client: openai.OpenAI) -> None:
    told: Any = {"include_usage": True}
    chunks = list(made(client, SHOWN, stream=True, stream_options=told))
    first = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert first.startswith("> ") and chunks[-1].usage.prompt_tokens == 2 and chunks[-1].usage.completion_tokens == 1
    again = made(client, SHOWN, first, "show it")
    assert again.choices[0].message.content.startswith("it: smollm2-135m")
    assert again.usage.prompt_tokens == 2, "nothing had to be planned again"


def test_what_the_client_sends_counts_where_its_answer_is_not_known(client: openai.OpenAI) -> None:
    again = made(client, SHOWN, "I forgot what I said.", "show it")
    assert again.choices[0].message.content.startswith("it: smollm2-135m")
    assert again.usage.prompt_tokens == 4, "the sentence before was planned again"


def test_of_a_message_that_is_no_sentence_nothing_is_planned(client: openai.OpenAI) -> None:
    long = made(client, SHOWN, "?", f"{SHOWN} {'x ' * 6_000}", "?", "show it")
    assert "which one?" in long.choices[0].message.content and long.usage.prompt_tokens == 2
    after = made(client, "x " * 6_000, "?", SHOWN, "?", "show it")
    assert after.choices[0].message.content.startswith("it: smollm2-135m")


def test_a_single_message_goes_on_in_its_named_session_alone(client: openai.OpenAI) -> None:
    named = {"extra_headers": {"x-session": "one"}}
    ask(client, SHOWN, **named)
    assert ask(client, "show it", **named).startswith("it: smollm2-135m")
    assert "which one?" in ask(client, "show it", extra_headers={"x-session": "two"})
    assert "which one?" in ask(client, "show it")


def test_another_person_does_not_go_on_from_it(live: Live, client: openai.OpenAI) -> None:
    first = ask(client, SHOWN)
    other = client.with_options(api_key=live.keys["vera"])
    assert made(other, SHOWN, first, "show it").usage.prompt_tokens == 4, "it is planned again from what vera sends"


def test_responses_go_on_and_tell_what_they_took(client: openai.OpenAI) -> None:
    first = client.responses.create(model="agentos", input=SHOWN)
    assert first.usage is not None and first.usage.input_tokens == 2 and first.usage.output_tokens == 1
    then = client.responses.create(model="agentos", input="show it", previous_response_id=first.id)
    assert then.output_text.startswith("it: smollm2-135m")
    assert then.usage is not None and then.usage.input_tokens == 2


def test_usage_is_what_was_asked_of_the_planning_model(client: openai.OpenAI) -> None:
    said = made(client, "how much memory is free?").usage
    assert (said.prompt_tokens, said.completion_tokens, said.total_tokens) == (5, 1, 6)
    question = ask(client, "delete smollm2-135m")
    answered = made(client, "delete smollm2-135m", question, "no").usage
    assert (answered.prompt_tokens, answered.completion_tokens) == (0, 0)
