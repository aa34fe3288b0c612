"""Completion for fish: what never changes is in the script, and names are asked for."""

from __future__ import annotations

import argparse

from agentos.interfaces.completion import Option, Value, commands


def fish(parser: argparse.ArgumentParser) -> str:
    """A script for fish."""
    program, *known = commands(parser)
    lines = [
        "# Completion of agentos for fish, made by `agentos completion fish`: load it with",
        "#   agentos completion fish | source",
        "complete -c agentos -f",
    ]
    lines += [f"complete -c agentos -n __fish_use_subcommand {_fish_option(option)}" for option in program.options]
    for one in known:
        lines.append(f"complete -c agentos -n __fish_use_subcommand -a {one.name} -d {_fish(one.doc)}")
        when = f"-n '__fish_seen_subcommand_from {one.name}'"
        lines += [f"complete -c agentos {when} {_fish_option(option)}" for option in one.options]
        lines += [f"complete -c agentos {when} {shown}" for place in one.places if (shown := _fish_value(place))]
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    takes = "" if option.takes is None else f" -r {_fish_value(option.takes)}".rstrip()
    return f"{flags}{takes} -d {_fish(option.doc)}"


def _fish_value(value: Value) -> str:
    if value.words:
        return f"-a '{' '.join(value.words)}'"
    return f"-a '(command agentos names {value.names} 2>/dev/null)'" if value.names else "-F" if value.files else ""


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
