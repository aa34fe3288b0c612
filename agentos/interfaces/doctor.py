"""What a check of an installation finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agentos.config import Settings
from agentos.errors import AgentosError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    state: State
    text: str
    mend: str = ""
    """What to do about it; empty where nothing is wrong."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong."""

    text: str
    mend: str
    state: State = "fail"


Check = Callable[[Settings], str | Fault]
"""Looks at one thing: what is right with it in a few words, or what is wrong."""


def looked(name: str, check: Check, settings: Settings) -> Finding:
    """What a check finds; that it could not look is a finding, too."""
    try:
        found = check(settings)
    except (AgentosError, OSError, ValueError) as error:
        return Finding(name, "fail", f"could not be checked: {error}", "see the message; then run agentos doctor again")
    if isinstance(found, Fault):
        return Finding(name, found.state, found.text, found.mend)
    return Finding(name, "ok", found)
