"""`@syscall`: a typed function becomes a schema, a help text, a policy input and a command."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from agentos.errors import UserError
from agentos.types import Effect, Json
from agentos.types.units import Kind, seconds, size

Function = Callable[..., Awaitable[Any]]
_READERS: dict[str, Callable[[str], Any]] = {"duration": seconds, "size": size}


@dataclass(frozen=True)
class Param:
    """One parameter of a syscall."""

    name: str
    annotation: Any
    required: bool
    default: Json
    doc: str
    choices: tuple[str, ...] = ()
    """The values it may take, where they are few."""
    kind: Literal[
        "name", "private", "syscall", "topic", "duration", "size", "time", "choice", "int", "float", "bool", "text"
    ] = "text"
    many: bool = False
    """Whether it takes a list."""
    field: str = ""
    """The field of an earlier step's result that it may take."""


@dataclass(frozen=True)
class Syscall:
    """One entry of the table."""

    name: str
    effect: Effect
    function: Function
    doc: str
    params: tuple[Param, ...]
    fields: tuple[str, ...]
    """Fields of the result that a later step may name."""
    examples: Mapping[str, Mapping[str, Json]]
    """Sentences and the arguments they come to."""
    model: type[BaseModel]
    owner: str = "agentos"
    """The distribution it comes from."""
    untrusted: bool = False
    """Whether its results are text from outside."""
    outside: tuple[str, ...] = ()
    """Fields of its result that are, where the others are not."""
    destinations: tuple[str, ...] = ()
    """Parameters that say where data, money or access goes, for rules; `body.link` is the links in `body`."""
    mount: str = ""
    """The mounted server that carries it out; empty for a function of this installation."""

    @property
    def family(self) -> str:
        """The part of the name before the dot."""
        return self.name.split(".", 1)[0]

    def validate(self, args: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments with their types put right (`"3"` is 3) and defaults filled in.

        Raises:
            UserError: one is missing, unknown or of the wrong type; every fault is named.
        """
        single: dict[str, Any] = {
            p.name: [args[p.name]] for p in self.params if p.many and isinstance(args.get(p.name), str)
        }
        single |= {  # pydantic holds a literal number to its type
            p.name: int(str(args[p.name])) for p in self.params
            if p.kind == "int" and p.choices and str(args.get(p.name)) in p.choices
        }
        try:
            checked = self.model.model_validate({**args, **single})
        except ValidationError as error:
            raise UserError(f"{self.name}: {'; '.join(_fault(self, e) for e in error.errors())}") from None
        values: dict[str, Json] = checked.model_dump(mode="json")
        for param in self.params:
            if param.kind in _READERS and isinstance(values[param.name], str):
                try:
                    _READERS[param.kind](str(values[param.name]))
                except ValueError as fault:
                    raise UserError(f"{self.name}: {param.name}: {fault}") from None
        return values

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments, each with its description."""
        said: dict[str, Any] = self.model.model_json_schema()
        for param in self.params:
            if param.doc:
                said["properties"][param.name]["description"] = param.doc
        return said


def _fault(call: Syscall, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    if error["type"] == "extra_forbidden":
        return f"there is no argument {where!r} (it takes {', '.join(p.name for p in call.params) or 'none'})"
    return f"{where!r}: {error['msg']}, not {error['input']!r}"


def syscall(
    *,
    effect: Effect,
    examples: Mapping[str, Mapping[str, Json]] | None = None,
    name: str | None = None,
    untrusted: bool = False,
    outside: tuple[str, ...] = (),
    destinations: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Marks an async function as a syscall; `registry.register` reads it.

    Args:
        effect: What policy does by default: read runs, write runs for operators, execute and destroy are confirmed.
        examples: Sentences in English and Chinese, each with the arguments it comes to.
        name: The name after the family; the function's own by default, less a trailing underscore.
        untrusted: Whether its results carry text from outside.
        outside: Fields of its result that do, where the others do not: what another person may have written.
        destinations: Parameters that say where data, money or access goes; rules may ask more of them.
    """

    def mark(function: Function) -> Function:
        function.__syscall__ = {  # type: ignore[attr-defined]
            "effect": effect,
            "examples": dict(examples or {}),
            "name": name or function.__name__.rstrip("_"),
            "untrusted": untrusted,
            "outside": outside,
            "destinations": destinations,
        }
        return function

    return mark


def describe(function: Function, family: str, owner: str = "agentos") -> Syscall:
    """The table entry of a marked function.

    Raises:
        TypeError: the function is not async, takes no context, or lacks a type, a docstring or an `Args:` entry.
    """
    marked: dict[str, Any] = function.__syscall__  # type: ignore[attr-defined]
    full = f"{family}.{marked['name']}"
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"syscall {full} must be an async function")
    doc = inspect.getdoc(function)
    if not doc:
        raise TypeError(f"syscall {full} has no docstring; it is the help text")
    hints = typing.get_type_hints(function, include_extras=True)
    signature = list(inspect.signature(function).parameters.values())
    if not signature or signature[0].name != "ctx":
        raise TypeError(f"syscall {full} must take the context as its first parameter, `ctx`")
    described = _args_section(doc)
    params: list[Param] = []
    shape: dict[str, Any] = {}
    for parameter in signature[1:]:
        if parameter.name not in hints:
            raise TypeError(f"syscall {full}: parameter {parameter.name!r} has no type")
        if parameter.name not in described:
            raise TypeError(f"syscall {full}: parameter {parameter.name!r} is not described under `Args:`")
        required = parameter.default is inspect.Parameter.empty
        annotation = hints[parameter.name]
        kind, choices, many = _kind(annotation)
        default = None if required else parameter.default
        doc_of = described[parameter.name]
        field = _field(annotation) or parameter.name
        params.append(Param(parameter.name, annotation, required, default, doc_of, choices, kind, many, field))
        shape[parameter.name] = (annotation, ... if required else default)
    model = create_model(full, __config__=ConfigDict(extra="forbid", coerce_numbers_to_str=True), **shape)
    result = hints.get("return")
    names = tuple(item.name for item in fields(result)) if isinstance(result, type) and is_dataclass(result) else ()
    entry = Syscall(
        full, marked["effect"], function, doc.split("\n\n", 1)[0].replace("\n", " "), tuple(params), names,
        marked["examples"], model, owner, marked["untrusted"], marked["outside"], marked["destinations"],
    )
    unknown = {name.split(".", 1)[0] for name in entry.destinations} - shape.keys()
    if unknown:
        raise TypeError(f"syscall {full}: the destination {min(unknown)!r} is none of its parameters")
    for sentence, args in entry.examples.items():
        try:
            entry.validate(args)
        except UserError as error:
            raise TypeError(f"syscall {full}: the example {sentence!r} does not fit its signature: {error}") from error
    return entry


def _args_section(doc: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if "Args:" not in doc:
        return found
    current = ""
    for line in doc.split("Args:", 1)[1].splitlines():
        stripped = line.strip()
        if stripped.rstrip(":") in {"Returns", "Raises"} and stripped.endswith(":"):
            break
        if line.startswith("    ") and not line.startswith("     ") and ":" in stripped:
            current, _, text = stripped.partition(":")
            found[current] = text.strip()
        elif current and stripped:
            found[current] += f" {stripped}"
    return found


def _field(annotation: Any) -> str:
    """What field of a result its kind goes with, where that is not its own name."""
    marks = [mark.field for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Kind)]
    return next(filter(None, [*marks, *map(_field, get_args(annotation))]), "")


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...], bool]:
    """What a parameter takes, its choices, and whether it takes a list."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        base, *marks = get_args(annotation)
        for mark in marks:
            if isinstance(mark, Kind):
                return mark.name, (), False
        return _kind(base)
    if origin is Literal:
        values = get_args(annotation)
        numbers = all(type(value) is int for value in values)
        return "int" if numbers else "choice", tuple(str(value) for value in values), False
    if origin is list:
        kind, choices, _ = _kind(get_args(annotation)[0])
        return kind, choices, True
    if origin is not None:
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return _kind(inner[0]) if len(inner) == 1 else ("text", (), False)
    kinds: dict[Any, str] = {int: "int", float: "float", bool: "bool"}
    return kinds.get(annotation, "text"), (), False
