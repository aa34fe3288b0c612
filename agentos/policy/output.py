"""Rules over what models say, read from `output.yaml`: the package's and the owner's in `HOME/policies`.

A rule says to whom and of which models it speaks (`callers`, `models`; everybody and every model where they are left
out), what a reply must hold (`patterns`, `entities`, `topics`: any one of them; any reply where all are left out) and
what is done then: `pass`, `mask`, `block` or `hold`. Of the rules that match a reply,

1. each falls away over which a matching `pass` rule of a higher `priority` stands (0 where none is given);
2. of those left the strictest acts: `block` before `hold` before `mask` before `pass`; of equally strict ones the first
   as written, the package's before the owner's, where an owner's rule of the id of a shipped one has taken its place;
3. `mask` rules that are left act all together, on what is held too: a reviewer sees what the asker would get.

Where no rule matches, the reply goes out as it is. A name of a role among `callers` means everyone in that role, any
other name that user; `models` are names as the system resolves them (an alias stands for its model), or globs with
`*`, `?` and `[…]`, whatever the case. A pattern masks all that it matches, groups or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Literal, cast

import re2
import yaml

from agentos.errors import UserError
from agentos.policy.people import ROLES
from agentos.policy.topics import Finder, Regex, Topics
from agentos.policy.width import width
from agentos.redact import KINDS, find

Do = Literal["block", "hold", "mask", "pass"]
STRICT: tuple[Do, ...] = ("block", "hold", "mask", "pass")
"""What a rule may do, the strictest first."""
FILE = "output.yaml"
_FIELDS = {"id", "reason", "when", "do", "priority"}
_CONTENT = ("patterns", "entities", "topics")
_LIMITS = ("callers", "models")


@dataclass(frozen=True)
class Rule:
    """One rule, and where it stands."""

    id: str
    reason: str
    """For the person whose reply it stops; names no data."""
    do: Do
    priority: int
    finders: tuple[Finder, ...]
    """Of its patterns and topics."""
    entities: frozenset[str]
    callers: tuple[str, ...]
    models: tuple[str, ...]
    place: str
    """File and line."""

    @property
    def content(self) -> bool:
        """Whether it looks at what a reply holds."""
        return bool(self.finders or self.entities)

    @property
    def width(self) -> float:
        """The most characters that a match of its patterns and topics has; infinite where there is no bound."""
        return max((finder.width for finder in self.finders), default=0)

    def concerns(self, user: str, role: str, model: str) -> bool:
        """Whether it speaks of replies of this model to this caller."""
        called = not self.callers or role in self.callers or (user in self.callers and user not in ROLES)
        return called and (not self.models or any(fnmatchcase(model.lower(), each.lower()) for each in self.models))

    def matches(self, reply: Reply) -> bool:
        """Whether a reply holds what it looks for."""
        return not self.content or bool(self.entities and find(reply.text, self.entities)) or self.found(reply)

    def found(self, reply: Reply, *, settled: bool = False) -> bool:
        """Whether one of its patterns or topics is there; `settled`: whatever may still follow."""
        last = len(reply.data) - settled
        return any(next((True for _, end in finder.spans(reply.data) if end <= last), False) for finder in self.finders)


class Reply:
    """A reply as rules see it."""

    def __init__(self, text: str) -> None:
        """A whole one, or as much as there is."""
        self.text = text
        self.data = text.encode("utf-8", "replace")


def shipped() -> str:
    """The package's file."""
    return resources.files("agentos.policies").joinpath(FILE).read_text("utf-8")


def read(files: Mapping[str, str]) -> tuple[Rule, ...]:
    """The rules of files, the package's first; one of a later file takes the place of an earlier one's of its id.

    Raises:
        UserError: a file is no YAML, or a rule is wrong; file and line are named.
    """
    rules: dict[str, Rule] = {}
    for file, text in files.items():
        here: dict[str, Rule] = {}
        for line, fields in _entries(file, text):
            rule = _rule(f"{file}:{line}", fields)
            if rule.id in here:
                raise fault(rule.place, f"bears the id {rule.id!r} of {here[rule.id].place}")
            here[rule.id] = rule
        rules.update(here)
    return tuple(rules.values())


def fault(place: str, what: str) -> UserError:
    """What is wrong with a rule, and where."""
    return UserError(f"{place}: this rule {what}. No rule of the file was taken in; mend the file or move it away.")


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: the first would be lost without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _entries(file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each rule with the line it starts on."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        said = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        what = getattr(error, "problem", None) or error
        raise UserError(f"{where}: {what}. No rule of the file was taken in; mend the file or move it away.") from None
    finally:
        loader.dispose()
    if said is None:
        return
    if not isinstance(said, dict) or set(said) != {"rules"} or not isinstance(said["rules"] or [], list):
        raise UserError(f"{file}:1: the file must be a list of rules under 'rules:'. No rule of it was taken in.")
    (_, listed), = cast(Any, node).value
    for item, fields in zip(getattr(listed, "value", None) or [], said["rules"] or [], strict=True):
        line = item.start_mark.line + 1
        if not isinstance(fields, dict):
            raise fault(f"{file}:{line}", "is none: it has no fields")
        yield line, fields


def _rule(place: str, said: dict[str, Any]) -> Rule:
    if unknown := {str(name) for name in said} - _FIELDS:
        raise fault(place, f"has {', '.join(sorted(unknown))}; it may have {', '.join(sorted(_FIELDS))}")
    for name in ("id", "reason", "do"):
        if not isinstance(said.get(name), str) or not said[name].strip():
            raise fault(place, f"has no {name!r}, which must be a text")
    if said["do"] not in STRICT:
        raise fault(place, f"does {said['do']!r}; it may do {', '.join(STRICT)}")
    priority = said.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise fault(place, f"has the priority {priority!r}, which must be a whole number")
    when = said.get("when")
    if not isinstance(when, dict) or not when or {str(name) for name in when} - {*_CONTENT, *_LIMITS}:
        raise fault(place, f"must say 'when', by any of {', '.join((*_CONTENT, *_LIMITS))} (models: ['*'] is always)")
    for name, values in when.items():
        if not isinstance(values, list) or not values or not all(isinstance(v, str) and v.strip() for v in values):
            raise fault(place, f"has {name!r} that is no list of texts")
    if odd := sorted({*when.get("entities", ())} - {*KINDS}):
        raise fault(place, f"names the kind {odd[0]!r}; there are {', '.join(KINDS)}")
    if said["do"] == "mask" and not when.keys() & {*_CONTENT}:
        raise fault(place, f"masks, but names none of {', '.join(_CONTENT)}; block or hold a whole reply")
    finders: list[Finder] = [_regex(place, source) for source in when.get("patterns", ())]
    if topics := when.get("topics"):
        finders.append(Topics(topics))
    return Rule(
        said["id"], said["reason"], cast(Do, said["do"]), priority, tuple(finders), frozenset(when.get("entities", ())),
        tuple(when.get("callers", ())), tuple(when.get("models", ())), place,
    )


def _regex(place: str, source: str) -> Regex:
    quiet = re2.Options()
    quiet.log_errors = False
    try:
        empty = re2.compile(source, quiet).search("") is not None
        made = Regex(source, width(source))
    except re2.error as error:
        said = error.args[0] if error.args else error
        what = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise fault(place, f"has a pattern that is no RE2 expression ({what}): {source!r}") from None
    if empty:
        raise fault(place, f"has a pattern that matches nothing at all, and so every reply: {source!r}")
    return made
