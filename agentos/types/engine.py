"""The seam between the system and whatever runs a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from agentos.types.calls import Json
from agentos.types.units import Bytes, Seconds


@dataclass(frozen=True)
class ModelSpec:
    """What an engine needs in order to load a model."""

    name: str
    path: Path | None = None
    """Folder with config.json, tokenizer.json and *.safetensors; None for a remote model."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    context: int = 4096
    """Longest prompt and answer together, in tokens."""
    settings: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """Engine-specific: a remote model's provider and keys, a scripted engine's script."""
    adapter: Path | None = None
    """Folder of a LoRA adapter in PEFT's form, applied to the model as it is loaded."""
    limit: Bytes | None = None
    """Most memory the engine's processes may take; past it the engine fails and nothing else does."""


@dataclass(frozen=True)
class ToolCall:
    """A function that a model called."""

    id: str
    name: str
    arguments: str
    """A JSON object, as text."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    """Functions that an assistant's turn called."""
    call: str = ""
    """The id of the call that a tool's turn answers."""


@dataclass(frozen=True)
class Prompt:
    """Text in three parts, by how often it can be reused; an engine that caches nothing reads them joined.

    `prefix` is the same for every request. Each of `blocks` is read after the prefix and without
    regard to the other blocks, so an engine may compute each one's key-value state once and lay
    the states side by side (Gim et al., Prompt Cache, MLSys 2024). `tail` is this request's own.
    """

    prefix: str
    blocks: tuple[str, ...] = ()
    tail: str = ""
    chat: bool = False
    """Whether the engine puts prefix and blocks into a system message and the tail into a user's, in the
    model's own chat form; otherwise the text is raw."""

    @property
    def text(self) -> str:
        """The whole prompt in reading order."""
        return self.prefix + "".join(self.blocks) + self.tail


@dataclass(frozen=True)
class Generation:
    """One request to a model."""

    id: str
    prompt: Prompt | tuple[Message, ...]
    """Raw text (already in the model's own chat form), or messages that the engine puts into it."""
    max_tokens: int = 256
    temperature: float = 0.0
    """0 takes the most likely token each time."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    grammar: str | None = None
    """A Lark grammar (llguidance's dialect); an engine that cannot follow it says so in `LoadedModel.grammar`."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Log-weights of how the answer may begin, from elsewhere than the model (retrieval, say); multiplied into
    the model's own probabilities until the beginning is written, where the engine follows a grammar."""
    adapted: bool = False
    """Whether what `Engine.adapt` laid in acts on the tail and the answer; prefix and blocks are the base's alone."""
    draft: tuple[str, ...] = ()
    """Texts the answer may copy from, the first a guess at the whole answer; their spans are proposed and
    verified in one pass, which can save passes and cannot change the answer."""
    top_p: float = 1.0
    """Draws among the likeliest tokens that together have this probability (Holtzman et al. 2020)."""
    logprobs: int | None = None
    """Whether each token comes with its log-probability, and with those of how many others; an engine that does not
    know them says so with `UserError`."""
    schema: Json = None
    """A JSON Schema that the answer follows, in place of a grammar."""
    tools: tuple[Mapping[str, Json], ...] = ()
    """Functions the model may call: `name`, `description`, and `parameters`, a JSON Schema. A call is written as
    `<tool_call>{"name": …, "arguments": {…}}</tool_call>` into the answer, whatever the model's own form is."""
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the function that is to be called."""


@dataclass(frozen=True)
class Logprob:
    """A token of an answer and how likely it was."""

    token: str
    value: float
    """Natural logarithm of its probability, among the tokens that the grammar admits where there is one."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens at its place, the likeliest first."""


@dataclass(frozen=True)
class Token:
    """A piece of the answer as it comes."""

    text: str
    logprobs: tuple[Logprob, ...] = ()
    """Of the tokens that end in this piece, where they were asked for; their texts together are the answer."""


@dataclass(frozen=True)
class Completed:
    """The end of an answer and what it took."""

    reason: Literal["stop", "length", "cancelled"]
    text: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens whose key-value state was reused."""
    tokens: int = 0
    """Tokens of the answer, forced and copied ones included."""
    passes: int = 0
    """Forward passes over the model's weights, the prompt's included."""
    seconds: Seconds = 0.0
    cost: float | None = None
    """US dollars, where a provider has a price."""
    confidence: float | None = None
    """Probability of the whole answer among those that the grammar admits, where the engine follows one."""
    served_by: str = ""
    """Who answered, where that is not the model that was asked: a fallback."""
    counted: bool = False
    """Whether the tokens were counted on this machine, since the provider did not say how many it takes them for."""


@dataclass(frozen=True)
class Predicted:
    """What a classifier or an embedder makes of texts."""

    labels: tuple[str, ...]
    """Names of the classes; empty where the rows are vectors."""
    rows: tuple[tuple[float, ...], ...]
    """One for each text, in order: the probability of each label, or a vector of length 1. A model that estimates
    one number has one label (`value`, where its files have no name for it) and gives that number, no probability."""
    tokens: int = 0
    seconds: Seconds = 0.0
    truncated: int = 0
    """Texts that were longer than the model can read; their ends were cut off."""
    cost: float | None = None
    """US dollars, where a provider has a price."""


@dataclass(frozen=True)
class Pulse:
    """A sign of life. An open port is none: what counts is that work which is owed goes forward."""

    progress: int
    """Grows with every layer, token or piece of a file; compared with the last pulse's, never read as a number."""
    busy: bool
    """Whether work is under way: a load, an answer or a prediction that is owed, or work of the engine's own (weights
    packed and states written between requests, the token of a sign of life). While it is, `progress` must move."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory."""

    name: str
    engine: str
    device: str
    dtype: str
    memory: Bytes
    """Resident memory of the engine's process after loading."""
    pid: int
    grammar: bool
    """Whether the engine holds its output to `Generation.grammar`."""
    seconds: Seconds
    """How long loading took."""
    context: int = 0
    gpu_memory: Bytes = 0
    """Memory taken on GPUs."""


class Progress(Protocol):
    """Told how far a long piece of work is."""

    async def __call__(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """`done` of `total` in `unit` (`B` for bytes); without them, a line of what is happening."""
        ...


class Engine(Protocol):
    """Runs one model in child processes of its own; the contract is tests/contracts/test_engine.py.

    Errors: `Failed` where a model cannot be loaded or its process died in the middle of an answer,
    `UserError` where the request cannot be met (a prompt longer than the context).
    """

    name: str

    @property
    def loaded(self) -> LoadedModel | None:
        """The model in memory; None before a load is done and as soon as nothing serves it any more."""
        ...

    @property
    def alive(self) -> bool:
        """Whether its processes run."""
        ...

    async def load(self, spec: ModelSpec, progress: Progress | None = None) -> LoadedModel:
        """Starts the child and loads the weights, telling how far it is; on failure no process is left."""
        ...

    def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        """Tokens as they come, then one `Completed`. Closing the iterator cancels the request."""
        ...

    async def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels with probabilities, or vectors; `UserError` from a model that writes text."""
        ...

    async def adapt(self, folder: Path | None) -> bool:
        """Lays a LoRA adapter beside the weights, for requests that ask for it; None takes an earlier one away.

        Gives whether one acts now: False from an engine that cannot. `Failed` where it does not fit.
        """
        ...

    async def pulse(self) -> Pulse:
        """A sign of life; `Failed` where none comes within `PULSE_SECONDS`."""
        ...

    def memory(self) -> Bytes:
        """What its processes hold now, each shared page counted once."""
        ...

    async def kill(self, why: str) -> None:
        """Ends the child at once; whoever waits for an answer gets `Failed` with that reason."""
        ...

    async def unload(self) -> None:
        """Ends the child; the operating system takes the memory back."""
        ...


PULSE_SECONDS = 2.0
"""How long a sign of life may take to come."""
