"""Arguments as the audit trail keeps them: what says what a call was on, and nothing that is private."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from functools import lru_cache

from agentos.policy.trail import compact
from agentos.redact.logged import hidden
from agentos.syscall import Syscall
from agentos.types import Call, Json

_LONGEST, _SHORT, _MOST = 200, 64, 50
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_KEY = re.compile(r"ak_[\w-]+")
_SECRET = "<API_KEY>"
_NAME = re.compile(r"[\w.@+:-]{1,80}")


def audited_args(entry: Syscall | None, args: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments as the trail keeps them: private text by length and hash, and so is what no signature names."""
    kinds = {param.name: param.kind for param in entry.params} if entry else {}
    return {
        name: _hidden(value) if kinds.get(name, "private") == "private" else _plain(value)
        for name, value in args.items()
        if value is not None
    }


def named_args(args: Mapping[str, Json], *, exact: bool) -> dict[str, Json]:
    """What an administrative act is on, which its door chose to be seen; no secret of a key's.

    Args:
        args: Names, numbers and lists of names.
        exact: Whether names are kept as they are, as users are: a name may be an address of e-mail. What was refused
            need not be a name at all, and is searched for private values.
    """
    return {
        name: [_named(item, exact) for item in value[:_MOST]] if isinstance(value, list) else _named(value, exact)
        for name, value in args.items()
        if value is not None
    }


def from_outside(call: Call) -> dict[str, Json]:
    """Which arguments text from outside went into, under a name that no parameter can have."""
    return {"$outside": dict(call.outside)} if call.outside else {}


def _named(value: Json, exact: bool) -> Json:
    if isinstance(value, float) and not math.isfinite(value):  # which JSON has no form for
        return str(value)
    if not isinstance(value, str):
        return value if isinstance(value, bool | int | float) else f"({type(value).__name__})"
    said = _KEY.sub("ak_***", value)
    own = exact and _NAME.fullmatch(said) and _SECRET not in _names(said)  # a key given for a name is no name
    return said if own else _plain(said)


def _plain(value: Json) -> Json:
    if isinstance(value, str):
        said = _names(value) if len(value) <= _SHORT else hidden(_CREDENTIALS.sub("***", value))
        return said if len(said) <= _LONGEST else said[:_LONGEST] + f"… ({len(said)} characters)"
    if isinstance(value, list):
        return [_plain(item) for item in value[:_MOST]]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@lru_cache(512)
def _names(value: str) -> str:
    """A short text without private values; they are mostly names, the same again and again."""
    return hidden(_CREDENTIALS.sub("***", value))


def _hidden(value: Json) -> Json:
    text = value if isinstance(value, str) else compact(value)
    return {"length": len(text), "sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]}
