"""`agentos`: the command line. Handlers are imported when they run, so that each command starts at once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from agentos.errors import AgentosError
from agentos.interfaces.parser import build_parser

USAGE = 2
"""Exit code of a command that was not understood."""

__all__ = ["USAGE", "build_parser", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else "backslashreplace")
    try:
        args = build_parser().parse_args(argv)
        module, _, function = getattr(args, "handler", "commands_runs:prompt").partition(":")
        code: int = getattr(importlib.import_module(f"agentos.interfaces.{module}"), function)(args)
        sys.stdout.flush()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else USAGE
    except AgentosError as error:
        print(f"agentos: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; the interpreter must not fail on it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code
