"""Another server's tools as entries of the table: names made fit, texts bounded, effects taken for the worse.

Whatever is odd about a tool leaves it out, with the reason, and nothing is guessed: two tools that would bear one name
are both refused, because a person who names one could not know which of them is called.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model

from agentos.mounts.answer import Answer, Tool
from agentos.mounts.cleaned import line
from agentos.syscall import Param, Syscall
from agentos.types import Context, Effect, Json

DOC, PARAM_DOC = 240, 160
"""Most characters of a description."""
MOST_TOOLS, MOST_PARAMS = 128, 16
_NAME, _PARAM = 48, 32
_CHOICES = 80
"""Most characters of a parameter's choices together; more are told as text."""
_SHOWN = 500
"""Most characters that the planner is shown of one tool, but for its description."""
_SCHEMA = 32 * 1024
_PLAIN: dict[str, tuple[Any, str]] = {
    "string": (str, "text"), "integer": (int, "int"), "number": (float, "float"), "boolean": (bool, "bool"),
}
_CHOICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ./:+@-]{0,39}")
_BASE = {name for name in dir(BaseModel) if not name.startswith("_")}

Call = Callable[[str, dict[str, Json], Context], Awaitable[Answer]]
"""Makes a call of a tool: its name, its arguments, the context of the syscall."""


@dataclass(frozen=True)
class Refused:
    """A tool that was not taken into the table, and why."""

    tool: str
    why: str


@dataclass(frozen=True)
class Entries:
    """What became of a server's tools."""

    entries: tuple[Syscall, ...]
    refused: tuple[Refused, ...]


class _Unfit(Exception):
    """A tool that cannot be an entry."""


def word(said: str) -> str:
    """A name in small letters, digits and underscores (`getIssue`, `get-issue` are `get_issue`); empty for none."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", said[:200])
    made = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
    return made if made[:1].isalpha() else ""


def effect_of(tool: Tool, trust: bool) -> Effect:
    """What a tool does: it runs another's code, so a person confirms it, unless it is known or trusted to only read."""
    if tool.destroys:
        return "destroy"
    return "read" if tool.reads and trust else "execute"


def entries(mount: str, tools: Sequence[Tool], trust: bool, call: Call) -> Entries:
    """A server's tools as syscalls `MOUNT.TOOL`.

    Args:
        mount: The name of the server.
        tools: As it lists them.
        trust: Whether it is believed where it says that a tool only reads.
        call: Makes a call.
    """
    made: list[Syscall] = []
    refused = [Refused(line(tool.name, 64), f"a server may have {MOST_TOOLS} tools") for tool in tools[MOST_TOOLS:]]
    shared = Counter(word(tool.name) for tool in tools)
    for tool in tools[:MOST_TOOLS]:
        name = word(tool.name)
        try:
            if not name or len(name) > _NAME:
                raise _Unfit("its name has no letters to go by, or too many")
            if shared[name] > 1:
                raise _Unfit(f"{shared[name]} of its server's tools would be called {mount}.{name}")
            made.append(_entry(mount, name, tool, trust, call))
        except _Unfit as why:
            refused.append(Refused(line(tool.name, 64), str(why)))
    return Entries(tuple(made), tuple(refused))


def _entry(mount: str, name: str, tool: Tool, trust: bool, call: Call) -> Syscall:
    full, (params, original) = f"{mount}.{name}", _params(tool.schema)
    strings = {param.name for param in params if param.annotation is Any and _texts(tool.schema, original[param.name])}

    async def run(ctx: Context, **args: Json) -> Answer:
        given = {
            original[name]: value if name in strings else _decoded(value, said[name])
            for name, value in args.items() if value is not None
        }
        return await call(tool.name, given, ctx)

    said = {param.name: param.annotation is Any for param in params}
    shape: dict[str, Any] = {p.name: (p.annotation, ... if p.required else None) for p in params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a field may be called like one of the model class's own
        model = create_model(
            full, __config__=ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=()), **shape
        )
    doc = line(tool.description, DOC) or f"The tool {name} of the server {mount}."
    return Syscall(
        full, effect_of(tool, trust), run, doc, params, ("text",), {}, model, f"mcp:{mount}", untrusted=True,
        mount=mount,
    )


def _decoded(value: Json, structured: bool) -> Json:
    """A structured argument that came as text, from a command line or a sentence."""
    if not structured or not isinstance(value, str):
        return value
    try:
        read: Json = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read


def _params(schema: dict[str, Any]) -> tuple[tuple[Param, ...], dict[str, str]]:
    """The parameters, those that are required first, and what each is called by its server."""
    try:
        if len(json.dumps(schema)) > _SCHEMA:
            raise _Unfit("the schema of its arguments is too long")
    except (ValueError, RecursionError):
        raise _Unfit("the schema of its arguments is not JSON") from None
    properties, needed = schema.get("properties") or {}, schema.get("required") or []
    if not isinstance(properties, dict) or not isinstance(needed, list):
        raise _Unfit("the schema of its arguments is not valid")
    listed = sorted(properties.items(), key=lambda item: item[0] not in needed)
    if unknown := [name for name in needed if name not in properties]:
        raise _Unfit(f"it needs an argument that it does not describe, {line(str(unknown[0]), 40)!r}")
    if len([name for name in properties if name in needed]) > MOST_PARAMS:
        raise _Unfit(f"it needs more than {MOST_PARAMS} arguments")
    made: list[Param] = []
    original: dict[str, str] = {}
    room = _SHOWN
    for name, said in listed[:MOST_PARAMS]:
        required = name in needed
        param = _param(name, said if isinstance(said, dict) else {}, required)
        if param.name in original:
            raise _Unfit(f"two of its arguments would be called {param.name}")
        room -= len(param.name) + len("|".join(param.choices) or param.kind) + 5
        if room < 0:
            if required:
                raise _Unfit("its arguments take too many words")
            break
        original[param.name] = name
        made.append(param)
    return tuple(made), original


def _param(name: str, said: dict[str, Any], required: bool) -> Param:
    own = word(name)
    if not own or len(own) > _PARAM:
        raise _Unfit(f"its argument {line(name, 40)!r} has no name to go by, or too long a one")
    if own in _BASE or own.startswith("model_"):
        own += "_"
    annotation, kind, choices, many = _typed(said)
    doc = line(said.get("description"), PARAM_DOC) or line(said.get("title"), PARAM_DOC)
    if annotation is Any:
        doc = line(f"{doc + ' ' if doc else ''}(JSON: {json.dumps(said)})", PARAM_DOC + 80)
    if not required and annotation is not Any:
        annotation = annotation | None
    # A model's answer (`text`) may be handed on to whatever takes a text.
    field = "text" if kind == "text" else own
    return Param(own, annotation, required, None, doc, choices, kind, many, field)  # type: ignore[arg-type]


def _typed(said: dict[str, Any]) -> tuple[Any, str, tuple[str, ...], bool]:
    """An argument's annotation, kind, choices, and whether it is a list; anything, where it is richer than that."""
    options = said.get("anyOf") or said.get("oneOf")
    if isinstance(options, list):
        kept = [one for one in options if isinstance(one, dict) and one.get("type") != "null"]
        return _typed(kept[0]) if len(kept) == 1 and len(kept) < len(options) else (Any, "text", (), False)
    kind = said.get("type")
    if isinstance(kind, list):
        kept_kinds = [one for one in kind if one != "null"]
        kind = kept_kinds[0] if len(kept_kinds) == 1 else None
    if kind == "array":
        items = said.get("items")
        one, inner, choices, nested = _typed(items) if isinstance(items, dict) else (Any, "text", (), False)
        return (Any, "text", (), False) if one is Any or nested else (list.__class_getitem__(one), inner, choices, True)
    if not isinstance(kind, str) or kind not in _PLAIN:
        return Any, "text", (), False
    values = said.get("enum")
    if kind == "string" and isinstance(values, list) and _few(values):
        return Literal.__getitem__(tuple(values)), "choice", tuple(values), False
    annotation, name = _PLAIN[kind]
    return annotation, name, (), False


def _few(values: list[Any]) -> bool:
    """Whether values can be told as choices."""
    fit = all(isinstance(value, str) and _CHOICE.fullmatch(value) for value in values)
    return bool(values) and fit and len("|".join(values)) <= _CHOICES and len(set(values)) == len(values)


def _texts(schema: dict[str, Any], name: str) -> bool:
    """Whether an argument of several types may be a plain text too, which is then passed on as it is."""
    said = schema["properties"][name]
    options = [said, *(said.get("anyOf") or said.get("oneOf") or [])] if isinstance(said, dict) else []
    kinds = [one.get("type") for one in options if isinstance(one, dict)]
    return any(kind == "string" or (isinstance(kind, list) and "string" in kind) for kind in kinds)
