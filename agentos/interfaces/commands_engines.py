"""Commands about engines that have environments of their own: list, install, remove."""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import Namespace
from pathlib import Path

from agentos.config import load
from agentos.engines import install
from agentos.engines.make import ENGINES
from agentos.errors import Failed, UserError
from agentos.types.units import show_bytes


def engines(args: Namespace) -> int:
    """`agentos engines`, `agentos engines install vllm`, `agentos engines remove vllm`."""
    settings, gpu = load(), install.has_gpu()
    if settings.url:
        raise UserError("engines are installed on the machine that serves; run this there, without `url`")
    if not args.action:
        return _listing(settings.cache, gpu, as_json=args.json)
    if args.engine != "vllm":
        raise UserError("only vllm has an environment of its own: agentos engines install vllm")
    if args.action == "remove":
        was = install.remove(settings.cache, gpu=gpu, say=_say)
        print(json.dumps(dataclasses.asdict(was)) if args.json else f"vLLM is gone; {show_bytes(was.size)} freed.")
        return 0
    if settings.offline and not install.state(settings.cache, gpu=gpu, measure=False).installed:
        raise Failed("the setting `offline` is on and vLLM is not installed; nothing was fetched.")
    made = install.install(settings.cache, _say, gpu=gpu)
    print(json.dumps(dataclasses.asdict(made)) if args.json else f"{_line(made)}\n  {made.path}")
    return 0


def _listing(cache: Path, gpu: bool, *, as_json: bool) -> int:
    found = install.state(cache, gpu=gpu)
    if as_json:
        rows = [{"engine": name, "does": does, "installed": True} for name, does in ENGINES.items() if name != "vllm"]
        print(json.dumps([*rows, {**dataclasses.asdict(found), "does": ENGINES["vllm"]}], ensure_ascii=False))
        return 0
    for name, does in ENGINES.items():
        if name != "vllm":
            print(f"{name:<14}built in   {does}")
    print(_line(found))
    print(f"  {found.path}" if found.installed else "  install it: agentos engines install vllm")
    return 0


def _line(found: install.Installed) -> str:
    size = show_bytes(found.size) if found.installed else "not installed"
    return f"{found.engine:<14}{size}   version {found.version}, {found.variant} build"


def _say(text: str) -> None:
    print(f"agentos: {text}", file=sys.stderr, flush=True)
