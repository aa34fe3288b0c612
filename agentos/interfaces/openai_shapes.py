"""What OpenAI's requests look like, read strictly: what is not known, or not supported here, is told by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from agentos.interfaces.http_body import TooLarge
from agentos.interfaces.openai_errors import BadRequest

LIMIT = 4 * 1024 * 1024
"""Longest request, in bytes."""
MOST = 1 << 20
"""Most tokens that may be asked for."""
Name = Annotated[str, Field(min_length=1, max_length=256)]
Tokens = Annotated[int, Field(ge=1, le=MOST)]
Zero = Annotated[float, Field(ge=0, le=0, description="Only 0: penalties are not supported.")]
Schema = dict[str, Any]


class Shape(BaseModel):
    """Takes what it names and nothing else, each in its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


Shaped = TypeVar("Shaped", bound=Shape)


class TextPart(Shape):
    """A piece of text."""

    type: Literal["text"]
    text: str


Content = str | list[TextPart]


class SystemTurn(Shape):
    """Instructions."""

    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserTurn(Shape):
    """What a person says."""

    role: Literal["user"]
    content: Content
    name: str | None = None


class CalledFunction(Shape):
    """A function and its arguments, JSON as text."""

    name: Name
    arguments: str


class Called(Shape):
    """A call of a function."""

    id: Name
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class AssistantTurn(Shape):
    """What a model said."""

    role: Literal["assistant"]
    content: Content | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[Called] | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None


class ToolTurn(Shape):
    """What a function gave."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Name
    name: str | None = None


Turn = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]


class Function(Shape):
    """A function that may be called."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class Tool(Shape):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: Function


class ChosenFunction(Shape):
    """Which function."""

    name: Name


class Choice(Shape):
    """The one function to call."""

    type: Literal["function"]
    function: ChosenFunction


class Named(Shape):
    """A JSON Schema with a name."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[Schema, Field(alias="schema")]
    strict: bool | None = None


class AsText(Shape):
    """Free text."""

    type: Literal["text"]


class AsObject(Shape):
    """Any JSON object."""

    type: Literal["json_object"]


class AsSchema(Shape):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: Named


Form = Annotated[AsText | AsObject | AsSchema, Field(discriminator="type")]


class StreamOptions(Shape):
    """How a stream ends."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Foreseen(Shape):
    """What the answer will mostly be."""

    type: Literal["content"]
    content: Content


_NEUTRAL = {"presence_penalty", "frequency_penalty", "logit_bias", "best_of"}
"""Taken where they change nothing."""
Stops = str | Annotated[list[str], Field(max_length=16)] | None


class Sampling(Shape):
    """What all requests for text share."""

    model: Name
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    stop: Stops = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    max_tokens: Tokens | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class ChatRequest(Sampling):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: Form | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | Choice | None = None
    parallel_tool_calls: bool | None = None
    prediction: Foreseen | None = None
    modalities: list[Literal["text"]] | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=16)]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    best_of: Annotated[int, Field(ge=1, le=1)] | None = None


class EmbeddingRequest(Shape):
    """`POST /v1/embeddings`."""

    model: Name
    input: Annotated[str, Field(min_length=1)] | Annotated[
        list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


def joined(content: Content | None) -> str:
    """A content as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)


async def raw(request: Request) -> bytes:
    """What a request carries.

    Raises:
        TooLarge: it is longer than `LIMIT`.
    """
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > LIMIT:
            raise TooLarge(f"the request is longer than {LIMIT} bytes; nothing was done")
    return bytes(read)


def read(shape: type[Shaped], data: bytes) -> Shaped:
    """The request of a shape.

    Raises:
        BadRequest: it is not; the first parameter that is wrong is named.
    """
    try:
        return shape.model_validate_json(data)
    except ValidationError as error:
        raise _wrong(error.errors(include_url=False, include_context=False, include_input=False)) from None


def _wrong(faults: Sequence[Mapping[str, Any]]) -> BadRequest:
    # of several faults that a union of kinds has, what is deepest is meant
    fault = max(faults, key=lambda one: (one["type"] == "extra_forbidden", len(one["loc"])))
    where = ""
    for part in fault["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    if fault["type"] == "json_invalid":
        return BadRequest(f"the request is not JSON: {fault['msg']}; nothing was done", None, "invalid_json")
    if fault["type"] == "extra_forbidden" or where in _NEUTRAL:
        return BadRequest(f"{where!r} is not supported here; leave it out. Nothing was done.", where,
                          "unsupported_parameter")
    if fault["type"] == "missing":
        return BadRequest(f"{where!r} is missing; nothing was done", where, "missing_required_parameter")
    return BadRequest(f"{where or 'the request'}: {fault['msg']}; nothing was done", where or None, "invalid_value")
