"""What can stand where on the command line, read off the parser, for completion in shells."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

_NAMES = {  # what stands in an argument, by its command and what the parser calls it; "" is every command
    ("", "user"): "user", ("", "holder"): "user", ("", "owner"): "user", ("logs", "job"): "job", ("wait", "job"): "job",
    ("runs", "run"): "run", ("kernel", "run"): "run", ("syscalls", "name"): "syscall", ("call", "words"): "syscall",
    ("approve", "id"): "approval", ("refuse", "id"): "approval", ("users", "name"): "user",
    ("audit", "syscall"): "syscall", ("eval", "model"): "model", ("names", "syscall"): "syscall",
}
_FILES = ("file", "trace", "batch", "png", "data", "suite", "head", "export", "key", "json")


@dataclass(frozen=True)
class Value:
    """What can stand in one place."""

    words: tuple[str, ...] = ()
    names: str = ""
    """A kind of `agentos names`."""
    files: bool = False


@dataclass(frozen=True)
class Option:
    """One option."""

    flags: tuple[str, ...]
    doc: str
    takes: Value | None
    """None where it stands alone."""


@dataclass
class Command:
    """One command, or the program itself."""

    name: str
    doc: str = ""
    options: list[Option] = field(default_factory=list)
    places: list[Value] = field(default_factory=list)
    repeated: bool = False
    """Whether the last place may be filled again."""


def commands(parser: argparse.ArgumentParser) -> list[Command]:
    """The program, then its commands."""
    found = [_command("", "", parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            docs = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [_command(name, docs[name], made) for name, made in action.choices.items() if name in docs]
    return found


def _command(name: str, doc: str, parser: argparse.ArgumentParser) -> Command:
    made = Command(name, doc)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        value = _value(name, action)
        if action.option_strings:
            flags = tuple(action.option_strings)
            made.options.append(Option(flags, action.help or "", None if action.nargs == 0 else value))
        else:
            made.places.append(value)
            made.repeated = made.repeated or action.nargs in ("*", "+", argparse.REMAINDER)
    if name == "call":
        made.options += [
            Option(("--yes",), "confirm what you may confirm", None), Option(("--wait",), "wait for its job", None),
            Option(("--json",), "print JSON, for scripts", None),
        ]
    return made


def _value(command: str, action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value(words=tuple(map(str, action.choices)))
    kind = _NAMES.get((command, action.dest)) or _NAMES.get(("", action.dest), "")
    return Value(names=kind, files=not kind and action.dest in _FILES)
