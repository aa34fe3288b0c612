"""Completion for bash: what never changes is in the script, and names are asked for."""

from __future__ import annotations

import argparse

from agentos.interfaces.completion import Value, commands


def bash(parser: argparse.ArgumentParser) -> str:
    """A script for bash 4 or newer."""
    known = commands(parser)
    program = known[0]
    options, values, places = [], [], []
    for one in known:
        flags = [flag for option in one.options for flag in option.flags]
        taking = [flag for option in one.options if option.takes for flag in option.flags]
        options.append(f'        "{one.name}") options="{" ".join(flags)}" taking=" {" ".join(taking)} " ;;')
        for option in one.options:
            if option.takes and (shown := _bash_value(option.takes)):
                values += [f'        "{one.name} {flag}") {shown}; return ;;' for flag in option.flags]
        for number, place in enumerate(one.places):
            if shown := _bash_value(place):
                several = one.repeated and place is one.places[-1] and one.name != "call"
                where = f'"{one.name} "*' if several else f'"{one.name} {number}"'
                places.append(f"        {where}) {shown} ;;")
    names = " ".join(one.name for one in known[1:])
    return _BASH.format(
        names=names, options="\n".join(options), values="\n".join(values), places="\n".join(places),
        program=" ".join(flag for option in program.options for flag in option.flags),
    )


def _bash_value(value: Value) -> str:
    if value.words:
        return f'_agentos_words "{" ".join(value.words)}"'
    return f"_agentos_names {value.names}" if value.names else "_agentos_files" if value.files else ""


_BASH = """\
# Completion of agentos for bash, made by `agentos completion bash`: load it with
#   source <(agentos completion bash)
_agentos_lines() {{  # not `compgen -W`, which would run what stands in a name
    local found
    while IFS= read -r found; do
        if [[ -n "$found" && "$found" == "$current"* ]]; then printf -v found %q "$found"; COMPREPLY+=("$found"); fi
    done
}}
_agentos_words() {{ _agentos_lines < <(printf '%s\n' $1); }}
_agentos_names() {{ _agentos_lines < <(command agentos names "$@" 2>/dev/null); }}
_agentos_files() {{ compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); }}
_agentos() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" current="" before="" name="" syscall="" options="" taking="" place=0 word
    local -a words
    COMPREPLY=()
    read -ra words <<< "$line"
    if [[ "$line" != *[[:space:]] ]]; then current="${{words[-1]}}"; unset 'words[-1]'; fi
    taking=" --as "
    for word in "${{words[@]:1}}"; do
        if [[ "$taking" == *" $before "* ]]; then before=""; continue; fi
        before="$word"
        if [[ "$word" == -* ]]; then continue; fi
        if [[ -z "$name" ]]; then
            name="$word"
            case "$name" in
{options}
            esac
            continue
        fi
        if [[ "$place" == 0 ]]; then syscall="$word"; fi
        ((place += 1))
    done
    if [[ "$taking" == *" $before "* ]]; then
        case "$name $before" in
{values}
        esac
        return
    fi
    if [[ "$name" == call && "$before" =~ ^--(model|dataset|job|run|user)$ && "$current" != --* ]]; then
        _agentos_names "${{before#--}}"
    elif [[ "$name" == call && "$place" -gt 0 && "$current" == --* ]]; then
        _agentos_words "$options"
        _agentos_names parameter "$syscall"
    elif [[ -z "$name" && "$current" == -* ]]; then
        _agentos_words "{program}"
    elif [[ -z "$name" ]]; then
        _agentos_words "{names}"
    elif [[ "$current" == -* ]]; then
        _agentos_words "$options"
    else
        case "$name $place" in
{places}
        esac
    fi
    # Readline has split the word at its own marks, and puts in what comes after the last of them.
    if [[ "$current" == *[:=]* ]]; then
        local head="${{current%"${{current##*[:=]}}"}}"
        COMPREPLY=("${{COMPREPLY[@]#"$head"}}")
    fi
}}
complete -F _agentos agentos
"""
