"""OpenAI's API as LiteLLM's and LangChain's clients see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from .live import Live

pytestmark = pytest.mark.filterwarnings("ignore")  # what the clients' own code warns of
LITELLM = """
import json, os
import litellm

rest = {"api_base": os.environ["BASE"], "api_key": os.environ["KEY"], "num_retries": 0}
shown = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}

def ask(said, model="openai/talker", **more):
    return litellm.completion(model=model, messages=[{"role": "user", "content": said}], **{**rest, **more})

whole = ask("say it plainly")
stream = "".join(c.choices[0].delta.content or "" for c in ask("say it plainly", stream=True))
called = ask("call it", tools=[{"type": "function", "function": shown}]).choices[0].message.tool_calls[0]
system = ask("how much memory is free?", "openai/agentos").choices[0].message.content
errors = []
for more in ({"model": "openai/nobody"}, {"api_key": "ak_no"}, {"frequency_penalty": 1.0}):
    try:
        ask("x", **more)
    except Exception as error:
        errors.append(type(error).__name__)
print(json.dumps({
    "whole": whole.choices[0].message.content, "tokens": whole.usage.completion_tokens, "stream": stream,
    "arguments": called.function.arguments, "system": system, "errors": errors,
}))
"""
PLAIN = "It is a fine day and nothing more."


@pytest.fixture
def chat(live: Live) -> Iterator[ChatOpenAI]:
    yield ChatOpenAI(model="talker", base_url=live.base, api_key=live.keys["otto"], max_retries=0)  # type: ignore[arg-type]


@tool
def weather(city: str) -> str:
    """How the weather is.

    Args:
        city: Where.
    """
    return f"fine in {city}"


class Colour(BaseModel):
    """A colour."""

    bright: bool


def test_litellm_gets_answers_streams_calls_of_tools_and_errors(live: Live) -> None:
    env = {**os.environ, "BASE": live.base, "KEY": live.keys["otto"], "LITELLM_LOCAL_MODEL_COST_MAP": "True",
           "LITELLM_MODE": "PRODUCTION"}
    command = [sys.executable, "-W", "ignore", "-c", LITELLM]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["whole"], said["tokens"], said["stream"]) == (PLAIN, 8, PLAIN)
    assert json.loads(said["arguments"]) == {"city": "Oslo"}
    assert "available" in said["system"]
    assert said["errors"] == ["NotFoundError", "AuthenticationError", "BadRequestError"]


def test_langchain_invokes_streams_and_counts(chat: ChatOpenAI) -> None:
    made = chat.invoke("say it plainly")
    assert made.content == PLAIN and made.usage_metadata is not None and made.usage_metadata["output_tokens"] == 8
    assert "".join(str(chunk.content) for chunk in chat.stream("say it plainly")) == PLAIN


def test_langchain_calls_a_tool_and_goes_on_with_its_result(chat: ChatOpenAI) -> None:
    with_tools = chat.bind_tools([weather])
    first = with_tools.invoke("call it")
    assert isinstance(first, AIMessage) and [call["args"] for call in first.tool_calls] == [{"city": "Oslo"}]
    told = ToolMessage("it is fine there", tool_call_id=first.tool_calls[0]["id"])
    assert with_tools.invoke([HumanMessage("call it"), first, told]).content == "It is fine in Oslo."


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchains_structured_output_is_held_to_its_schema(live: Live, method: Any) -> None:
    tiny = ChatOpenAI(model="tiny", base_url=live.base, api_key=live.keys["otto"], max_retries=0, seed=1)  # type: ignore[arg-type]
    made = tiny.with_structured_output(Colour, method=method).invoke("a colour")
    assert isinstance(made, Colour)


def test_langchain_takes_responses_too(live: Live) -> None:
    chat = ChatOpenAI(
        model="talker", base_url=live.base, api_key=live.keys["otto"], max_retries=0,  # type: ignore[arg-type]
        use_responses_api=True,
    )
    assert chat.invoke("say it plainly").text == PLAIN
    assert "".join(chunk.text for chunk in chat.stream("say it plainly")) == PLAIN
