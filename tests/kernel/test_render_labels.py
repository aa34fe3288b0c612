"""Whatever a syscall answers is labelled in the person's language."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from agentos.kernel.render import _LABELS
from agentos.registry import installed


def fields(kind: Any, seen: set[Any]) -> set[str]:
    found: set[str] = set()
    for part in typing.get_args(kind):
        found |= fields(part, seen)
    if dataclasses.is_dataclass(kind) and kind not in seen:
        seen.add(kind)
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            found |= {field.name} | fields(hints[field.name], seen)
    return found


def test_every_field_of_every_result_has_a_chinese_label() -> None:
    seen: set[Any] = set()
    names: set[str] = set()
    for entry in installed():
        names |= fields(typing.get_type_hints(entry.function).get("return"), seen)
    assert len(names) > 150
    assert sorted(names - _LABELS["zh"].keys()) == []
