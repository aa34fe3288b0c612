"""Writes python_calls.pyi: the syscall table as classes, for editors and type checkers."""

from __future__ import annotations

import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from agentos.registry import Registry
from agentos.syscall import Param, Syscall

PATH = Path(__file__).with_name("python_calls.pyi")
_HEAD = '''\
# ruff: noqa
"""The syscall table as methods. Made of the table by `python -m agentos.interfaces.docs`; edit the syscalls instead."""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Literal

'''
_WIDTH = 120


def stub(table: Registry) -> str:
    """The whole stub: a class a family, sync and async, and what has one of each."""
    calls = [call for call in table if call.owner == "agentos"]
    families = sorted({call.family for call in calls})
    names = sorted({kind.__name__ for call in calls if isinstance(kind := _gives(call), type) and is_dataclass(kind)})
    imports = textwrap.fill(", ".join(names), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    parts = [f"{_HEAD}from agentos.types import (\n{imports},\n)\n"]
    for prefix in ("", "Async"):
        for family in families:
            methods = "\n".join(_method(call, prefix) for call in calls if call.family == family)
            parts.append(f"class {prefix}{family.title()}:\n{methods}")
        held = "\n".join(f"    {family}: {prefix}{family.title()}" for family in families)
        made = "    def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any: ..."
        parts.append(f"class {prefix}Calls:\n{held}\n{made}\n")
    return "\n".join(parts)


def _method(call: Syscall, prefix: str) -> str:
    name = call.name.split(".", 1)[1]
    params = ["self", *map(_param, call.params), *([] if any(p.name == "yes" for p in call.params) else ["*"])]
    params += ["yes: bool = False"] if params[-1] == "*" else []
    head = f"    {'async ' if prefix else ''}def {name}("
    tail = f") -> {_name(_gives(call))}:"
    line = head + ", ".join(params) + tail
    if len(line) > _WIDTH:
        line = "\n".join([head, *(f"        {param}," for param in params), f"    {tail}"])
    doc = inspect.getdoc(call.function) or ""
    quoted = f'"""{doc}\n"""' if "\n" in doc else f'"""{doc}"""'
    body = textwrap.indent(quoted, " " * 8, lambda said: bool(said.strip()))
    return f"{line}\n{body}\n"


def _param(param: Param) -> str:
    kind = _name(param.annotation)
    if param.many:
        inner = _name(next(_lists(param.annotation)))
        kind = f"str | Sequence[{inner}]" + (" | None" if param.default is None and not param.required else "")
    return f"{param.name}: {kind}" + ("" if param.required else f" = {_text(param.default)}")


def _lists(annotation: Any) -> Iterator[Any]:
    """What the list in an annotation is of."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is list:
        return iter(args)
    return (inner for arm in args for inner in _lists(arm))


def _name(annotation: Any) -> str:
    """An annotation as a stub writes it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _name(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(_text, args))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_name(arm) for arm in args)
    if origin is list:
        return f"builtins.list[{_name(args[0])}]"
    return "None" if annotation in (None, type(None)) else str(getattr(annotation, "__name__", "Any"))


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _gives(call: Syscall) -> Any:
    return typing.get_type_hints(call.function).get("return", Any)
