"""`agentos kernel`: what the kernel plans with; train it on its own table, and go back."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from argparse import Namespace
from typing import Any

from agentos.config import load
from agentos.errors import Failed, UserError
from agentos.interfaces.client import Client
from agentos.interfaces.commands_training import events, listed
from agentos.interfaces.session import Session
from agentos.interfaces.show import clean

_SUITES = ("plans", "unseen")
_LOOK = 2.0
_REFRESHED = 800
"""Rows of the table that are learned again beside corrections, so that nothing is forgotten for them."""


def kernel(args: Namespace) -> int:
    """`agentos kernel`, `agentos kernel train`, `agentos kernel rollback`, `agentos kernel off`."""
    if args.action == "probe":
        return _probe(args)
    session = Session(load(), user=args.user, quiet=args.json)
    session.client.wait()
    session.printer.settle()
    client = session.client
    doing = {"correct": _correct, "feedback": _feedback, "train": _train, "mean": _mean}.get(args.action or "")
    if doing is not None:
        return doing(client, args)
    if args.action == "rollback":
        return _say(client.request("POST", "/v1/kernel/rollback", {}), args.json)
    if args.action == "off":
        return _say(client.request("POST", "/v1/kernel/promote", {"adapter": "none"}), args.json)
    return _say(client.request("GET", "/v1/kernel"), args.json)


def _probe(args: Namespace) -> int:
    """Asks a model the probe's sentences; 1 where it cannot be a kernel."""
    from agentos.interfaces import schooling

    settings = load()
    model = args.words[0] if args.words else settings.kernel_model
    found = schooling.probed(dataclasses.replace(settings, kernel_model=model))
    if args.json:
        print(json.dumps({"model": model, **dataclasses.asdict(found), "faults": found.faults}, ensure_ascii=False))
    else:
        print(f"{model}: plans that can be read {found.valid:.0%}, right call in English {found.english:.0%}, in "
              f"Chinese {found.chinese:.0%}, declined {found.declined:.0%}, of {found.cases} sentences")
        print("\n".join(f"cannot be the kernel: it {fault}" for fault in found.faults) or "can be the kernel")
    return 1 if found.faults else 0


def _correct(client: Client, args: Namespace) -> int:
    if len(args.words) != 2:
        raise UserError("correct takes a sentence and its plan: agentos kernel correct 'wake zeta' "
                        "'models.load(model=\"zeta\")'; a plan without calls is none()")
    said = client.request("POST", "/v1/kernel/corrections", {"text": args.words[0], "plan": args.words[1]})
    print(json.dumps(said, ensure_ascii=False) if args.json else clean(f"kept: {said['text']}\n{said['plan']}"))
    return 0


def _feedback(client: Client, args: Namespace) -> int:
    """Shows what was kept of the caller's, or changes whether it is."""
    word = args.words[0] if args.words else ""
    if word not in ("", "on", "off", "forget") or len(args.words) > 1:
        raise UserError(f"agentos kernel feedback takes on, off or forget, and not {' '.join(args.words)!r}")
    path = "/v1/kernel/feedback"
    if word == "forget":
        said = client.request("DELETE", path)
        print(json.dumps(said) if args.json else f"{said['forgotten']} forgotten")
        return 0
    said = client.request("POST", path, {"agreed": word == "on"}) if word else client.request("GET", path)
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    how = ("confirmed, refused and repaired plans are kept, to learn from, on this machine" if said["agreed"]
           else "only corrections are kept")
    rows = [f"{row['kind']:10} {row['text']}\n" + "\n".join(f"{'':10} {line}" for line in row["plan"].splitlines())
            for row in said["kept"]]
    print(clean("\n".join([how, *rows])))
    return 0


def _say(said: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    manifest = said.get("manifest") or {}
    idle = "" if said["acts"] else " (does not act: the kernel plans with its base alone)"
    lines = [f"adapter: {said['adapter']}{idle}"]
    lines.append(f"history: {' > '.join(said['history'])}")
    if manifest:
        lines.append(f"base: {manifest['base']}  run: {manifest['run'] or '-'}  made: {manifest['made']}")
        recipe = manifest["recipe"]
        of = [str(part["adapter"]) for part in recipe.get("mean_of", ())]
        shown = [f"{name} {recipe[name]}" for name in _SHOWN if name in recipe]
        lines.append("recipe: " + ", ".join([*([f"mean of {', '.join(of)}"] if of else []), *shown]))
        for suite, figures in manifest["scores"].items():
            before = f", {figures['before']:.1%} before" if "before" in figures else ""
            lines.append(f"{suite}: {figures['exact']:.1%} of {figures['cases']} exact{before}")
        lines.append(f"asks under a confidence of {manifest['threshold']:g}")
    print(clean("\n".join(lines)))
    return 0


_SHOWN = ("rows", "tables", "seed", "epochs", "rank", "above", "learning_rate")


def _train(client: Client, args: Namespace) -> int:
    from agentos.interfaces import schooling

    settings = load()
    if settings.url:
        raise UserError("a kernel is trained on the machine that it plans on; run this there. Nothing was begun")
    suites = args.suite or list(_SUITES)
    schooling.check(suites)  # before an hour is spent
    run = args.run
    if not run:
        asked = {"epochs": args.epochs, "seed": args.seed, "feedback": args.from_feedback,
                 "further": args.further}
        rows = args.rows or (_REFRESHED if args.from_feedback else 0)
        asked |= {"rows": rows} if rows else {}
        run = client.request("POST", "/v1/kernel/train", asked)["run"]
        print(f"run {run} has begun; if this command is ended, `agentos kernel train --run {run}` goes on with it",
              file=sys.stderr)
    _wait(client, run)
    return _judged(client, client.request("POST", "/v1/kernel/keep", {"run": run}), suites, args.json)


def _mean(client: Client, args: Namespace) -> int:
    from agentos.interfaces import schooling

    suites = args.suite or list(_SUITES)
    schooling.check(suites)
    return _judged(client, client.request("POST", "/v1/kernel/mean", {"adapters": args.words}), suites, args.json)


def _judged(client: Client, kept: dict[str, Any], suites: list[str], as_json: bool) -> int:
    """Holds an adapter against the one in force, and promotes it where it is better; 1 where it is not."""
    from agentos.interfaces import schooling
    from agentos.kernel import gate

    settings = load()
    name, folder = kept["adapter"], kept["folder"]
    before = schooling.scored(settings, suites)
    candidate = dataclasses.replace(settings, kernel_adapter=folder)
    after = schooling.scored(candidate, suites)
    scores: dict[str, Any] = {
        new.suite: {
            "cases": new.total.exact.of, "exact": new.total.exact.share, "before": old.total.exact.share,
            "over_acting": new.over_acting.share, "over_declining": new.over_declining.share,
            "median_ms": new.total.median_ms, "p95_ms": new.total.p95_ms,
        }
        for old, new in zip(before, after, strict=True)
    }
    for report in after:
        print(report.table(0), file=sys.stderr)
    verdict = gate.compare(before, after)
    if not verdict.passed:
        lines = "\n  ".join(verdict.against)
        print(f"agentos: {name} was kept and not promoted; the kernel plans as before:\n  {lines}", file=sys.stderr)
        return 1
    told = schooling.sureness(candidate)
    power = gate.slope(told)
    error = gate.calibration_error([(sure**power, right) for sure, right in told])
    print(f"confidence: power {power:.1f}, expected calibration error {error:.3f}", file=sys.stderr)
    figures = {"scores": scores, "slope": power, "threshold": gate.ASKED}
    return _say(client.request("POST", "/v1/kernel/promote", {"adapter": name, **figures}), as_json)


def _wait(client: Client, run: str) -> None:
    """Until a run has ended; its lines go to standard error.

    Raises:
        Failed: it did not come to its end.
    """
    seen = 0
    start = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line that moves, where somebody looks at it
    while True:
        told = events(client, run)
        for event in told[seen:]:
            if event.get("kind") in ("note", "start", "end", "resume", "eval"):
                said = event.get("text") or ", ".join(f"{k} {v:.4g}" for k, v in (event.get("metric") or {}).items())
                print(f"{start}{run}: {clean(str(said))}", file=sys.stderr)
        seen = len(told)
        row = next((one for one in listed(client)["runs"] if one["run"] == run), None)
        state = str(row["state"]) if row else "gone"
        if state == "succeeded":
            return
        if state not in ("queued", "running"):
            raise Failed(f"{run} {state}: no adapter was made, and the kernel plans as before. agentos runs show {run}")
        last = told[-1] if told else {}
        if start and last.get("kind") == "step":
            line = f"{start}{run}: {last['step']}/{last['steps']} loss {last['loss']:.3f}"
            print(line, end="", file=sys.stderr, flush=True)
        time.sleep(_LOOK)
