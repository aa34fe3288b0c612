"""Errors named by who must act. Anything that is not one of these is a bug and propagates."""

from __future__ import annotations


class AgentosError(Exception):
    """What happened, what was left untouched, and what to do, in one message for a person."""

    exit_code = 1
    http_status = 500


class UserError(AgentosError):
    """The request itself is wrong: an unknown name, a bad argument. The caller changes it."""

    exit_code = 2
    http_status = 400


class NotFound(UserError):
    """A name that nothing bears; the message lists what exists."""

    http_status = 404


class Failed(AgentosError):
    """The request was right and could not be carried out. Nothing half-done is left behind."""

    exit_code = 1
    http_status = 422


class Retry(AgentosError):
    """A passing fault: the same call may work later."""

    exit_code = 1
    http_status = 503


class DeniedError(AgentosError):
    """Policy said no. The message names the rule, never the data."""

    exit_code = 3
    http_status = 403
    recorded = False
    """Whether it is on the audit trail already."""


class TooMany(DeniedError):
    """So much of the caller's waits already that no more can: they see to some of it, then ask again."""

    http_status = 429


class ApprovalNeeded(AgentosError):
    """Policy lets it run once a person has confirmed it; `approval` names the held call."""

    exit_code = 4
    http_status = 409

    def __init__(self, message: str, approval: str) -> None:
        super().__init__(message)
        self.approval = approval


def unknown(kind: str, name: str, known: list[str] | None) -> NotFound:
    """A `NotFound` that says what exists, nearest names first.

    Args:
        kind: What it would be: `model`, `held call`.
        name: What was asked for.
        known: Those that the caller may see; None where they may see none, and nothing is said of others.
    """
    import difflib

    if known is None:
        return NotFound(f"there is no {kind} {name!r}; nothing was done")
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    listed = ", ".join(sorted(known)) or "none"
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {listed}."
    return NotFound(f"there is no {kind} {name!r}. {hint}")
