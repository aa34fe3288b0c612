"""What a key is for: syscalls, families and effects that narrow its holder's role."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import get_args

from agentos.errors import UserError
from agentos.types import Effect

EFFECTS: tuple[Effect, ...] = get_args(Effect)
READ_ONLY = "read-only"
"""Beside other items it narrows them to what reads; alone it stands for all that reads."""
DOORS = frozenset({
    "approvals", "audit", "groups", "kernel", "keys", "mounts", "policy", "quotas", "reviews", "roles", "rules",
    "secrets", "stop", "users",
})
"""Families of what people do at the doors besides syscalls."""
_ITEM = re.compile(r"[a-z][\w-]*\.(?:[a-z][\w-]*|\*)")


def read(items: Sequence[str], syscalls: Iterable[str]) -> tuple[str, ...]:
    """A scope as it is kept: sorted, each item once.

    Args:
        items: Names (`models.list`), families (`models.*`), effects (`write`), or `read-only`.
        syscalls: The names of those that there are.

    Raises:
        UserError: an item names nothing; a key that looks narrower than it is would be worse than none.
    """
    known = set(syscalls)
    families = {name.partition(".")[0] for name in known} | DOORS
    for item in items:
        family, dot, rest = item.partition(".")
        named = item in known or (family in families and (rest == "*" or family in DOORS and dot))
        if not (item in EFFECTS or item == READ_ONLY or (named and _ITEM.fullmatch(item))):
            raise UserError(
                f"a scope names syscalls (models.list), families (models.*), effects ({', '.join(EFFECTS)}) or"
                f" {READ_ONLY}, and {item!r} is none of them. Nothing was made."
            )
    if not items:
        raise UserError("an empty scope would be a key that opens nothing. Nothing was made.")
    return tuple(sorted(set(items)))


def covers(scope: Sequence[str] | None, name: str, effect: Effect) -> bool:
    """Whether a key of that scope is for a syscall, or for something else that people do at a door."""
    if scope is None:
        return True
    if READ_ONLY in scope and effect != "read":
        return False
    wanted = [item for item in scope if item != READ_ONLY]
    family = f"{name.partition('.')[0]}.*"
    return not wanted or any(item in (name, family, effect) for item in wanted)


def inside(scope: Sequence[str] | None, outer: Sequence[str] | None) -> bool:
    """Whether a key of one scope is for nothing that a key of the other is not for."""
    if outer is None:
        return True
    if scope is None or (READ_ONLY in outer and READ_ONLY not in scope):
        return False
    items, most = set(scope) - {READ_ONLY}, set(outer) - {READ_ONLY}
    return not most or bool(items) and all({item, f"{item.partition('.')[0]}.*"} & most for item in items)


def lacking(scope: Sequence[str], name: str, effect: Effect) -> str:
    """What a key's scope lacks, for the person it stops."""
    if READ_ONLY in scope and effect != "read":
        return f"this key is read-only, and {name} takes a key that may {effect}"
    return f"this key is for {', '.join(scope)}; its scope lacks {name}"
