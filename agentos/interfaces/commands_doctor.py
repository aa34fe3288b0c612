"""`agentos doctor`: what is wrong with an installation, and how to mend it. It changes nothing and needs no system."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from agentos.config import Settings, load
from agentos.errors import UserError, unknown
from agentos.interfaces.show import clean, colourful

_STYLES = {"ok": "32", "warn": "33", "fail": "31"}


def doctor(args: Namespace) -> int:
    """`agentos doctor`: 0 where nothing fails, 1 otherwise."""
    from agentos.interfaces import doctor_home, doctor_machine
    from agentos.interfaces.doctor import Finding, looked

    checks = {**doctor_machine.CHECKS, **doctor_home.CHECKS}
    for name in args.only:
        if name not in checks and name != "settings":
            raise unknown("check", name, ["settings", *checks])
    findings = []
    try:
        settings = load()
        told = Finding("settings", "ok", f"home {settings.home}, kernel {settings.kernel_model}")
    except UserError as error:
        home = Path(os.environ.get("AGENTOS_HOME") or Path.home() / ".agentos").expanduser().absolute()
        settings = Settings(home=home, cache=home / "cache")
        told = Finding("settings", "fail", str(error), f"correct {home / 'config.toml'} or the variable that it names")
    for name, check in checks.items():
        if not args.only or name in args.only:
            findings.append(looked(name, check, settings))
    if not args.only or "settings" in args.only:
        findings.insert(0, told)
    failed = any(one.state == "fail" for one in findings)
    if args.json:
        print(json.dumps({"ok": not failed, "checks": [asdict(one) for one in findings]}, ensure_ascii=False))
        return int(failed)
    colour = colourful(sys.stdout)
    wide = max(len(one.check) for one in findings)
    for one in findings:
        state = f"\x1b[{_STYLES[one.state]}m{one.state:4}\x1b[0m" if colour else f"{one.state:4}"
        print(f"{state}  {one.check:{wide}}  {clean(one.text, lines=False)}")
        if one.mend:
            print(f"      {'':{wide}}  mend: {clean(one.mend, lines=False)}")
    return int(failed)
