"""Syscalls that are described in YAML and only ever planned with: a suite's own, the training set's foreign tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import ConfigDict, create_model

from agentos.errors import UserError
from agentos.syscall import Param, Syscall
from agentos.types import Effect, Json, KeepAlive, Name, Private, Size, SyscallName, Topic, When

_ANNOTATIONS: Mapping[str, Any] = {
    "name": Name, "private": Private, "syscall": SyscallName, "topic": Topic, "duration": KeepAlive, "size": Size,
    "time": When, "choice": str, "int": int, "float": float, "bool": bool, "text": str,
}
"""By a parameter's kind: the type that a function of an installed package would give it."""


def foreign(listed: Any, where: str) -> list[Syscall]:
    """Syscalls that are planned with and never called, so that a kernel can be measured on some it never saw.

    Args:
        listed: Mappings with `name`, `effect` and `doc`, and where it has any `params` (each with `name`, `kind`,
            `required`, `choices` and `default`), `gives` (its result's fields) and `examples` (`text` and `args`).
        where: The suite, for the errors and as the syscalls' owner.

    Raises:
        UserError: a definition lacks something or does not hold together; the syscall and the fault are named.
    """
    return [_foreign(raw, where) for raw in _mappings(listed, "syscalls", where)]


def _foreign(raw: Mapping[str, Any], suite: str) -> Syscall:
    where = f"{suite}, syscall {raw.get('name')!r}"
    only(raw, {"name", "effect", "doc", "params", "gives", "examples"}, "a syscall", where)
    name, doc, gives = raw.get("name"), raw.get("doc"), raw.get("gives", [])
    effect: Any = raw.get("effect")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", name):
        raise UserError(f"{where}: 'name' is a family and a name, such as 'models.load'.")
    if effect not in get_args(Effect):
        raise UserError(f"{where}: effect {effect!r} is none of {', '.join(get_args(Effect))}.")
    if not isinstance(doc, str) or not doc.strip():
        raise UserError(f"{where}: 'doc' is missing or not a text; it is what the kernel reads.")
    if not isinstance(gives, list) or not all(isinstance(field, str) for field in gives):
        raise UserError(f"{where}: 'gives' is a list of the result's fields.")
    params = [_param(one, where) for one in _mappings(raw.get("params", []), "params", where)]
    if len({param.name for param in params}) != len(params):
        raise UserError(f"{where}: two parameters have one name.")
    shape: dict[str, Any] = {p.name: (p.annotation, ... if p.required else p.default) for p in params}
    model = create_model(name, __config__=ConfigDict(extra="forbid", coerce_numbers_to_str=True), **shape)
    examples: dict[str, Mapping[str, Json]] = {}
    for one in _mappings(raw.get("examples", []), "examples", where):
        only(one, {"text", "args"}, "an example", where)
        if not isinstance(one.get("text"), str) or not isinstance(one.get("args"), dict):
            raise UserError(f"{where}: an example has a 'text' and 'args', a mapping.")
        examples[one["text"]] = one["args"]
    entry = Syscall(name, effect, _uncallable, doc.strip(), tuple(params), tuple(gives), examples, model, suite)
    given = {p.name: (p.choices[0] if p.choices else "1") if p.required else p.default for p in params}
    for args in ({n: value for n, value in given.items() if value is not None}, *examples.values()):  # defaults too
        try:
            entry.validate(args)
        except UserError as error:
            raise UserError(f"{where}: a default or an example does not fit: {error}") from error
    return entry


def _param(raw: Mapping[str, Any], syscall: str) -> Param:
    where = f"{syscall}, parameter {raw.get('name')!r}"
    only(raw, {"name", "kind", "required", "choices", "default"}, "a parameter", where)
    kind: Any = raw.get("kind")
    name, required = raw.get("name"), raw.get("required", False)
    choices, default = raw.get("choices", []), raw.get("default")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{where}: 'name' is a word in small letters.")
    if kind not in list(_ANNOTATIONS):  # it may be anything, also what has no hash
        raise UserError(f"{where}: kind {kind!r} is none of {', '.join(_ANNOTATIONS)}.")
    if not isinstance(required, bool) or (required and default is not None):
        raise UserError(f"{where}: 'required' is true or false, and what is required has no default.")
    held = {"choice": str, "int": int}.get(kind)
    if not isinstance(choices, list) or (kind == "choice" and not choices) or (choices and held is None):
        raise UserError(f"{where}: 'choices' is a list, which a choice needs and else only an int may have.")
    if held and not all(type(choice) is held for choice in choices):
        raise UserError(f"{where}: the choices of kind {kind} are not all of it (YAML reads no and 7: quote them).")
    annotation: Any = Literal.__getitem__(tuple(choices)) if choices else _ANNOTATIONS[kind]
    if not required and default is None:
        annotation = annotation | None
    return Param(name, annotation, required, default, "", tuple(map(str, choices)), kind, field=name)


async def _uncallable(*_args: Any, **_named: Any) -> Any:
    raise NotImplementedError("a suite's own syscall is planned with and never called")


def _mappings(listed: Any, key: str, where: str) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(raw, dict) for raw in listed):
        raise UserError(f"{where}: {key!r} is a list of mappings.")
    return listed


def only(raw: Mapping[str, Any], allowed: set[str], what: str, where: str) -> None:
    """Refuses fields that a mapping must not have.

    Raises:
        UserError: it has one.
    """
    extra = raw.keys() - allowed
    if extra:
        raise UserError(f"{where}: there is no field {sorted(map(str, extra))[0]!r} in {what}.")
