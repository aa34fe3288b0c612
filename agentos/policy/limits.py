"""A quota as it is set, what counts for it, and how a refusal says that it would be gone over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from agentos.errors import DeniedError
from agentos.policy.periods import Period, window
from agentos.types import Denied, Timestamp
from agentos.types.units import show_seconds

RESOURCES = ("requests", "tokens", "cpu-hours", "gpu-hours", "cost")
"""What is counted: calls and sentences, tokens that models read and write, hours of cores and GPUs that jobs take, and
US dollars for remote models."""


class Counter(NamedTuple):
    """What one limit counts."""

    name: str
    """`user:bob`, `group:crew`, or `role:viewer/bob`: a role's limit is each one's own."""
    resource: str
    period: Period


@dataclass(frozen=True)
class Limit:
    """A quota as it was set."""

    subject: str
    """`user:NAME`, `group:NAME` (its members together) or `role:NAME` (each who has it)."""
    resource: str
    period: Period
    amount: float
    by: str
    since: Timestamp


@dataclass(frozen=True)
class Standing:
    """How far a limit is used up."""

    subject: str
    resource: str
    period: Period
    limit: float
    user: str
    """Whose use of a role's limit this is; empty for others."""
    used: float
    reserved: float
    resets: Timestamp


class OverQuota(DeniedError):
    """A limit would be gone over; nothing was run."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"denied by quota: {reason}")
        self.decision = Denied("quota", reason)


@dataclass(frozen=True)
class Over:
    """A limit that something does not fit into."""

    subject: str
    resource: str
    period: Period
    limit: float
    used: float
    reserved: float
    need: float


def refusal(over: Over, now: Timestamp) -> str:
    """What the person is told: the limit, what is used, when it starts anew, and who can raise it."""
    kind, _, name = over.subject.partition(":")
    whose = {"user": "the limit of", "group": "the limit of group", "role": "the limit of role"}[kind]
    end = window(over.period, now).end
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(end))
    held = f", {amount_text(over.resource, over.reserved)} reserved by what is under way" if over.reserved else ""
    need = "" if over.resource == "requests" else f", and this may take {amount_text(over.resource, over.need)}"
    return (
        f"{amount_text(over.resource, over.limit)} a {over.period} is {whose} {name}; "
        f"{amount_text(over.resource, over.used)} used{held}{need}. It starts anew at {at} (in "
        f"{show_seconds(max(1.0, end - now))}); an administrator can raise it with `agentos quotas set {over.subject} "
        f"{over.resource} AMOUNT/{over.period}`"
    )


def amount_text(resource: str, amount: float) -> str:
    """An amount of a resource for people."""
    if resource == "cost":
        return f"{amount:,.4f}".rstrip("0").rstrip(".") + " USD"
    number = f"{amount:,.0f}" if amount == round(amount) else f"{amount:,.3f}".rstrip("0").rstrip(".")
    return f"{number} {resource.replace('-', ' ').replace('cpu', 'CPU').replace('gpu', 'GPU')}"
