"""What OpenAI's requests look like, read strictly: what is not known, or not supported here, is told by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MOST = 1 << 20
"""Most tokens that may be asked for."""
Name = Annotated[str, Field(min_length=1, max_length=256)]


def _whole(given: object) -> object:
    """8.0 is an integer, as JSON Schema has it; some languages write no other."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


Whole = BeforeValidator(_whole)
Tokens = Annotated[int, Field(ge=1, le=MOST), Whole]
Zero = Annotated[float, Field(ge=0, le=0, description="Only 0: penalties are not supported.")]
Schema = dict[str, Any]


class Shape(BaseModel):
    """Takes what it names and nothing else, each in its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class TextPart(Shape):
    """A piece of text."""

    type: Literal["text"]
    text: str


class RefusalPart(Shape):
    """What a model said in place of an answer."""

    type: Literal["refusal"]
    refusal: str


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
    parsed_arguments: Any = None


class Called(Shape):
    """A call of a function."""

    id: Name
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class AssistantTurn(Shape):
    """What a model said."""

    role: Literal["assistant"]
    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    parsed: Any = None
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


Stops = str | Annotated[list[str], Field(max_length=4)] | None


def _texts(given: object) -> object:
    if isinstance(given, list) and given and isinstance(given[0], int | list):
        raise PydanticCustomError(
            "tokens", "token ids are no text to a model with a vocabulary of its own; send text (in LangChain, "
            "OpenAIEmbeddings(check_embedding_ctx_length=False))"
        )
    return given


Texts = BeforeValidator(_texts)
NotEmpty = Annotated[str, Field(min_length=1)]


def _said(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "the text is empty")
    return text


NotBlank = Annotated[str, AfterValidator(_said), Field(json_schema_extra={"pattern": r"\S"})]


class Sampling(Shape):
    """What all requests for text share."""

    model: Name
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16), Whole] | None = None
    stop: Stops = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), Whole] | None = None
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
    top_logprobs: Annotated[int, Field(ge=0, le=20), Whole] | None = None
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
    audio: None = None
    function_call: None = None
    functions: None = None
    moderation: None = None
    prompt_cache_options: None = None
    prompt_cache_retention: None = None
    reasoning_effort: None = None
    verbosity: None = None
    web_search_options: None = None


class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    prompt: Annotated[NotEmpty | Annotated[list[NotEmpty], Field(min_length=1, max_length=16)], Texts]
    suffix: None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5), Whole] | None = None
    best_of: Annotated[int, Field(ge=1, le=1), Whole] | None = None


class EmbeddingRequest(Shape):
    """`POST /v1/embeddings`."""

    model: Name
    input: Annotated[NotBlank | Annotated[list[NotBlank], Field(min_length=1, max_length=2048)], Texts]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1), Whole] | None = None
    user: str | None = None


def joined(content: str | Sequence[TextPart | RefusalPart] | None) -> str:
    """A content as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def nucleus(top_p: float | None) -> float:
    """What an engine is told: of 0, the likeliest token alone is left."""
    return 1.0 if top_p is None else max(top_p, 1e-9)
