"""What a remote model is: who is asked and in which order, with which key, and how long that may take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from agentos.errors import Failed
from agentos.types import Json, ModelSpec, Seconds

PREFIX = "litellm:"


@dataclass(frozen=True)
class Limits:
    """How patient the engine is."""

    connect: Seconds = 10.0
    first: Seconds = 60.0
    """Until the first piece of an answer."""
    between: Seconds = 60.0
    """From each piece to the next."""
    total: Seconds = 600.0
    """For a whole answer, with all that is tried again and all fallbacks."""
    retries: int = 2
    """How often one model is asked again, while it has written nothing."""
    backoff: Seconds = 0.5
    """Before the first retry; doubled for each further one, where the provider names no time of its own."""


@dataclass(frozen=True)
class Target:
    """One model at one address."""

    model: str
    """LiteLLM's name: PROVIDER/MODEL."""
    api_base: str | None = None
    """None: the provider's own."""
    key: str = ""
    """Name of the variable that holds its key; empty: the provider's usual one."""


@dataclass(frozen=True)
class Remote:
    """Who may answer, the first one first."""

    targets: tuple[Target, ...]
    limits: Limits


def read(spec: ModelSpec) -> Remote:
    """What the settings of a remote model say.

    `timeout` is a number (seconds until the first piece, and between two) or a table of `connect`, `first`,
    `between` and `total`; `retries` and `backoff` say how often and how soon it is asked again; `fallbacks` lists
    names, or tables of `model`, `api_base` and `key`. A fallback that is only a name goes to the first model's
    address where its provider is the same one, and else to its provider's own.

    Raises:
        Failed: a setting is not what it should be; nothing was loaded.
    """
    settings = spec.settings
    model = _text(spec, settings, "model") or spec.name.removeprefix(PREFIX)
    first = Target(model, _text(spec, settings, "api_base") or None, _text(spec, settings, "key"))
    others = settings.get("fallbacks") or []
    if not isinstance(others, list | tuple):
        raise _wrong(spec, "fallbacks", "a list")
    return Remote((first, *(_fallback(spec, first, other) for other in others)), _limits(spec))


def _fallback(spec: ModelSpec, first: Target, said: Json) -> Target:
    if isinstance(said, str) and said:
        name = said.removeprefix(PREFIX)
        same = name.partition("/")[0] == first.model.partition("/")[0]
        return Target(name, first.api_base, first.key) if same else Target(name)
    if not isinstance(said, Mapping) or not set(said) <= {"model", "api_base", "key"} or not said.get("model"):
        raise _wrong(spec, "fallbacks", "names, or tables of `model`, `api_base` and `key`")
    base, key = _text(spec, said, "api_base") or None, _text(spec, said, "key")
    return Target(_text(spec, said, "model").removeprefix(PREFIX), base, key)


def _limits(spec: ModelSpec) -> Limits:
    said: dict[str, Json] = {name: spec.settings[name] for name in ("retries", "backoff") if name in spec.settings}
    times = spec.settings.get("timeout")
    if isinstance(times, Mapping):
        if not set(times) <= {"connect", "first", "between", "total"}:
            raise _wrong(spec, "timeout", "seconds, or a table of `connect`, `first`, `between` and `total`")
        said.update(times)
    elif times:
        said.update(first=times, between=times)
    given: dict[str, float] = {}
    for name, value in said.items():
        least = 0.0 if name in ("retries", "backoff") else 1e-3
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
            raise _wrong(spec, name, "a number, and no less than nothing")
        given[name] = value
    if given.get("retries", 0) % 1:
        raise _wrong(spec, "retries", "a whole number")
    longest = max(given.get(name, 0.0) for name in ("first", "between"))
    given.setdefault("total", max(Limits.total, longest))  # who waits long for one piece waits as long for all
    assert set(given) <= {item.name for item in fields(Limits)}
    return Limits(**{**given, "retries": int(given.get("retries", Limits.retries))})  # type: ignore[arg-type]


def _text(spec: ModelSpec, said: Mapping[str, Json], name: str) -> str:
    value = said.get(name) or ""
    if not isinstance(value, str):
        raise _wrong(spec, name, "text")
    return value


def _wrong(spec: ModelSpec, name: str, what: str) -> Failed:
    return Failed(f"the setting {name!r} of {spec.name!r} must be {what}; nothing was loaded")


def unit(rows: Sequence[Any], count: int) -> tuple[tuple[float, ...], ...]:
    """The vectors of an OpenAI-shaped answer, in the order of the texts, each of length 1.

    Raises:
        Failed: there are more or fewer than texts, they differ in length, or one is no direction.
    """
    try:
        ordered = sorted(rows, key=lambda row: int(row["index"]))
        found = [[float(value) for value in row["embedding"]] for row in ordered]
    except (KeyError, TypeError, ValueError):
        raise Failed("the provider answered with something else than vectors; nothing was predicted") from None
    if len(found) != count or len({len(vector) for vector in found}) != 1:
        raise Failed(f"the provider gave {len(found)} vectors, or of different lengths, for {count} texts")
    lengths = [math.hypot(*vector) for vector in found]
    if not all(0 < length < math.inf for length in lengths):
        raise Failed("the provider gave a vector without a direction; nothing was predicted")
    return tuple(tuple(value / length for value in vector) for vector, length in zip(found, lengths, strict=True))
