"""JSON as the types that a syscall says it gives."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin


def into(kind: Any, value: Any) -> Any:
    """A JSON value as a type; what does not fit it, such as another version's, stays as it is.

    Args:
        kind: A dataclass, or what its fields are made of: lists, tuples, mappings, unions, plain values.
        value: What the system gave.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return into(args[0], value)
    if origin in (typing.Union, types.UnionType):
        arms = [arm for arm in args if arm is not type(None)]
        return into(arms[0], value) if len(arms) == 1 and value is not None else value
    if isinstance(value, list) and origin in (list, tuple):
        inner = args[0] if args else Any
        made = [into(inner, item) for item in value]
        return tuple(made) if origin is tuple else made
    if isinstance(value, Mapping) and origin is dict:
        return {name: into(args[1], item) for name, item in value.items()}
    if isinstance(value, Mapping) and isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value)
    return value


def _record(kind: type, value: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    given = {name: into(hint, value[name]) for name, hint in hints.items() if name in value}
    needed = {
        item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING
    }
    return kind(**given) if needed <= given.keys() else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in fields(kind)}
