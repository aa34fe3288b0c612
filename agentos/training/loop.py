"""The loop: updates, evaluations, checkpoints, and what is done when something goes wrong."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from agentos.engines.footprint import exhausted
from agentos.errors import Failed
from agentos.training import batches
from agentos.training.checkpoint import Checkpoints
from agentos.training.data import Corpus, Row
from agentos.training.events import Journal
from agentos.training.group import Group
from agentos.training.methods import Method
from agentos.training.objectives import Measured, Objective
from agentos.training.optimizer import Optimizer, schedule
from agentos.training.progress import RETURNS, Progress
from agentos.training.spec import RunSpec

_PERIOD = 30.0
"""Seconds between two checkpoints, at least; more where they take long."""
_COST = 0.04
"""Most of the time that goes into them."""


class Stopped(Exception):
    """The run was told to stop, and can be gone on with."""


@dataclass
class Parts:
    """All that a run is made of."""

    spec: RunSpec
    corpus: Corpus
    objective: Objective
    method: Method
    optimizer: Optimizer
    group: Group
    journal: Journal
    checkpoints: Checkpoints
    memory: Callable[[], int]
    again: Callable[[], dict[str, Any]]
    """The weights that train as they were in the beginning."""
    padded: bool
    budget: int


class Loop:
    """A run, from where it is to its end."""

    def __init__(self, parts: Parts) -> None:
        """In its first state."""
        self._parts = parts
        self._rows = parts.corpus.train
        self._lengths = [len(row.ids) for row in self._rows]
        spec = parts.spec
        self._behind = [row.behind for row in self._rows]
        self.per_epoch = batches.steps(self._behind, spec.rows, 1)
        self.total = self.per_epoch * spec.epochs
        self.target = self._target()
        self._looks = batches.evaluations(spec.evaluations, self.per_epoch)
        self.progress = Progress(budget=parts.budget)
        self._epoch_updates: tuple[int, list[list[int]]] = (-1, [])
        self._stop = threading.Event()
        self._told = False
        self._period = float(spec.limit.get("checkpoint_seconds") or _PERIOD)  # type: ignore[arg-type]
        self._kept_at = time.monotonic()
        self._keeping = 0.0
        self._recent: list[tuple[float, int]] = []

    def _target(self) -> int:
        limit = self._parts.spec.limit
        ends = [self.total]
        if limit.get("stop_after"):
            ends.append(int(limit["stop_after"]))  # type: ignore[arg-type]
        if limit.get("rung"):
            ends.append(int(limit["rung"]) * self.per_epoch)  # type: ignore[arg-type]
        return min(ends)

    def stop(self) -> None:
        """Asks it to keep its state and end, after the update that it is in."""
        self._stop.set()

    def resume(self) -> bool:
        """Goes to the newest state on disk; gives whether there is one."""
        kept = self._parts.checkpoints.newest()
        if kept is None:
            return False
        self._put(kept.state)
        self._note_resume()
        return True

    def _note_resume(self) -> None:
        done = self.progress
        self._parts.journal.event(
            "resume", step=done.update, steps=self.target, text=f"going on after update {done.update} of {self.target}"
        )

    def run(self) -> Progress:
        """Trains until the end, or until it gets no better; the best weights are in the model then.

        Raises:
            Stopped: it was asked to stop.
            Failed: it came off its way too often, or a single row does not fit in memory.
        """
        parts, done = self._parts, self.progress
        while self.progress.update < self.target and not self.progress.over:
            started = time.monotonic()
            sound = self._update()
            done = self.progress
            done.seconds += time.monotonic() - started
            if not sound:
                self._go_back()
                continue
            index = (done.update - 1) % self.per_epoch + 1
            if index in self._looks and parts.corpus.held:
                self._look()
                self._keep(measured=True)
            elif done.update < self.target and self._due():
                self._keep(measured=False)
            self._stop_if_told()
        done = self.progress
        if parts.corpus.held and done.best_update not in (0, done.update):
            best = parts.checkpoints.best()
            if best is not None:
                parts.method.put(best)
                self._say(f"the weights of update {done.best_update} are kept: they measured best")
        return done

    def _update(self) -> bool:
        """One update; gives whether loss and gradient were sound."""
        parts, done = self._parts, self.progress
        epoch, index = divmod(done.update, self.per_epoch)
        if self._epoch_updates[0] != epoch:
            made = batches.updates(parts.spec.seed, epoch, self._behind, parts.spec.rows)
            self._epoch_updates = (epoch, made)
        chosen = sorted(self._epoch_updates[1][index], key=lambda row: (-self._lengths[row], row))
        mine = parts.group.share(chosen)
        weight = parts.objective.weight([self._rows[row] for row in chosen])
        while True:
            try:
                loss, slots = self._gradient(mine, weight, epoch)
                break
            except (RuntimeError, MemoryError) as error:
                if not exhausted(error):
                    raise
                self._halve(error, mine)
        parts.group.add_gradients(parts.optimizer.parameters)
        tokens = sum(self._lengths[row] for row in mine)
        loss, tokens_all, slots_all, told = parts.group.sum(
            [loss, tokens, slots, 1.0 if self._stop.is_set() else 0.0]
        )
        self._told = bool(told)
        norm = float(parts.optimizer.norm())
        if not (math.isfinite(loss) and math.isfinite(norm)):
            done.loss = loss
            return False
        rate = schedule(done.update, self.total, parts.spec.warmup) * done.factor
        parts.optimizer.step(rate, norm)
        parts.method.updated(done.update + 1)
        parts.optimizer.zero()
        done.update += 1
        done.tokens += int(tokens_all)
        done.slots += int(slots_all)
        astray = done.astray(loss)
        self._tell(loss, rate * parts.optimizer.rate, int(tokens_all))
        return not astray

    def _gradient(self, rows: list[int], weight: float, epoch: int) -> tuple[float, int]:
        parts, done = self._parts, self.progress
        total = 0.0
        slots = 0
        for at, part in enumerate(batches.cut(rows, self._lengths, done.budget, parts.padded)):
            torch.manual_seed(hash((parts.spec.seed, done.update, at, parts.group.rank, done.returns)) & 0x7FFFFFFF)
            some = [self._rows[row] for row in part]
            slots += self._lengths[part[0]] * len(part) if parts.padded else sum(self._lengths[row] for row in part)
            loss = parts.objective.loss(some, epoch) / weight
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        penalty = parts.method.penalty() if parts.group.first else None
        if penalty is not None:
            penalty.backward()  # type: ignore[no-untyped-call]
        return total, slots

    def probe(self) -> float:
        """Seconds that an update takes, by the first one's gradient; nothing is changed."""
        chosen = batches.updates(self._parts.spec.seed, 0, self._behind, self._parts.spec.rows)[0]
        mine = sorted(chosen, key=lambda row: (-self._lengths[row], row))
        weight = self._parts.objective.weight([self._rows[row] for row in mine])
        for _ in range(2):  # the first one warms up
            started = time.monotonic()
            self._gradient(mine, weight, 0)
            self._parts.optimizer.zero()
        return 1.2 * (time.monotonic() - started) / self._parts.group.size

    def _halve(self, error: BaseException, rows: list[int]) -> None:
        parts, done = self._parts, self.progress
        parts.optimizer.zero()
        longest = self._lengths[rows[0]]
        if parts.group.size > 1 or done.budget < longest:
            raise Failed(
                f"a row of {longest} tokens does not fit in memory; no model was written. Set a smaller length or "
                "rank, or choose lora"
            ) from error
        done.budget = max(min(done.budget, sum(self._lengths[row] for row in rows)) // 2, 1)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._say(
            f"a batch did not fit in memory: batches have at most {done.budget} tokens from update {done.update + 1} "
            "on, and updates as many rows as before"
        )

    def _go_back(self) -> None:
        parts, done = self._parts, self.progress
        what = "is no number" if not math.isfinite(done.loss) else f"rose to {done.loss:.4g}"
        if math.isfinite(done.loss) and done.bad == 0:
            what = "has a gradient that is no number"
        if done.returns >= RETURNS:
            raise Failed(
                f"the loss {what} at update {done.update} and the run has gone back {RETURNS} times with half the "
                "rate; no model was written. Set a lower learning_rate, or look at the rows"
            )
        kept = parts.checkpoints.newest(measured=True)
        factor, returns, seconds, budget = done.factor / 2, done.returns + 1, done.seconds, done.budget
        best, best_update, metrics, notes, at = done.best, done.best_update, done.metrics, done.notes, done.update
        if kept is not None:
            self._put(kept.state)
        else:
            parts.method.put(parts.again())
            parts.method.load({})
            parts.optimizer.reset()
            self.progress = Progress(budget=budget)
        done = self.progress
        done.factor, done.returns, done.seconds, done.budget = factor, returns, seconds, budget
        done.best, done.best_update, done.metrics, done.notes = best, best_update, metrics, notes
        parts.optimizer.zero()
        parts.group.wait()
        if parts.group.first:
            parts.checkpoints.drop_after(done.update)
        self._say(
            f"the loss {what} at update {at}: back to update {done.update}, with {factor:g} of the rate"
        )
        self._keep(measured=done.update > 0 and kept is not None)

    def _look(self) -> None:
        parts, done = self._parts, self.progress
        started = time.monotonic()
        better, told = 0.0, None
        if parts.group.first:
            told = self.measure()
            better = float(done.measured(told.standing, told.metrics))
            if better:
                parts.checkpoints.save_best(parts.method.weights())
            parts.journal.event(
                "eval", step=done.update, steps=self.target, epoch=done.update / self.per_epoch, metric=told.metrics,
                memory=parts.memory(),
            )
            parts.journal.curve(done.update, {f"held_out/{name}": value for name, value in told.metrics.items()})
        best_update, stale = parts.group.told([float(done.best_update), float(done.stale)])
        done.best_update, done.stale = int(best_update), int(stale)
        done.seconds += time.monotonic() - started
        if parts.spec.patience and done.stale >= parts.spec.patience and done.update < self.target:
            done.over = True
            self._say(
                f"stopped after update {done.update} of {self.target}: {done.stale} evaluations without a better one"
            )

    def measure(self) -> Measured:
        """What the model says of the rows that were held out."""
        held: list[Row] = self._parts.corpus.held
        lengths = [len(row.ids) for row in held]
        beginnings = sorted({row.behind for row in held})
        together = [[at for at, row in enumerate(held) if row.behind == one] for one in beginnings]
        cut = [
            part for some in together
            for part in batches.cut(some, lengths, self.progress.budget, self._parts.padded)
        ]
        model = self._parts.method.model
        model.eval()
        try:
            with torch.no_grad():
                return self._parts.objective.measure([[held[at] for at in part] for part in cut])
        finally:
            model.train()

    def _due(self) -> bool:
        due = self._parts.group.first and time.monotonic() - self._kept_at >= max(self._period, self._keeping / _COST)
        return bool(self._parts.group.told([float(due)])[0])

    def _keep(self, measured: bool) -> None:
        parts, done = self._parts, self.progress
        if parts.group.first:
            started = time.monotonic()
            state = {
                "progress": done.plain(), "weights": parts.method.weights(), "optimizer": parts.optimizer.state(),
                "method": parts.method.state(),
            }
            parts.checkpoints.save(done.update, state, measured)
            self._keeping = time.monotonic() - started
            self._kept_at = time.monotonic()
            parts.journal.event("checkpoint", step=done.update, steps=self.target)
        parts.group.wait()

    def _put(self, state: dict[str, Any]) -> None:
        self._parts.method.put(state["weights"])
        self._parts.method.load(state["method"])
        self._parts.optimizer.load(state["optimizer"])
        self.progress = Progress.of(state["progress"])

    def _stop_if_told(self) -> None:
        if self._told and self.progress.update < self.target:
            self._keep(measured=False)
            self._parts.journal.event(
                "note", step=self.progress.update, text=f"told to stop: kept after update {self.progress.update}"
            )
            raise Stopped

    def _say(self, text: str) -> None:
        self.progress.notes.append(text)
        self._parts.journal.event("note", step=self.progress.update, text=text)

    def _tell(self, loss: float, rate: float, tokens: int) -> None:
        done = self.progress
        now = time.monotonic()
        self._recent = [*self._recent[-50:], (now, tokens)]
        span = now - self._recent[0][0]
        speed = sum(count for _at, count in self._recent[1:]) / span if span > 0 else 0.0
        eta = (self.target - done.update) * span / max(1, len(self._recent) - 1)
        self._parts.journal.step(
            done.update in (1, self.target), step=done.update, steps=self.target, epoch=done.update / self.per_epoch,
            loss=loss, rate=rate, tokens_per_second=speed, memory=self._parts.memory(), eta=eta,
        )
