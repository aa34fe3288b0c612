"""Answers and errors held against the official client's own types, and what that client sends by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion, CompletionChoice, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params
from openai.types.completion_create_params import CompletionCreateParamsBase
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request

from agentos.errors import UserError
from agentos.interfaces.openai_read import raw
from tests.engines import tiny

from .live import Live

PLAIN = "It is a fine day and nothing more."
CALLED: Any = {"type": "function", "function": {"name": "weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
}}}
FLAT: Any = {"type": "function", **CALLED["function"]}


class Colour(BaseModel):
    """A colour."""

    bright: bool


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live.base, api_key=live.keys["otto"], max_retries=0) as made:
        yield made


@pytest.fixture
def http(live: Live) -> Iterator[httpx.Client]:
    head = {"authorization": f"Bearer {live.keys['otto']}"}
    with httpx.Client(base_url=live.base, headers=head, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def embedder(live: Live, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tiny.bert(tmp_path_factory.mktemp("embedder"), "BertModel")
    (folder / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
    )
    live.do(lambda: live.system.models.pull("letters", str(folder)))
    return "letters"


def said(text: Any) -> Any:
    return {"role": "user", "content": text}


def events(http: httpx.Client, path: str, **body: Any) -> list[Any]:
    answer = http.post(path, json={**body, "stream": True})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize(("path", "kind", "body"), [
    ("/chat/completions", ChatCompletion, {"model": "talker", "messages": [said("call it")], "tools": [CALLED]}),
    ("/chat/completions", ChatCompletion, {"model": "agentos", "messages": [said("how much memory is free?")]}),
    ("/chat/completions", ChatCompletion, {
        "model": "tiny", "messages": [said("x")], "n": 2, "logprobs": True, "top_logprobs": 2, "max_tokens": 3}),
    ("/completions", Completion, {"model": "tiny", "prompt": ["the list", "the engine"], "max_tokens": 3,
                                  "logprobs": 2}),
    ("/responses", Response, {"model": "talker", "input": "call it", "tools": [FLAT], "metadata": {"a": "b"}}),
    ("/responses", Response, {"model": "agentos", "input": "how much memory is free?"}),
])
def test_answers_have_each_field_that_is_required(http: httpx.Client, path: str, kind: Any, body: Any) -> None:
    TypeAdapter(kind).validate_python(http.post(path, json=body).json())


def test_pieces_of_streams_have_each_field_that_is_required(http: httpx.Client) -> None:
    asked: Any = {"model": "tiny", "stream_options": {"include_usage": True}, "n": 2, "max_tokens": 3}
    for chunk in events(http, "/chat/completions", messages=[said("x")], logprobs=True, **asked):
        TypeAdapter(ChatCompletionChunk).validate_python(chunk)
    for chunk in events(http, "/completions", prompt="x", logprobs=1, **asked):
        for choice in chunk["choices"]:  # which ends only at its end
            end = choice["finish_reason"] or "stop"
            TypeAdapter(CompletionChoice).validate_python({**choice, "finish_reason": end})
        TypeAdapter(Completion).validate_python({**chunk, "choices": []})
    for event in events(http, "/responses", model="talker", input="call it", tools=[FLAT]):
        TypeAdapter(ResponseStreamEvent).validate_python(event)


def test_a_model_has_been_here_since_its_files_or_since_the_system_began(live: Live, client: openai.OpenAI) -> None:
    made = {model.id: model.created for model in client.models.list()}
    files = Path(live.system.settings.models) / "tiny" / "model.json"
    assert made["tiny"] == int(files.stat().st_mtime) and made["agentos"] == made["talker"] > made["tiny"] - 86_400
    TypeAdapter(Model).validate_python(client.models.retrieve("tiny").model_dump())


def test_vectors_are_the_same_in_both_encodings_and_no_text_is_cut_unseen(
    client: openai.OpenAI, http: httpx.Client, embedder: str
) -> None:
    packed = client.embeddings.create(model=embedder, input=["the film", "a king"])
    plain = http.post("/embeddings", json={"model": embedder, "input": ["the film", "a king"]}).json()
    TypeAdapter(CreateEmbeddingResponse).validate_python(plain)
    for one, other in zip(packed.data, plain["data"], strict=True):
        assert one.embedding == pytest.approx(other["embedding"], abs=1e-6)
    with pytest.raises(openai.BadRequestError, match="1 of 2 texts") as long:
        client.embeddings.create(model=embedder, input=["the film", "the film " * 400])
    assert (long.value.param, long.value.code) == ("input", "context_length_exceeded")
    for wrong, where in (([1, 2], "input"), ([[1]], "input"), ("  ", "input"), (["a", ""], "input[1]")):
        with pytest.raises(openai.BadRequestError) as error:
            client.embeddings.create(model=embedder, input=wrong)
        assert error.value.param == where


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # the client's own, of what it has parsed
def test_what_the_client_has_parsed_may_be_sent_back(client: openai.OpenAI) -> None:
    first = client.chat.completions.parse(model="tiny", messages=[said("x")], response_format=Colour)
    assert isinstance(first.choices[0].message.parsed, Colour)
    told: Any = [said("x"), first.choices[0].message, said("say it plainly")]
    assert client.chat.completions.create(model="talker", messages=told).choices[0].message.content == PLAIN
    with client.chat.completions.stream(model="talker", messages=[said("call it")], tools=[CALLED]) as stream:
        message: Any = stream.get_final_completion().choices[0].message
    told = [said("call it"), message,
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "it is fine there"}]
    assert client.chat.completions.create(model="talker", messages=told).choices[0].message.content is not None
    made = client.responses.parse(model="tiny", input="x", text_format=Colour)
    assert isinstance(made.output_parsed, Colour)
    back: Any = [said("x"), *made.output, said("say it plainly")]
    assert client.responses.create(model="talker", input=back).output_text == PLAIN
    with client.responses.stream(model="talker", input="call it", tools=[FLAT]) as items:
        final = items.get_final_response()
    back = [said("call it"), *final.output,
            {"type": "function_call_output", "call_id": final.output[-1].call_id, "output": "it is fine there"}]  # type: ignore[union-attr]
    assert client.responses.create(model="talker", input=back).output_text == "It is fine in Oslo."


@pytest.mark.parametrize(("path", "kind", "body"), [
    ("/chat/completions", completion_create_params.CompletionCreateParamsBase,
     {"model": "talker", "messages": [said("say it plainly")]}),
    ("/completions", CompletionCreateParamsBase, {"model": "talker", "prompt": "say it plainly"}),
    ("/responses", ResponseCreateParamsBase, {"model": "talker", "input": "say it plainly"}),
])
def test_null_is_as_not_given(http: httpx.Client, path: str, kind: Any, body: Any) -> None:
    blank = {name: None for name in kind.__annotations__ if name not in body}
    answer = http.post(path, json={**blank, **body})
    assert answer.status_code == 200 and PLAIN in answer.text, answer.text


def test_several_prompts_are_counted_each_and_choices_of_one_once(client: openai.OpenAI) -> None:
    def tokens(prompt: Any, n: int = 1) -> int:
        usage = client.completions.create(model="tiny", prompt=prompt, n=n, max_tokens=1).usage
        assert usage is not None and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        return usage.prompt_tokens

    one, other = tokens("the list"), tokens("the engine of it")
    assert tokens(["the list", "the engine of it"], n=2) == one + other and tokens("the list", n=3) == one


def test_one_call_at_a_time_where_that_is_asked(client: openai.OpenAI) -> None:
    asked: Any = {"model": "talker", "messages": [said("call both")], "tools": [CALLED]}
    both = client.chat.completions.create(**asked).choices[0].message.tool_calls
    assert both is not None and len(both) == 2
    one = client.chat.completions.create(**asked, parallel_tool_calls=False).choices[0]
    assert one.finish_reason == "tool_calls" and one.message.tool_calls is not None
    assert [call.function.arguments for call in one.message.tool_calls] == ['{"city": "Oslo"}']
    made = client.responses.create(model="talker", input="call both", tools=[FLAT], parallel_tool_calls=False)
    assert [item.type for item in made.output] == ["function_call"] and not made.parallel_tool_calls


@pytest.mark.parametrize(("given", "param"), [
    ({"stop": ["a"] * 5}, "stop"), ({"stop": 3}, "stop"), ({"max_tokens": -1}, "max_tokens"),
    ({"reasoning_effort": "low"}, "reasoning_effort"), ({"extra_body": {"functions": []}}, "functions"),
    ({"messages": [said([{"type": "image_url", "image_url": {"url": "x"}}])]}, "messages[0].content[0].image_url"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, "response_format.json_schema.name"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools"),
    ({"extra_body": {"n": 2.5}}, "n"), ({"extra_body": {"n": 99.0}}, "n"),
])
def test_a_parameter_is_named_by_its_place_in_the_request(client: openai.OpenAI, given: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**{"model": "talker", "messages": [said("x")], **given})
    assert error.value.param == param


@pytest.mark.parametrize(("item", "param"), [
    ({"type": "reasoning", "summary": []}, "input[0]"), ({"role": "user"}, "input[0].content"), (5, "input[0]"),
    (said([{"type": "input_image", "image_url": "x"}]), "input[0].content[0].image_url"),
])
def test_an_item_of_the_input_is_named_by_its_place_too(client: openai.OpenAI, item: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model="talker", input=[item])
    assert error.value.param == param


def test_the_edges_of_what_is_allowed_are_allowed(client: openai.OpenAI) -> None:
    refused: Any = {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]}
    parts = [{"type": "text", "text": "say it "}, {"type": "text", "text": "plainly"}]
    made = client.chat.completions.create(
        model="talker", messages=[refused, said(parts)],
        top_p=0, temperature=2, stop=["a b c", "", "x y", "z"], extra_body={"n": 1.0},
    )
    assert made.choices[0].message.content == PLAIN
    sampled: Any = {"model": "tiny", "messages": [said("x")], "max_tokens": 5, "temperature": 2, "top_p": 0}
    draws = {client.chat.completions.create(**sampled, seed=seed).choices[0].message.content for seed in range(3)}
    assert len(draws) == 1


@pytest.mark.parametrize(("user", "text", "status"), [("vera", "x", 403), ("otto", "the list " * 8000, 400)])
def test_what_is_refused_is_refused_by_its_status_in_a_stream_too(
    live: Live, user: str, text: str, status: int
) -> None:
    with openai.OpenAI(base_url=live.base, api_key=live.keys[user], max_retries=0) as client:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as error:
                client.responses.create(model="talker", input=text, stream=stream)
            assert error.value.status_code == status
            with pytest.raises(openai.APIStatusError) as error:
                client.chat.completions.create(model="talker", messages=[said(text)], stream=stream)
            assert error.value.status_code == status and error.value.code in ("denied", "context_length_exceeded")


def test_a_response_that_is_cut_short_says_so_of_its_message(client: openai.OpenAI) -> None:
    made: Any = client.responses.create(model="talker", input="say it plainly", max_output_tokens=2)
    assert (made.status, made.incomplete_details.reason, made.output[0].status) == (
        "incomplete", "max_output_tokens", "incomplete"
    )


def test_a_response_that_fails_midway_ends_with_an_error_and_as_failed(live: Live, client: openai.OpenAI) -> None:
    live.do(lambda: live.system.models.load("mortal", "scripted"))
    told: list[Any] = [*client.responses.create(model="mortal", input="die midway", stream=True)]
    assert [event.sequence_number for event in told] == [*range(len(told))]
    assert [event.type for event in told[-2:]] == ["error", "response.failed"] and told[-2].message
    assert (told[-1].response.status, told[-1].response.error.code) == ("failed", "server_error")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(told[-1].response.id)


async def test_a_request_that_breaks_off_is_its_askers_fault_and_no_bug() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(UserError, match="broke off"):
        await raw(Request({"type": "http", "method": "POST", "headers": []}, receive))
