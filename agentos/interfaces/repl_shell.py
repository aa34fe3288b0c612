"""`!command` at the prompt: a job like any other, whose output is followed as in a shell."""

from __future__ import annotations

from agentos.errors import UserError
from agentos.interfaces.repl_watch import Beside
from agentos.interfaces.session import INTERRUPTED, Outcome, Session

_QUIET = ("plan", "result", "reply")
_ALL = 1_000_000


def shell(session: Session, beside: Beside, line: str) -> Outcome:
    """Runs a command; Ctrl-C cancels it, `&` at its end leaves it running beside the prompt.

    Raises:
        UserError: there is no command.
    """
    command = line.strip()
    background = command.endswith("&") and not command.endswith("&&")
    command = command.removesuffix("&").rstrip() if background else command
    if not command:
        raise UserError(session.say("needs_text", "!"))
    # Who types a command wants it run: that is the yes. What policy denies, or gives to others to decide, stays so.
    outcome = session.follow(session.client.call("jobs.submit", {"command": command}, yes=True), hide=_QUIET)
    submitted = next(iter(outcome.results.values()), None)
    if not outcome.ok or not isinstance(submitted, dict):
        return outcome
    job = str(submitted["job"])
    if background:
        session.printer.note(session.say("job_beside", job))
        beside.soon()
        return outcome
    beside.mute(job)
    logs = session.client.call("jobs.logs", {"job": job, "tail": _ALL, "follow": True})
    followed = session.follow(logs, hide=("plan",))
    if followed.exit_code == INTERRUPTED:
        _cancel(session, job)
        return followed
    ended = session.follow(session.client.call("jobs.show", {"job": job}), hide=_QUIET)
    card = next(iter(ended.results.values()), None) or {}
    if card.get("state") == "failed":
        session.printer.note(session.say("job_exit", job, card.get("reason") or session.say("state_failed")))
    return ended


def _cancel(session: Session, job: str) -> None:
    ended = session.follow(session.client.call("jobs.cancel", {"job": job}, yes=True), hide=_QUIET)
    session.printer.note(session.say("job_cancelled" if ended.ok else "job_goes_on", job))
