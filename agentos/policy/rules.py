"""Rules read from their files, checked against the schema, and held as one parsed set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cedarpy

from agentos.errors import UserError

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|\n', re.DOTALL)


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

    Raises:
        UserError: a file cannot be read.
    """
    found: dict[str, str] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.glob("*.cedar")):
        try:
            found[str(path)] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read ({error}); nothing was started. Mend or move it.") from error
    return found


def compile_rules(files: Mapping[str, str], schema: str) -> Rules:
    """All policies of all files as one set.

    Raises:
        UserError: one does not parse, does not fit the schema, lacks an `@id`, or shares one; file and line are named.
    """
    try:
        parsed = cedarpy.Schema.from_str(schema)
    except ValueError as error:
        raise UserError(f"the syscall table gives no valid policy schema: {error}. Nothing was started.") from error
    rules: dict[str, Rule] = {}
    for file in files:
        for line, text in statements(files[file]):
            rule = _rule(file, line, text, parsed)
            if rule.id in rules:
                other = rules[rule.id]
                raise _fault(file, line, f"bears the id {rule.id!r} of {other.file}:{other.line}")
            rules[rule.id] = rule
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


def _rule(file: str, line: int, text: str, schema: cedarpy.Schema) -> Rule:
    try:
        policy = cedarpy.PolicySet.from_str(text)
        described = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise _fault(file, line, f"does not parse: {error}") from error
    if len(policy) != 1:
        raise _fault(file, line, "is a template; write the principal and the resource out")
    notes = next(iter(described["staticPolicies"].values())).get("annotations", {})
    name = notes.get("id")
    if not name:
        raise _fault(file, line, 'has no @id("…"), by which a refusal would name it')
    checked = cedarpy.validate_policies(text, schema)
    if not checked:
        faults = "; ".join(re.sub(r"^for policy `policy0`, ", "", error.error) for error in checked.errors)
        raise _fault(file, line, f"does not fit the schema: {faults}")
    return Rule(str(name), str(notes.get("reason") or f"the rule {name!r} forbids it"), file, line, text)


def _fault(file: str, line: int, what: str) -> UserError:
    return UserError(f"{file}:{line}: this policy {what}. No rule was taken in; mend the file or move it away.")
