"""What columns hold, decided from the first rows and widened where a later row says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

_INT = r"^(0|-?[1-9][0-9]{0,17})$"
_FLOAT = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"
_SHAPES = {pa.int64(): _INT, pa.float64(): _FLOAT, pa.date32(): _DATE, pa.timestamp("us"): _TIME}


class Again(Exception):
    """Reading has to start again."""


class Widen(Again):
    """A column turned out to hold more than was thought; reading starts again with what is known now."""

    def __init__(self, column: str, kind: Any) -> None:
        super().__init__(column)
        self.column = column
        self.kind = kind


def said(column: str, texts: Any, known: Mapping[str, Any]) -> Any:
    """A column of texts in the type they are surely of: whole numbers, numbers, dates, times; or as they are.

    Raises:
        Widen: rows read before were of another type.
    """
    kind = known.get(column)
    if kind is None:
        return next((made for shape in _SHAPES if (made := _cast(texts, shape)) is not None), texts)
    if kind == pa.string():
        return texts
    made = _cast(texts, kind)
    if made is not None:
        return made
    wider = kind == pa.int64() and _cast(texts, pa.float64()) is not None
    raise Widen(column, pa.float64() if wider else pa.string())


def _cast(texts: Any, kind: Any) -> Any:
    filled = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    if filled.null_count == len(filled):
        return None
    if not pc.all(pc.match_substring_regex(filled, _SHAPES[kind])).as_py():
        return None
    try:
        return filled.cast(kind)
    except pa.ArrowInvalid:
        return None


def given(column: str, values: list[Any], known: Mapping[str, Any]) -> Any:
    """A column of values from JSON.

    Raises:
        Widen: rows read before were of another type.
    """
    kind = known.get(column)
    if kind == pa.string():
        return pa.array([_sound(written(value)) for value in values], pa.string())
    try:
        made = _array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        raise Widen(column, pa.string()) from None
    if kind is None or made.type == kind:
        return made
    if pa.types.is_null(made.type):
        return made.cast(kind)
    if pa.types.is_null(kind):
        raise Widen(column, made.type)
    numbers = {pa.int64(), pa.float64()}
    if {made.type, kind} <= numbers:
        if kind == pa.float64():
            return pa.array([None if value is None else float(value) for value in values], kind)
        raise Widen(column, pa.float64())
    raise Widen(column, _both(kind, made.type))


def _array(values: list[Any]) -> Any:
    try:
        return pa.array(values)
    except UnicodeEncodeError:
        return pa.array([_sound(value) for value in values])


def _sound(value: Any) -> Any:
    """A value whose texts can be written: half a character becomes a question mark."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(inner) for key, inner in value.items()}
    return [_sound(inner) for inner in value] if isinstance(value, list) else value


def _both(one: Any, other: Any) -> Any:
    """A type that holds both, or text."""
    try:
        fields = [pa.schema([pa.field("x", kind)]) for kind in (one, other)]
        return pa.unify_schemas(fields, promote_options="permissive").field("x").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()


def written(value: Any) -> str | None:
    """A value as text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def plain(array: Any) -> Any:
    """An array in the types that data sets are stored in: dictionaries unpacked, large and view types small."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_large_string(kind) or str(kind) == "string_view":
        return array.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or str(kind) == "binary_view":
        return array.cast(pa.binary())
    if pa.types.is_null(kind):
        return array.cast(pa.string())
    return array
