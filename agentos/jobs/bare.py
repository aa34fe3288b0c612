"""Runs the zygote without the cost of the packages that it is part of: `python -I -S bare.py`, by this file's path."""

from __future__ import annotations

import os
import sys
import types

if __name__ == "__main__":
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, path in (("agentos", os.path.dirname(folder)), ("agentos.jobs", folder)):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package

    from agentos.jobs.zygote import serve

    serve()
