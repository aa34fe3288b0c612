"""What requests to `/v1/responses` look like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from agentos.interfaces.openai_shapes import AsObject, AsText, Name, Schema, Shape, Tokens


class InputText(Shape):
    """A piece of text, a person's or a model's."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    parsed: Any = None


class MessageItem(Shape):
    """A turn of the conversation."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText]
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class CallItem(Shape):
    """A call of a function that the model made."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: str
    parsed_arguments: Any = None
    id: str | None = None
    status: str | None = None


class OutputItem(Shape):
    """What a function gave."""

    type: Literal["function_call_output"]
    call_id: Name
    output: str | list[InputText]
    id: str | None = None
    status: str | None = None


def _kind(given: object) -> object:
    return given.get("type", "message") if isinstance(given, dict) else getattr(given, "type", None)


Item = Annotated[
    Annotated[MessageItem, Tag("message")] | Annotated[CallItem, Tag("function_call")]
    | Annotated[OutputItem, Tag("function_call_output")],
    Discriminator(
        _kind, custom_error_type="item",
        custom_error_message="an item is a message, a function_call or a function_call_output",
    ),
]


class FlatTool(Shape):
    """A function that may be called."""

    type: Literal["function"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class FlatChoice(Shape):
    """The one function to call."""

    type: Literal["function"]
    name: Name


class FlatSchema(Shape):
    """JSON of a schema."""

    type: Literal["json_schema"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: Annotated[Schema, Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class TextForm(Shape):
    """In which form the text is to be."""

    format: Annotated[AsText | AsObject | FlatSchema, Field(discriminator="type")] | None = None


class ResponseRequest(Shape):
    """`POST /v1/responses`."""

    model: Name
    input: str | Annotated[list[Item], Field(min_length=1, max_length=4096)]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: dict[str, bool] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_output_tokens: Tokens | None = None
    previous_response_id: Name | None = None
    store: bool | None = None
    text: TextForm | None = None
    tools: Annotated[list[FlatTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FlatChoice | None = None
    parallel_tool_calls: bool | None = None
    include: Annotated[list[str], Field(max_length=0)] | None = None
    background: Literal[False] | None = None
    truncation: Literal["disabled"] | None = None
    metadata: dict[str, str] | None = None
    service_tier: Literal["auto", "default"] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    context_management: None = None
    conversation: None = None
    max_tool_calls: None = None
    moderation: None = None
    prompt: None = None
    prompt_cache_options: None = None
    prompt_cache_retention: None = None
    reasoning: None = None
    top_logprobs: None = None
