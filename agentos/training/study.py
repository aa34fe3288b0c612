"""The process that searches: `python -m agentos.training.study RUN_FOLDER`. It trains nothing itself.

Optuna proposes method, rank, learning rate and rows of an update by TPE (Bergstra et al. 2011), and lets go of trials
that lie below the median of the others at the same point (Golovin et al. 2017, Vizier, section 3.2). What it knows is
in a journal on disk, so that a process that is killed goes on with the trials that run meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from agentos.errors import AgentosError, Failed, UserError
from agentos.training.building import LARGE
from agentos.training.estimate import parameters
from agentos.training.events import Journal, write_atomically
from agentos.training.following import Follower, result_of
from agentos.training.mailbox import BEST, Mailbox
from agentos.training.methods import rate
from agentos.training.spec import RESULT, RunSpec, read

_RANKS = (4, 8, 16, 32)
_ROWS = (16, 32, 64)
_LOOK = 0.5
"""Seconds between two looks at what runs."""
_SURE = 4
"""Trials that have ended before one is let go, and looks at one before that."""
_METHODS = ("lora", "full", "adapter", "adalora", "prefix")


def main(arguments: list[str]) -> int:
    """Searches in a run's folder, from where it was left; gives the exit code."""
    folder = Path(arguments[0])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        spec = read(folder)
        journal = Journal(folder, spec)
        try:
            result = Study(folder, spec, journal).run()
        finally:
            journal.close()
    except AgentosError as error:
        print(f"agentos: {error}", file=sys.stderr, flush=True)
        kind = "user" if isinstance(error, UserError) else "failed"
        with contextlib.suppress(OSError):
            write_atomically(folder / RESULT, json.dumps({"error": {"kind": kind, "message": str(error)}}))
        return 2
    write_atomically(folder / RESULT, json.dumps(result, ensure_ascii=False))
    return 0


class Study:
    """A search, from where it is to its end."""

    def __init__(self, folder: Path, spec: RunSpec, journal: Journal) -> None:
        """Takes up what an earlier process of it left."""
        self._folder, self._spec, self._journal = folder, spec, journal
        self._box = Mailbox(folder)
        self._trials, self._side = int(str(spec.limit["trials"])), int(str(spec.limit["side"]))
        self._parameters = int(parameters(spec))
        self._methods = [name for name in _METHODS if name != "full" or self._parameters < LARGE]
        storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
        # a seed that was used up to a kill would draw the same trials again
        seed = spec.seed + 1000 * (len(storage.get_all_studies()) and self._known(storage))
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(storage=storage, study_name="search", direction="maximize")
        self._study = optuna.load_study(
            storage=storage, study_name="search",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=6, constant_liar=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_SURE, n_warmup_steps=1, n_min_trials=_SURE),
        )
        for method in self._methods[:3]:  # what one would have got without a search is always among its trials
            usual = rate(method, spec.task, self._parameters)
            given = {"method": method, f"rate {method}": usual, "rank": spec.rank, "rows": spec.rows}
            self._study.enqueue_trial(given, skip_if_exists=True)
        self._open = {
            trial.number: (Trial(self._study, trial._trial_id), Follower(folder))
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        }

    @staticmethod
    def _known(storage: JournalStorage) -> int:
        return len(storage.get_all_trials(storage.get_study_id_from_name("search"), deepcopy=False))

    def run(self) -> dict[str, Any]:
        """Searches until all trials have ended and the best of them is made once more; gives what came out.

        Raises:
            Failed: no trial came to its end, or the best one could not be repeated.
        """
        for trial, _follower in self._open.values():
            self._box.ask(str(trial.number), self._settings(trial))
        while self._fill() or self._open:
            for number in list(self._open):
                self._look(number)
            time.sleep(_LOOK)
        best = self._best()
        if best is None:
            raise self._nothing()
        settings = dict(best.user_attrs["settings"])
        told = f"trial {best.number + 1} was best: {show(settings)}: {self._figure(best)}; it is made once more"
        if self._box.end(BEST) is None:
            self._say(told)
        self._box.ask(BEST, settings)
        while (end := self._box.end(BEST)) is None:
            time.sleep(_LOOK)
        if end[0] != "succeeded":
            raise Failed(f"the best of the trials could not be repeated: {end[1]}. `agentos runs` lists the trials")
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        counts = {
            "done": states.count(TrialState.COMPLETE), "pruned": states.count(TrialState.PRUNED),
            "failed": states.count(TrialState.FAIL),
        }
        return {"best": settings, "trial": best.number, "value": best.value, "counts": counts, "notes": [
            f"{self._trials} trials: {counts['done']} to their end, {counts['pruned']} let go early, "
            f"{counts['failed']} failed", told.removesuffix("; it is made once more"),
        ]}

    def _fill(self) -> bool:
        """Asks for as many trials as may run side by side; gives whether any is left to be asked for."""
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        begun = sum(state != TrialState.WAITING for state in states)
        while begun < self._trials and len(self._open) < self._side:
            trial = self._study.ask()
            self._open[trial.number] = (trial, Follower(self._folder))
            self._box.ask(str(trial.number), self._settings(trial))
            begun += 1
        return begun < self._trials

    def _settings(self, trial: Trial) -> dict[str, Any]:
        """The fields of a trial's manifest that are tried out; of one that is known, those it has."""
        method = trial.suggest_categorical("method", self._methods)
        usual = rate(method, self._spec.task, self._parameters)
        made = {
            "method": method,
            "learning_rate": trial.suggest_float(f"rate {method}", usual / 6, usual * 6, log=True),
            "rows": trial.suggest_categorical("rows", sorted({*_ROWS, self._spec.rows})),
            "rank": self._spec.rank,
        }
        if method != "full":
            made["rank"] = trial.suggest_categorical("rank", sorted({*_RANKS, self._spec.rank}))
        trial.set_user_attr("settings", made)
        return made

    def _look(self, number: int) -> None:
        """Takes up what a trial has told since the last look."""
        trial, follower = self._open[number]
        name = str(number)
        run = self._box.run(name)
        if not run:
            if (end := self._box.end(name)) is not None:  # it could not even begin
                self._end(trial, None, end[1])
            return
        if follower.folder.name != run:
            follower = Follower(self._folder.parent / run)
            self._open[number] = (trial, follower)
        ended = self._box.end(name)
        for event in follower.news():
            value = _value(event.get("metric") or {}) if event.get("kind") == "eval" else None
            if value is not None:
                trial.report(value, round(event["epoch"] * self._spec.evaluations))
        if ended is None:
            if trial.should_prune():
                self._box.stop(name)
                self._end(trial, None, "", pruned=True)
            return
        result = result_of(self._folder.parent / run, RESULT) or {}
        value = _value(result.get("metrics") or {}) if ended[0] == "succeeded" else None
        if value is not None:
            trial.set_user_attr("loss", float(result["metrics"]["loss"]))
        self._end(trial, value, ended[1])

    def _end(self, trial: Trial, value: float | None, why: str, pruned: bool = False) -> None:
        if value is not None:
            self._study.tell(trial, value)
        else:
            trial.set_user_attr("why", why)
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        del self._open[trial.number]
        found = self._study.get_trials(deepcopy=False)[trial.number]
        said = "let go: below the median of the others" if pruned else f"failed: {why}"
        best = self._best()
        line = f"trial {trial.number + 1}: {show(found.user_attrs['settings'])}: " + (
            said if value is None else self._figure(found)
        )
        if best is not None and best.number != trial.number:
            line += f" (best: trial {best.number + 1}, {self._figure(best)})"
        self._say(line)

    def _best(self) -> FrozenTrial | None:
        done = [t for t in self._study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
        return max(done, key=lambda t: (t.value, -t.user_attrs.get("loss", math.inf)), default=None)

    def _figure(self, trial: FrozenTrial) -> str:
        value = float(trial.value or 0.0)
        return f"accuracy {value:.4g}" if self._spec.task == "text-classification" else f"loss {-value:.4g}"

    def _nothing(self) -> Failed:
        whys = [t.user_attrs.get("why", "") for t in self._study.get_trials(deepcopy=False)]
        why = next(filter(None, whys), "they were all stopped")
        return Failed(f"none of {len(whys)} trials came to its end; no model was made. The first: {why}")

    def _say(self, text: str) -> None:
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        done = sum(state.is_finished() for state in states)
        print(f"{100 * done // self._trials}% of the trials", flush=True)
        self._journal.event("note", step=done, steps=self._trials, text=text)


def _value(metrics: dict[str, Any]) -> float | None:
    """What is to become greater; None where it is no number."""
    value = metrics["accuracy"] if "accuracy" in metrics else -float(metrics.get("loss", math.nan))
    return float(value) if math.isfinite(value) else None


def show(settings: dict[str, Any]) -> str:
    """A trial's settings as a person reads them."""
    rank = "" if settings["method"] == "full" else f"rank {settings['rank']}, "
    return f"{settings['method']}, {rank}rate {settings['learning_rate']:.2g}, {settings['rows']} rows an update"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
