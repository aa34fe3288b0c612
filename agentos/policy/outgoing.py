"""Replies on their way out: each is held against the rules of `output.yaml` before any of it can leave.

The owner's file is looked at with each reply (a `stat`) and taken in when it has changed. One that is broken changes
nothing: the rules in force stay, and the system's log and `agentos review` say what is wrong and where.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentos.errors import Failed, UserError
from agentos.policy.masks import Masks
from agentos.policy.output import FILE, STRICT, Reply, Rule, read, shipped
from agentos.policy.people import lower
from agentos.redact import Stream
from agentos.types import Caller, Role

log = logging.getLogger(__name__)

FILTERED = "content_filter"
"""Why an answer ends that is not given, in OpenAI's word."""
SETTLED = 0.1
"""Seconds for which the file must not have changed: until then somebody may be writing it."""
_FIRST = 64
_HAN = re.compile(r"[\u3400-\u9fff]")
_SAID = {
    ("block", "en"): "The answer is not given: {0} (rule {1}).",
    ("block", "zh"): "没有给出回答：{0}（规则 {1}）。",
    ("hold", "en"): "The answer waits for review as {2}: {0} (rule {1}). `agentos review get {2}`, or GET "
                    "/v1/reviews/{2}, gives it once it is released.",
    ("hold", "zh"): "回答正在等待人工审核，编号 {2}：{0}（规则 {1}）。放行后可用 `agentos review get {2}` 或 GET "
                    "/v1/reviews/{2} 取得。",
}


class Desk(Protocol):
    """Where withheld replies are recorded."""

    def hold(self, caller: Caller, model: str, rule: Rule, text: str) -> str:
        """Keeps a reply until it is reviewed; its id."""
        ...

    def blocked(self, caller: Caller, model: str, rule: Rule) -> None:
        """Records that one was not given."""
        ...

    def ruled(self, files: Mapping[str, str], rules: int) -> None:
        """Records rules that are about to be in force; Failed: it could not, and those before must stay."""
        ...

    def misruled(self, file: str) -> None:
        """Records that a file was not taken in."""
        ...


@dataclass(frozen=True)
class Left:
    """What becomes of a reply."""

    text: str
    """All that its caller is given."""
    rest: str
    """What of that was not let out yet."""
    finish_reason: str = ""
    """`content_filter` where the answer is withheld; else empty."""
    review: str = ""
    """The id under which it waits for review."""


class Leaving:
    """One reply, fed as it comes. What rules may block or hold is let out when it is complete, the rest as it comes."""

    def __init__(self, rules: Sequence[Rule], caller: Caller, model: str, desk: Desk, language: str) -> None:
        """Rules that concern the caller and the model, none of them idle."""
        self._rules, self._caller, self._model, self._desk, self._language = rules, caller, model, desk, language
        masks = Masks([rule for rule in rules if rule.do == "mask"])
        self._stream = Stream(masks) if masks.bounded and all(rule.do == "mask" for rule in rules) else None
        self._text, self._out, self._next = "", "", _FIRST
        self._final: Rule | None = None

    @property
    def over(self) -> bool:
        """Whether it is blocked already, whatever may still come."""
        return self._final is not None

    def feed(self, piece: str) -> str:
        """What can be let out now."""
        self._text += piece
        if self._stream is not None:
            out = self._stream.feed(piece)
            self._out += out
            return out
        if self._final is None and len(self._text) >= self._next:
            self._next = len(self._text) + max(_FIRST, len(self._text) // 4)  # all looks together stay linear
            self._final = self._settled()
        return ""

    def close(self, text: str | None = None) -> Left:
        """The end of the reply; `text` is all of it where the engine gave that, too.

        Raises:
            TooMany: it is to wait for review, and as many of the caller's wait as may; nothing is let out.
            Failed: it cannot be kept for review; nothing is let out.
        """
        reply = Reply(self._text if text is None else text)
        if self._stream is not None:
            rest = self._stream.close()
            whole = self._out + rest if reply.text == self._text else Masks(self._rules).mask(reply.text)
            return Left(whole, rest)
        left = _left(self._rules, reply)
        rule = self._final or next((each for do in STRICT for each in left if each.do == do), None)
        masked = Masks([each for each in left if each.do == "mask"]).mask(reply.text)
        if rule is None or rule.do in ("mask", "pass"):
            return Left(masked, masked)
        if rule.do == "block":
            self._desk.blocked(self._caller, self._model, rule)
            name = ""
        else:
            name = self._desk.hold(self._caller, self._model, rule, masked)
        said = _SAID[rule.do, self._language].format(rule.reason, rule.id, name)
        return Left(said, said, FILTERED, name)

    def _settled(self) -> Rule | None:
        """The rule that blocks it for certain."""
        reply = Reply(self._text)
        lifting = max((rule.priority for rule in self._rules if rule.do == "pass"), default=None)
        return next((
            rule for rule in self._rules if rule.do == "block" and (lifting is None or lifting <= rule.priority)
            and (not rule.content or rule.found(reply, settled=True))
        ), None)


class Outgoing:
    """The rules in force over replies."""

    def __init__(
        self, folder: Path, role_of: Callable[[str], Role | None], desk: Desk, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads the package's rules, and the owner's in `folder`.

        Raises:
            UserError: a rule is wrong; file and line are named.
        """
        self._file, self._role_of, self._desk, self._clock = folder / FILE, role_of, desk, clock
        self._fault = ""
        self._seen = self._stamp()
        self._rules = self._compiled()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, by the owner's file as it is now unless that is broken."""
        stamp = self._stamp()
        if stamp != self._seen and not self._fresh(stamp):
            try:
                self._rules, self._fault, self._seen = self._compiled(), "", stamp
            except Failed as error:  # nothing is in force that is not on record; it is tried again with the next reply
                log.warning("the rules over replies stay as they were: %s", error)
            except UserError as error:
                self._fault, self._seen = str(error), stamp
                self._desk.misruled(self._file.name)
                log.error("the rules over replies stay as they were: %s", error)
        return self._rules

    def wrong(self) -> str:
        """Why the owner's file as it is now is not in force; empty where it is."""
        _ = self.rules
        return self._fault

    def reply(self, caller: Caller, model: str, prompt: str) -> Leaving | None:
        """What a reply to a caller goes through; None where no rule can touch it.

        Args:
            caller: Who gets it.
            model: Who writes it, by the name that rules know it by.
            prompt: What was asked: what is said in a reply's place is in its language.
        """
        registered = self._role_of(caller.user)
        # A role that was taken away is gone at once, for a run that goes on from a checkpoint, too.
        role = caller.role if registered is None else lower(registered, caller.role)
        some = _acting([rule for rule in self.rules if rule.concerns(caller.user, role, model)])
        if not some:
            return None
        return Leaving(some, caller, model, self._desk, "zh" if _HAN.search(prompt) else "en")

    def _compiled(self) -> tuple[Rule, ...]:
        files = texts(self._file.parent)
        rules = read(files)
        self._desk.ruled(files, len(rules))
        return rules

    def _fresh(self, stamp: tuple[int, int, int] | None) -> bool:
        """Whether the file may be in the middle of being written, or moved away and about to come back."""
        try:
            changed = stamp[0] if stamp is not None else self._file.parent.stat().st_mtime_ns
        except OSError:  # there is no folder any more
            return False
        return 0 <= self._clock() - changed / 1e9 < SETTLED

    def _stamp(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from another: time of its change in nanoseconds, size, inode."""
        try:
            told = self._file.stat()
        except OSError:
            return None
        return told.st_mtime_ns, told.st_size, told.st_ino


def compiled(folder: Path) -> tuple[Rule, ...]:
    """The package's rules over replies, and the owner's in a folder.

    Raises:
        UserError: a rule is wrong; file and line are named.
    """
    return read(texts(folder))


def texts(folder: Path) -> dict[str, str]:
    """The files of rules over replies: the package's, and the owner's in a folder.

    Raises:
        UserError: the owner's cannot be read.
    """
    files, file = {FILE: shipped()}, folder / FILE
    try:
        files[str(file)] = file.read_text("utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        why = f"{file} cannot be read ({error}). No rule of it was taken in; mend the file or move it away."
        raise UserError(why) from None
    return files


def _left(rules: Sequence[Rule], reply: Reply) -> list[Rule]:
    """Rules that match and over which no matching `pass` rule stands."""
    matching = [rule for rule in rules if rule.matches(reply)]
    lifting = max((rule.priority for rule in matching if rule.do == "pass"), default=None)
    return [rule for rule in matching if lifting is None or rule.priority >= lifting]


def _acting(rules: list[Rule]) -> list[Rule]:
    """Without rules that can have no say: lifted whatever the reply holds, or lifting nothing."""
    always = [rule.priority for rule in rules if rule.do == "pass" and not rule.content]
    acting = [rule for rule in rules if rule.do != "pass" and rule.priority >= max(always, default=rule.priority)]
    least = min((rule.priority for rule in acting), default=0)
    passing = [rule for rule in rules if rule.do == "pass" and rule.content and rule.priority > least]
    return [*acting, *passing] if acting else []
