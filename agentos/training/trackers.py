"""Where a run's curves are shown: TensorBoard's files always, Weights & Biases and MLflow where a setting names them.

What leaves the machine is settings and figures, the names of the model and the data set, and no path, row or word of
the data. A tracker that fails takes nothing else with it: the run goes on and says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from agentos.errors import UserError
from agentos.training.spec import RunSpec

KNOWN = ("wandb", "mlflow")
_KEYS = ("WANDB_API_KEY", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""What a person keeps as secrets; a key of the system's own environment is given to nobody's run."""
_SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL|USERNAME")
_WITHIN = re.compile(r"(?<=://)[^/@\s]+@")
"""Name and password in an address."""
_TOLD = (
    "kind", "base", "base_hash", "data", "data_hash", "task", "method", "scale", "epochs", "learning_rate", "seed",
    "rows", "length", "rank", "above", "warmup", "decay", "balanced", "dtype", "processes",
)


class Board(Protocol):
    """Curves somewhere."""

    def add(self, step: int, values: dict[str, float]) -> None:
        """Adds a point to each."""
        ...

    def close(self, failed: bool = False) -> None:
        """Leaves everything there; `failed` marks the run so."""
        ...


class Trackers:
    """The trackers of a system's runs, and what they need to be reached."""

    def __init__(
        self, said: str = "", kept: Callable[[str], Iterable[str]] = lambda user: (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """As a setting names them.

        Args:
            said: Names, separated by commas.
            kept: Names of a user's secrets.
            environ: The system's variables; its process's own where None.

        Raises:
            UserError: one is not known.
        """
        self.names = tuple(name.strip() for name in said.split(",") if name.strip())
        _known(self.names)
        self._kept = kept
        self._environ = os.environ if environ is None else environ

    def variables(self, user: str) -> tuple[list[str], list[str]]:
        """What a run's process is given: variables of addresses as NAME=VALUE, and names of the user's secrets."""
        if not self.names:
            return [], []
        prefixes = tuple(f"{name.upper()}_" for name in self.names)
        plain = [
            f"{name}={_WITHIN.sub('', value)}" for name, value in sorted(self._environ.items())
            if name.startswith(prefixes) and not _SECRET.search(name)
        ]
        return plain, [name for name in self._kept(user) if name in _KEYS and name.startswith(prefixes)]


def check(names: Iterable[str]) -> None:
    """Says so before anything is trained when a tracker that was asked for is not there.

    Raises:
        UserError: it is not known, or not installed.
    """
    named = tuple(names)
    _known(named)
    for name in named:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"runs are to be told to {name!r}, which is not installed; nothing was trained. "
                f"Install it (pip install {name}) or leave it out of the setting `trackers`"
            )


def _known(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in KNOWN:
            raise UserError(
                f"there is no tracker {name!r}: there are 'wandb' and 'mlflow'. Mend the setting `trackers`"
            )


def boards(folder: Path, spec: RunSpec, note: Callable[[str], None]) -> list[Board]:
    """A run's curves; `note` is told of a tracker that cannot be reached."""
    made: list[Board] = [_TensorBoard(folder)]
    for name in spec.trackers:
        made.append(_Apart(name, lambda name=name: _MAKERS[name](folder, spec), note))  # type: ignore[misc]
    return made


class _Apart:
    """A tracker whose faults are its own."""

    def __init__(self, name: str, make: Callable[[], Board], note: Callable[[str], None]) -> None:
        self._name, self._note = name, note
        self._board: Board | None = None
        self._board = self._tried(make)

    def add(self, step: int, values: dict[str, float]) -> None:
        board = self._board
        if board is not None:
            self._tried(lambda: board.add(step, values))

    def close(self, failed: bool = False) -> None:
        board = self._board
        if board is not None:
            self._tried(lambda: board.close(failed))

    def _tried(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except Exception as error:  # whatever goes wrong there
            self._board = None
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._note(f"{self._name} is told no more: {why}. The run goes on; its curves are in TensorBoard's files")
            return None


class _TensorBoard:
    """Files that TensorBoard shows."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), flush_secs=10)

    def add(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool = False) -> None:
        self._writer.close()


class _Wandb:
    """Weights & Biases: one run there for a run here, gone on with after a restart."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        wandb: Any = importlib.import_module("wandb")
        # runs of two homes are called the same, and a project is shared by many
        ident = _remembered(folder / "wandb.id", lambda: f"{spec.run}-{secrets.token_hex(4)}")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "agentos"), id=ident, name=spec.model or spec.run, resume="allow",
            config=_told(spec), dir=str(folder),
            settings=wandb.Settings(
                console="off", disable_git=True, disable_code=True, x_disable_meta=True, x_disable_stats=True,
                x_disable_machine_info=True, x_save_requirements=False, host="agentos", username="agentos",
                program="agentos", program_abspath="agentos", program_relpath="agentos",
            ),
        )

    def add(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self, failed: bool = False) -> None:
        self._run.finish(exit_code=1 if failed else 0)


class _Mlflow:
    """MLflow, at the address that its own variables name, gone on with after a restart."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "agentos"))
        path = folder / "mlflow.id"
        if path.is_file():
            self._mlflow.start_run(run_id=path.read_text("utf-8"))
            return
        named = {f"mlflow.{name}": "agentos" for name in ("user", "source.name")}  # not the account, nor a path
        run = self._mlflow.start_run(run_name=spec.model or spec.run, tags=named)
        _remembered(path, lambda: str(run.info.run_id))
        self._mlflow.log_params(_told(spec))

    def add(self, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics(values, step=step)

    def close(self, failed: bool = False) -> None:
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


_MAKERS: dict[str, Callable[[Path, RunSpec], Board]] = {"wandb": _Wandb, "mlflow": _Mlflow}


def _told(spec: RunSpec) -> dict[str, Any]:
    return {name: value for name in _TOLD if (value := getattr(spec, name)) not in ("", None)}


def _remembered(path: Path, make: Callable[[], str]) -> str:
    if not path.is_file():
        temporary = path.with_name(f"{path.name}.part")
        temporary.write_text(make(), "utf-8")
        temporary.replace(path)
    return path.read_text("utf-8")
