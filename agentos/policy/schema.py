"""The syscall table as Cedar sees it: one action a syscall, its arguments typed, its resource found."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, get_args, get_origin

from agentos.syscall import Param, Syscall
from agentos.types import Effect

SUBJECTS = {"model": "Model", "dataset": "Dataset", "job": "Job"}
"""Parameters that say what a call is on, and the entity type each one names."""
ADMINISTRATION = {"users", "keys", "roles", "policy"}


@dataclass(frozen=True)
class Attribute:
    """One argument that rules may read."""

    name: str
    type: str
    """`String`, `Long`, `Bool` or `Set<…>` of them."""
    optional: bool


@dataclass(frozen=True)
class Shape:
    """One syscall as policy sees it."""

    syscall: str
    effect: Effect
    attributes: tuple[Attribute, ...]
    params: frozenset[str]
    """Every parameter, those that rules may not read included."""
    resource: str
    """Entity type of what it is on."""
    subject: str | None
    """The parameter that names it."""
    groups: tuple[str, ...]
    destinations: tuple[str, ...] = ()
    """Parameters that say where data, money or access goes."""


REVIEW = Shape("reviews.decide", "write", (), frozenset(), "System", None, ("administration",))
"""What `policies/agentos.cedarschema` calls deciding over a held reply."""
APPROVE = "approvals.answer"
"""What it calls saying yes to a held call."""


def shape(entry: Syscall) -> Shape:
    """What of a syscall rules can speak of: private text and what Cedar has no type for is left out."""
    attributes = tuple(found for param in entry.params if (found := _attribute(param)))
    subject = next((p for p in entry.params if p.name in SUBJECTS and p.kind == "name" and not p.many), None)
    subject = subject or next((p for p in entry.params if p.required and p.kind == "name" and not p.many), None)
    groups: list[str] = [entry.effect, f"{entry.family}.*"]
    if entry.mount:
        groups.append("mounted")
    elif any(item.name == "user" and item.type == "String" for item in attributes):
        groups.append("names-a-user")
    if entry.untrusted:
        groups.append("output")
    if entry.family in ADMINISTRATION and entry.effect != "read":
        groups.append("administration")
    return Shape(
        entry.name, entry.effect, attributes, frozenset(param.name for param in entry.params),
        SUBJECTS.get(subject.name, "Thing") if subject else "System", subject.name if subject else None, tuple(groups),
        entry.destinations,
    )


def cedar_schema(shapes: Iterable[Shape]) -> str:
    """The whole schema as Cedar text: the entities from `policies/agentos.cedarschema`, families, then the actions."""
    fixed = resources.files("agentos.policies").joinpath("agentos.cedarschema").read_text("utf-8")
    listed = list(shapes)
    families = sorted({group for item in listed for group in item.groups if group.endswith(".*")})
    return "\n".join([fixed, *(f"action {json.dumps(name)};" for name in families), *map(_action, listed)])


def _action(item: Shape) -> str:
    groups = ", ".join(f"Action::{json.dumps(name)}" for name in item.groups)
    args = ", ".join(f"{json.dumps(a.name)}{'?' if a.optional else ''}: {a.type}" for a in item.attributes)
    sets = "outsideArgs: Set<String>, destinations: Set<String>, given: Set<String>"
    context = f"{{ effect: String, confirmed: Bool, outside: Bool, {sets}, door: String, args: {{ {args} }} }}"
    return (
        f"action {json.dumps(item.syscall)} in [{groups}] "
        f"appliesTo {{ principal: [User], resource: [{item.resource}], context: {context} }};"
    )


def _attribute(param: Param) -> Attribute | None:
    if param.kind == "private":
        return None
    kind, nullable = _type(param.annotation)
    optional = nullable or (not param.required and param.default is None)
    return Attribute(param.name, kind, optional) if kind else None


def _type(annotation: Any) -> tuple[str | None, bool]:
    """The Cedar type of an annotation, and whether it takes None."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _type(get_args(annotation)[0])
    if origin is Literal:
        return ("String" if all(isinstance(value, str) for value in get_args(annotation)) else None), False
    if origin is list:
        kind, nullable = _type(get_args(annotation)[0])
        return (f"Set<{kind}>" if kind and not nullable else None), False
    if origin in (typing.Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        kind = _type(parts[0])[0] if len(parts) == 1 else None
        return kind, len(parts) < len(get_args(annotation))
    plain: dict[Any, str] = {str: "String", int: "Long", bool: "Bool"}
    return plain.get(annotation), False
