"""Rules read from their files, checked against the schema, and held as one parsed set."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cedarpy

from agentos.errors import UserError

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|\n', re.DOTALL)
_NESTING = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|[(\[{]|[)\]}]|&&|\|\||[-+*.]|\b(?:if|when|unless)\b', re.DOTALL)
_DEEPEST = 100
"""Brackets and `if`s inside one another; Cedar's parser overflows the stack, which ends the process, after 300."""
_LONGEST = 3000
"""Operators of one policy; a chain of them nests as brackets do, and overflows after 5,000."""


@dataclass(frozen=True)
class Rule:
    """One policy and where it stands."""

    id: str
    reason: str
    """For the person it stops; names no data."""
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Fault:
    """What keeps a file from being taken in, and where."""

    file: str
    line: int
    """0 where it is the whole file."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: this policy {self.what}" if self.line else f"{self.file} {self.what}"


class RulesError(UserError):
    """Files that make no set of rules; every fault is named."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        said = ".\n".join(map(str, faults))
        super().__init__(f"{said}. No rule was taken in; mend the file or move it away.")
        self.faults = faults


@dataclass(frozen=True)
class Rules:
    """A whole set, parsed and checked once."""

    rules: Mapping[str, Rule]
    policies: cedarpy.PolicySet
    schema: cedarpy.Schema

    def reason(self, ids: list[str]) -> str:
        """What the rules of these ids tell the person."""
        return "; ".join(self.rules[name].reason for name in ids if name in self.rules)


def shipped() -> dict[str, str]:
    """The policies of the package: file name to text."""
    folder = resources.files("agentos.policies")
    found = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".cedar")}
    return dict(sorted(found.items()))


def added(folder: Path) -> dict[str, str]:
    """The owner's policies in a folder: path to text; none where there is no folder.

    A name that begins with a dot is an editor's or a file manager's, and no policy.

    Raises:
        RulesError: the folder or a file cannot be read.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    try:
        names = sorted(name for name in os.listdir(folder) if is_policy(name))
    except FileNotFoundError:
        return found
    except OSError as error:
        raise RulesError((Fault(str(folder), 0, f"cannot be read ({error.strerror})"),)) from error
    for name in names:
        path = folder / name
        try:
            found[str(path)] = path.read_text("utf-8")
        except OSError as error:
            faults.append(Fault(str(path), 0, f"cannot be read ({error.strerror})"))
        except UnicodeDecodeError:
            faults.append(Fault(str(path), 0, "cannot be read (it is not UTF-8 text)"))
    if faults:
        raise RulesError(tuple(faults))
    return found


def is_policy(name: str) -> bool:
    """Whether a file of this name is read."""
    return name.endswith(".cedar") and not name.startswith(".")


def compile_rules(files: Mapping[str, str], schema: str) -> Rules:
    """All policies of all files as one set.

    Raises:
        RulesError: some do not parse, do not fit the schema, lack an `@id`, or share one; file and line are named.
        UserError: the schema itself is not valid.
    """
    try:
        parsed = cedarpy.Schema.from_str(schema)
    except ValueError as error:
        raise UserError(f"the syscall table gives no valid policy schema: {error}. No rule was taken in.") from error
    rules: dict[str, Rule] = {}
    faults: list[Fault] = []
    for file in files:
        for line, text in statements(files[file]):
            rule = _rule(file, line, text, parsed)
            if isinstance(rule, Fault):
                faults.append(rule)
            elif rule.id in rules:
                other = rules[rule.id]
                faults.append(Fault(file, line, f"bears the id {rule.id!r} of {other.file}:{other.line}"))
            else:
                rules[rule.id] = rule
    if faults:
        raise RulesError(tuple(faults))
    return Rules(rules, cedarpy.PolicySet.from_str("\n".join(rule.text for rule in rules.values())), parsed)


def statements(text: str) -> list[tuple[int, str]]:
    """The policies of a file, each with the line it starts on; what follows the last `;` counts too."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in _TOKEN.finditer(text):
        if match.group() == ";":
            found.append(_placed(text, start, match.end()))
            start = match.end()
    rest = _placed(text, start, len(text))
    return [*found, rest] if rest[1] else found


def _placed(text: str, start: int, end: int) -> tuple[int, str]:
    skipped = re.compile(r"(?:\s|//[^\n]*(?:\n|$))*").match(text, start, end)
    begin = skipped.end() if skipped else start
    return text.count("\n", 0, begin) + 1, text[begin:end].strip()


def _rule(file: str, line: int, text: str, schema: cedarpy.Schema) -> Rule | Fault:
    try:
        notes = _notes(text)
    except ValueError as error:
        return Fault(file, line, str(error))
    name = notes["id"]
    checked = cedarpy.validate_policies(text, schema)
    if not checked:
        faults = "; ".join(re.sub(r"^for policy `policy0`, ", "", error.error) for error in checked.errors)
        return Fault(file, line, f"does not fit the schema: {faults}")
    return Rule(str(name), str(notes.get("reason") or f"the rule {name!r} forbids it"), file, line, text)


def _notes(text: str) -> dict[str, str]:
    """The annotations of one policy, an `id` among them.

    Raises:
        ValueError: it is none that can be taken in; the message goes on from "this policy".
    """
    if _too_deep(text):
        raise ValueError(f"nests more than {_DEEPEST} brackets, or has over {_LONGEST} operators")
    try:
        policy = cedarpy.PolicySet.from_str(text)
        described = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise ValueError(f"does not parse: {error}") from error
    except RecursionError as error:
        raise ValueError("chains hundreds of operators; a set says the same: […].contains(…)") from error
    if len(policy) != 1:
        raise ValueError("is a template; write the principal and the resource out")
    notes: dict[str, str] = next(iter(described["staticPolicies"].values())).get("annotations", {})
    if not notes.get("id"):
        raise ValueError('has no @id("…"), by which a refusal would name it')
    return notes


def _too_deep(text: str) -> bool:
    """Whether parsing might overflow the stack: a file must not be able to end the system that reads it."""
    depth = deepest = branches = operators = 0
    for match in _NESTING.finditer(text):
        mark = match.group()
        if mark in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in ")]}":
            depth -= 1
        elif mark == "if":
            branches += 1
        elif mark[0] not in '"/':
            operators += 1
    return deepest + branches > _DEEPEST or operators > _LONGEST
