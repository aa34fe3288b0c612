"""OpenAI's API as its own client sees it, over real HTTP on loopback."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from .live import Live

WEATHER: Any = {"type": "function", "function": {
    "name": "weather", "description": "How the weather is.", "parameters": {
        "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
        "additionalProperties": False,
    },
}}
COLOUR: Any = {
    "type": "object", "properties": {"colour": {"enum": ["red", "blue"]}, "bright": {"type": "boolean"}},
    "required": ["colour", "bright"], "additionalProperties": False,
}


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live.base, api_key=live.keys["otto"], max_retries=0) as made:
        yield made


def said(text: str, role: str = "user") -> Any:
    return {"role": role, "content": text}


def text_of(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_models_are_listed_and_found_by_name(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "agentos" and {"talker", "tiny"} <= {*names}
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nobody")
    assert (error.value.code, error.value.param) == ("model_not_found", "model")


def test_an_answer_says_what_it_took(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(model="talker", messages=[said("say it plainly")])
    assert made.choices[0].message.content == "It is a fine day and nothing more."
    assert made.choices[0].finish_reason == "stop" and made.usage is not None
    assert (made.usage.completion_tokens, made.usage.total_tokens) == (8, 11)


def test_a_stream_is_the_same_answer_in_pieces_with_its_usage_at_the_end(client: openai.OpenAI) -> None:
    chunks = [*client.chat.completions.create(
        model="talker", messages=[said("say it plainly")], stream=True, stream_options={"include_usage": True}
    )]
    assert text_of(chunks) == "It is a fine day and nothing more." and len(chunks) > 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert not chunks[-1].choices and chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 8
    assert all(chunk.usage is None for chunk in chunks[:-1]) and len({chunk.id for chunk in chunks}) == 1


def test_stop_and_max_tokens_end_an_answer(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(model="talker", messages=[said("say it plainly")], stop=" day")
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("It is a fine", "stop")
    made = client.chat.completions.create(model="talker", messages=[said("say it plainly")], max_completion_tokens=2)
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("It is ", "length")


def test_a_seed_draws_the_same_again_and_each_of_n_draws_its_own(client: openai.OpenAI) -> None:
    def draw(seed: int, **more: Any) -> list[str | None]:
        made = client.chat.completions.create(
            model="tiny", messages=[said("hello")], max_tokens=12, seed=seed, temperature=1.5, **more
        )
        return [choice.message.content for choice in made.choices]

    first = draw(7, n=3)
    assert first == draw(7, n=3) and len({*first}) == 3
    assert draw(8) == [first[1]] and draw(7, top_p=1e-6) == draw(9, top_p=1e-6)


def test_logprobs_are_those_of_the_answer_and_of_its_rivals(client: openai.OpenAI) -> None:
    asked: Any = {"model": "tiny", "messages": [said("hello")], "max_tokens": 6, "temperature": 0}
    made = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3).choices[0]
    assert made.logprobs is not None and made.logprobs.content is not None
    assert "".join(row.token for row in made.logprobs.content) == made.message.content
    for row in made.logprobs.content:
        assert len(row.top_logprobs) == 3 and row.logprob == row.top_logprobs[0].logprob <= 0
        assert sum(math.exp(top.logprob) for top in row.top_logprobs) <= 1.0001
        assert row.bytes == [*row.token.encode()]
    streamed = [c.choices[0] for c in client.chat.completions.create(**asked, logprobs=True, stream=True)]
    rows = [row for choice in streamed if choice.logprobs for row in choice.logprobs.content or ()]
    assert [row.logprob for row in rows] == pytest.approx([row.logprob for row in made.logprobs.content], abs=1e-4)


def test_an_answer_follows_a_json_schema(client: openai.OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR, "strict": True}}
    made = client.chat.completions.create(model="tiny", messages=[said("a colour")], response_format=form, seed=1)
    found = json.loads(made.choices[0].message.content or "")
    assert found["colour"] in ("red", "blue") and found["bright"] in (True, False)
    assert made.choices[0].finish_reason == "stop"


def test_a_schema_that_no_grammar_can_be_made_of_is_the_askers_error(client: openai.OpenAI) -> None:
    schema = {"type": "string", "format": "no-such-format"}
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match="format"):
        client.chat.completions.create(model="tiny", messages=[said("x")], response_format=form)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_tool_that_must_be_called_is_called_with_arguments_that_fit(client: openai.OpenAI, choice: Any) -> None:
    made = client.chat.completions.create(
        model="tiny", messages=[said("how is it in Oslo?")], tools=[WEATHER], tool_choice=choice, seed=3
    ).choices[0]
    assert made.finish_reason == "tool_calls" and made.message.tool_calls
    call: Any = made.message.tool_calls[0]
    assert call.function.name == "weather" and json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")


def test_a_call_of_a_tool_its_result_and_the_answer_are_three_turns(client: openai.OpenAI) -> None:
    asked: Any = {"model": "talker", "tools": [WEATHER]}
    first = client.chat.completions.create(messages=[said("call it")], **asked).choices[0]
    assert (first.finish_reason, first.message.content) == ("tool_calls", "Let me see. ")
    assert first.message.tool_calls
    call: Any = first.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "it is fine there"}
    told: Any = [said("call it"), first.message, result]
    assert client.chat.completions.create(messages=told, **asked).choices[0].message.content == "It is fine in Oslo."
    stream = [*client.chat.completions.create(messages=[said("call it")], stream=True, **asked)]
    assert text_of(stream) == "Let me see. " and stream[-1].choices[0].finish_reason == "tool_calls"
    deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(d.index, d.function and d.function.name) for d in deltas] == [(0, "weather")]
    without = client.chat.completions.create(messages=[said("call it")], model="talker")
    assert "<tool_call>" in (without.choices[0].message.content or "")


def test_rules_over_replies_hold_here_too(client: openai.OpenAI) -> None:
    asked: Any = {"model": "talker", "messages": [said("the token")]}
    assert client.chat.completions.create(**asked).choices[0].message.content == "Use <API_KEY_1> for it."
    assert text_of(client.chat.completions.create(**asked, stream=True)) == "Use <API_KEY_1> for it."


def test_each_answer_is_on_the_audit_trail_without_what_was_said(live: Live, client: openai.OpenAI) -> None:
    client.chat.completions.create(model="talker", messages=[said("my secret: say it plainly")])
    found: Any = httpx.post(
        f"{live.base}/syscalls/audit.search", json={"args": {"syscall": "models.generate", "user": "otto"}},
        headers={"authorization": f"Bearer {live.keys['ada']}"},
    ).json()
    row = found["rows"][0]
    assert (row["user"], row["door"], row["outcome"]) == ("otto", "http", "done")
    assert row["arguments"]["model"] == "talker" and "secret" not in json.dumps(row)


@pytest.mark.parametrize(("given", "param"), [
    ({"frequency_penalty": 0.5}, "frequency_penalty"), ({"logit_bias": {"1": 5}}, "logit_bias"),
    ({"n": 99}, "n"), ({"temperature": 3}, "temperature"), ({"max_tokens": 0}, "max_tokens"),
    ({"top_logprobs": 3}, "top_logprobs"), ({"tool_choice": "required"}, "tool_choice"),
    ({"extra_body": {"odd": 1}}, "odd"), ({"extra_body": {"n": "1"}}, "n"), ({"extra_body": {"seed": True}}, "seed"),
    ({"tools": [WEATHER, WEATHER]}, "tools"), ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages"), ({"model": "all-minilm-l6"}, "model"),
])
def test_what_is_not_supported_is_told_by_name(client: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**{"model": "talker", "messages": [said("x")], **given})
    assert (error.value.param or "").startswith(param) and error.value.type == "invalid_request_error"


def test_errors_have_openais_form_and_status(live: Live, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=[said("x")])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(api_key=live.keys["vera"]).chat.completions.create(model="talker", messages=[said("x")])
    with pytest.raises(openai.AuthenticationError) as unknown:
        client.with_options(api_key="ak_no").chat.completions.create(model="talker", messages=[said("x")])
    assert unknown.value.code == "invalid_api_key"
    head = {"authorization": f"Bearer {live.keys['otto']}"}
    for answer in (
        httpx.post(f"{live.base}/chat/completions", content=b"{", headers=head),
        httpx.post(f"{live.base}/chat/completions", content=b"\xff" * 9, headers=head),
        httpx.post(f"{live.base}/chat/completions", content=b"[" * 100_000, headers=head),
        httpx.post(f"{live.base}/chat/completions", content=b" " * (4 * 1024 * 1024 + 1), headers=head),
        httpx.get(f"{live.base}/chat/completions", headers=head),
        httpx.get(f"{live.base}/chat/completions/x", headers=head),
    ):
        assert answer.status_code in (400, 404, 405, 413)
        assert {*answer.json()["error"]} == {"message", "type", "param", "code"}


def test_completions_go_on_with_a_text(client: openai.OpenAI) -> None:
    asked: Any = {"model": "tiny", "max_tokens": 5, "temperature": 0}
    made = client.completions.create(prompt="the list", logprobs=2, **asked).choices[0]
    assert made.logprobs is not None and made.logprobs.tokens is not None
    assert "".join(made.logprobs.tokens) == made.text and made.finish_reason == "length"
    assert len((made.logprobs.top_logprobs or [{}])[0]) == 2
    assert client.completions.create(prompt="the list", echo=True, **asked).choices[0].text == "the list" + made.text
    two = client.completions.create(prompt=["the list", "the engine"], n=2, **asked)
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3] and two.choices[0].text == made.text
    stream = [*client.completions.create(prompt="the list", stream=True, **asked)]
    assert "".join(chunk.choices[0].text for chunk in stream) == made.text


def test_responses_keep_what_came_before_for_their_asker_alone(live: Live, client: openai.OpenAI) -> None:
    first = client.responses.create(model="talker", input="say it plainly", instructions="be brief")
    assert first.output_text == "It is a fine day and nothing more." and first.status == "completed"
    assert first.usage is not None and first.usage.output_tokens == 8
    more = client.responses.create(
        model="talker", input="the token", previous_response_id=first.id, store=False
    )
    assert more.output_text == "Use <API_KEY_1> for it."
    assert client.responses.retrieve(first.id).output_text == first.output_text
    other = client.with_options(api_key=live.keys["ada"])
    for gone in (lambda: other.responses.retrieve(first.id), lambda: client.responses.retrieve(more.id),
                 lambda: client.responses.create(model="talker", input="x", previous_response_id="resp_none")):
        with pytest.raises(openai.NotFoundError):
            gone()
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_a_response_streams_events_and_calls_functions(client: openai.OpenAI) -> None:
    flat: Any = {"type": "function", **WEATHER["function"], "strict": True}
    events = [*client.responses.create(model="talker", input="call it", tools=[flat], stream=True)]
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == [*range(len(events))]
    done: Any = events[-1]
    assert [item.type for item in done.response.output] == ["message", "function_call"]
    call = done.response.output[1]
    told: Any = [
        {"role": "user", "content": "call it"}, {"type": "function_call", "call_id": call.call_id, "name": call.name,
                                                 "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "it is fine there"},
    ]
    assert client.responses.create(model="talker", input=told, tools=[flat]).output_text == "It is fine in Oslo."
    form: Any = {"format": {"type": "json_schema", "name": "colour", "schema": COLOUR}}
    made = client.responses.create(model="tiny", input="a colour", text=form)
    assert json.loads(made.output_text)["colour"] in ("red", "blue")
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="talker", input="x", extra_body={"reasoning": {"effort": "low"}})
