"""Completion for zsh: what never changes is in the script, and names are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from agentos.interfaces.completion import Command, Value, commands


def zsh(parser: argparse.ArgumentParser) -> str:
    """A script for zsh's completion system."""
    program, *known = commands(parser)
    described = "\n".join(f"      {_quoted(f'{one.name}:{one.doc}')}" for one in known)
    cases = []
    for one in known:
        specs = [*_zsh_options(one), *_zsh_places(one)]
        lines = " \\\n".join(f"        {spec}" for spec in specs)
        cases.append(f"      {one.name}) _arguments \\\n{lines} ;;")
    options = " \\\n".join(f"    {spec}" for spec in _zsh_options(program))
    return _ZSH.format(options=options, described=described, cases="\n".join(cases))


def _zsh_options(command: Command) -> Iterator[str]:
    for option in command.options:
        for flag in option.flags:
            doc = option.doc.replace("[", "(").replace("]", ")")
            takes = "" if option.takes is None else f":value:{_zsh_value(option.takes)}"
            yield _quoted(f"{flag}[{doc}]{takes}")


def _zsh_places(command: Command) -> Iterator[str]:
    for number, place in enumerate(command.places, 1):
        several = command.repeated and place is command.places[-1]
        yield _quoted(f"{'*' if several else f'{number}:'}:value:{_zsh_value(place)}".replace("::value", ":value"))


def _zsh_value(value: Value) -> str:
    if value.words:
        return f"({' '.join(value.words)})"
    return f"{{_agentos_names {value.names}}}" if value.names else "_files" if value.files else " "


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


_ZSH = """\
#compdef agentos
# Completion of agentos for zsh, made by `agentos completion zsh`: load it with
#   source <(agentos completion zsh)
_agentos_names() {{
  local -a found
  found=(${{(f)"$(command agentos names $1 2>/dev/null)"}})
  compadd -a found
}}
_agentos() {{
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C \\
{options} \\
    '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a known
      known=(
{described}
      )
      _describe command known ;;
    rest)
      case $words[1] in
{cases}
      esac ;;
  esac
}}
if [[ $funcstack[1] == _agentos ]]; then _agentos "$@"; else compdef _agentos agentos; fi
"""
