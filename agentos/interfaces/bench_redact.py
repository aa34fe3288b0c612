"""`agentos bench --only redact`: private values that leak, and what it takes, beside peers on the same texts.

A peer is measured where its interpreter is given (`--peer presidio=PYTHON`, `--peer argus=PYTHON`; PYTHON has
presidio-analyzer or argus-redact installed), in whichever of its configurations has the best F1 on these very texts.
Every redactor runs in a process of its own, on one core; for speed they take turns.
"""

from __future__ import annotations

import json
import random
import select
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib import resources
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError
from agentos.redact.suite import Text, read_suite, score

OURS = "agentos"
PEERS = {"presidio": "presidio-analyzer", "argus": "argus-redact"}
ROUNDS = 3
MIX = 4 * 10**6
"""Bytes of documents made of the suite's texts, for speed."""
SHARE_S = 20.0
"""Seconds at most that one redactor takes of a round; who is not through by then is timed on what it got done."""
PATIENCE_S = 20.0
"""Seconds after which an adversarial text is given up."""
MEGABYTE = 10**6
ADVERSARIAL = {
    "digits": "7", "at signs": "@", "dots": "1.", "backslashes": "\\", "PEM heads": "-----BEGIN ",
    "passwords": "password=", "zero width": "1\u200b", "full width": "１",
    "colons": "a:", "slashes": "://u:", "spaced digits": "4 ", "letters": "a", "mixed": "a1@b.-_:/=+ ",
}
"""Each again and again up to a megabyte."""


def measure(peers: Sequence[str] = ()) -> dict[str, Any]:
    """All figures of the part: shares, counts as right/all, MB/s (10**6 bytes) and seconds as their names say.

    Args:
        peers: Redactors beside ours as NAME=PYTHON, PYTHON being an interpreter that has it.

    Raises:
        UserError: a peer is not known.
        Failed: an interpreter does not run, or its redactor breaks.
    """
    pythons = {OURS: sys.executable}
    for peer in peers:
        name, _, python = peer.partition("=")
        if name not in PEERS or not python:
            raise UserError(f"--peer {peer!r} is none of {', '.join(f'{known}=PYTHON' for known in PEERS)}")
        pythons[name] = python
    cases = read_suite(resources.files("agentos.evals").joinpath("redact.yaml").read_text("utf-8"))
    figures: dict[str, Any] = {"texts": len(cases), "with_values": sum(bool(case.values) for case in cases),
                               "values": sum(len(case.values) for case in cases)}
    with ExitStack() as stack:
        running = {name: stack.enter_context(closing(Worker(name, python))) for name, python in pythons.items()}
        for name, worker in running.items():
            figures[name] = {"version": worker.version, **worker.choose(cases)}
        mix = documents(cases)
        speeds: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(ROUNDS):
            for name, worker in running.items():
                speeds[name].append(worker.speed(mix))
        for name, worker in running.items():
            figures[name]["mb_per_s"] = round(statistics.median(speeds[name]), 3)
            figures[name]["megabyte_s"] = {what: worker.adversarial(piece) for what, piece in ADVERSARIAL.items()}
    return figures


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    lines = []
    for name in (OURS, *PEERS):
        if name not in figures:
            continue
        one = figures[name]
        slow, seconds = max(one["megabyte_s"].items(), key=lambda pair: pair[1] or float("inf"))
        took = f"{seconds} s" if seconds is not None else f"over {PATIENCE_S:g} s"
        lines.append((
            f"private values kept, {name}", f"{100 * one['recall']:.1f} %",
            f"precision {100 * one['precision']:.1f} %; {one['mb_per_s']} MB/s; a megabyte of {slow}: {took}",
        ))
    return lines


def documents(cases: Sequence[Text], size: int = MIX) -> list[str]:
    """Texts of the suite in turns, a line or a page together, `size` bytes in all; the same every time."""
    dice = random.Random(7)
    made, total = [], 0
    while total < size:
        document = "\n".join(dice.choice(cases).text for _ in range(int(2 ** dice.uniform(0, 7))))
        made.append(document)
        total += len(document.encode())
    return made


class Worker:
    """A redactor in a process of its own, which is started again where it was given up."""

    def __init__(self, name: str, python: str) -> None:
        """Starts it.

        Raises:
            Failed: the interpreter does not run, or has no such redactor.
        """
        self._name = name
        file = Path(__file__).with_name("bench_redact_worker.py")
        self._command = [python, "-I", str(file), name]
        self._way = ""
        self._start()

    def choose(self, cases: Sequence[Text]) -> dict[str, Any]:
        """The configuration with the best F1, which is used from then on, and its scores."""
        texts = [case.text for case in cases]
        best = None
        for way in self._ways:
            found = self._ask("find", texts, way)["found"]
            scored = score(cases, [[(kind, start, end) for kind, start, end in one] for one in found])
            if best is None or scored.f1 > best.f1:
                best, self._way = scored, way
        assert best is not None
        return {"way": self._way, "ways_tried": len(self._ways), **best.to_json()}

    def speed(self, texts: Sequence[str]) -> float:
        """MB a second over the texts, or over as many as it gets through."""
        done = self._ask("speed", texts, self._way, limit_s=SHARE_S)
        return float(done["bytes"] / done["seconds"] / 10**6)

    def adversarial(self, piece: str) -> float | None:
        """Seconds for a megabyte of a piece, the median of three; none where it was given up."""
        text = piece * (MEGABYTE // len(piece.encode()))
        times = []
        for _ in range(ROUNDS):
            try:
                times.append(float(self._ask("speed", [text], self._way, patience_s=PATIENCE_S)["seconds"]))
            except TimeoutError:
                self.close()
                self._start()
                return None
            if times[0] > PATIENCE_S / 10:  # slow enough that turns tell nothing more
                break
        return round(statistics.median(times), 3)

    def close(self) -> None:
        """Ends its process."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        except OSError as error:
            raise Failed(f"{self._name} was not measured: {self._command[0]!r} does not run ({error})") from error
        try:
            about = self._ask("about", ())
        except Failed:
            self.close()
            raise
        self.version, self._ways = str(about["version"]), list(about["ways"])

    def _ask(self, do: str, texts: Sequence[str], way: str = "", limit_s: float = 1e9, patience_s: float = 1e6) -> Any:
        asked = json.dumps({"do": do, "texts": list(texts), "way": way, "limit_s": limit_s})
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(asked + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words are on standard error; the end of its output tells
        else:
            if not select.select([self._process.stdout], [], [], patience_s)[0]:
                raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            raise Failed(
                f"{self._name} ended while it was asked to {do!r}, so it was not measured; does {self._command[0]!r} "
                f"have {PEERS.get(self._name, self._name)}? What it said is above."
            )
        return json.loads(line)


__all__ = ["ADVERSARIAL", "OURS", "PEERS", "Worker", "documents", "measure", "rows"]
