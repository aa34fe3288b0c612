"""What the system and an engine's process say to each other: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentos.types import Completed, Generation, Logprob, Message, ModelSpec, Predicted, Prompt, Token, ToolCall

Line = dict[str, Any]


def encode(line: Mapping[str, Any]) -> bytes:
    """One line, newline included."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def decode(raw: bytes) -> Line:
    """What a line says."""
    line: Line = json.loads(raw)
    return line


def spec_line(spec: ModelSpec) -> Line:
    """The request to load a model."""
    folders = {"path": _text(spec.path), "adapter": _text(spec.adapter)}
    return {"op": "load", **dataclasses.asdict(spec), **folders}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def read_spec(line: Mapping[str, Any]) -> ModelSpec:
    """What `spec_line` wrote."""
    fields = {item.name: line[item.name] for item in dataclasses.fields(ModelSpec)}
    folders = {name: None if fields[name] is None else Path(fields[name]) for name in ("path", "adapter")}
    return ModelSpec(**{**fields, **folders})


def generation_line(request: Generation) -> Line:
    """The request to generate."""
    line = {"op": "generate", **vars(request), "prior": dict(request.prior)}  # deep copies take longer than all else
    if isinstance(request.prompt, Prompt):
        return {**line, "chat": False, "prompt": vars(request.prompt)}
    turns = [{**vars(turn), "calls": [vars(call) for call in turn.calls]} for turn in request.prompt]
    return {**line, "chat": True, "prompt": turns}


def read_generation(line: Mapping[str, Any]) -> Generation:
    """What `generation_line` wrote."""
    fields = {item.name: line[item.name] for item in dataclasses.fields(Generation)}
    if line["chat"]:
        fields["prompt"] = tuple(map(_message, line["prompt"]))
    else:
        fields["prompt"] = Prompt(**{**line["prompt"], "blocks": tuple(line["prompt"]["blocks"])})
    fields |= {name: tuple(line[name]) for name in ("stop", "draft", "tools")}
    return Generation(**fields)


def _message(line: Mapping[str, Any]) -> Message:
    return Message(**{**line, "calls": tuple(ToolCall(**call) for call in line["calls"])})


def read_token(line: Mapping[str, Any]) -> Token:
    """A piece of an answer from its line."""
    likely = line.get("logprobs", ())
    return Token(line["token"], tuple(Logprob(a, b, tuple(map(tuple, c))) for a, b, c in likely))


def read_completed(line: Mapping[str, Any]) -> Completed:
    """A `Completed` from its line."""
    return Completed(**{item.name: line[item.name] for item in dataclasses.fields(Completed)})


def read_predicted(line: Mapping[str, Any]) -> Predicted:
    """A `Predicted` from its line."""
    fields = {item.name: line[item.name] for item in dataclasses.fields(Predicted)}
    return Predicted(**{**fields, "labels": tuple(line["labels"]), "rows": tuple(tuple(row) for row in line["rows"])})
