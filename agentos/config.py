"""Settings: defaults, then `AGENTOS_HOME/config.toml`, then the environment; the last one that speaks wins.

Standard library only: every client imports this, and must start fast.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from agentos.errors import UserError


def _doc(text: str, default: object) -> object:
    return field(default=default, metadata={"doc": text})


@dataclass(frozen=True)
class Settings:
    """Every setting. `name` is `AGENTOS_NAME` in the environment and `name` in config.toml."""

    home: Path = _doc("everything that lasts, and the socket; an empty folder is a fresh installation", Path())  # type: ignore[assignment]
    cache: Path = _doc("downloads that can be fetched again; default: `HOME/cache`", Path())  # type: ignore[assignment]
    kernel_model: str = _doc("the model that plans: a catalog name, or `litellm:PROVIDER/MODEL`", "qwen2.5-coder-0.5b")  # type: ignore[assignment]
    kernel_engine: str = _doc("`auto`, or the engine that runs the kernel model", "auto")  # type: ignore[assignment]
    kernel_adapter: str = _doc("what the kernel model was trained to plan with: `auto`, `none`, or a folder", "auto")  # type: ignore[assignment]
    kernel_script: str = _doc("a script for the `scripted` engine, for tests and demonstrations", "")  # type: ignore[assignment]
    api_base: str = _doc("address of an OpenAI-compatible server for `litellm:` models; default: the provider's", "")  # type: ignore[assignment]
    url: str = _doc("address of a system on another machine, for clients; default: the socket in HOME", "")  # type: ignore[assignment]
    key: str = _doc("API key for `url`", "")  # type: ignore[assignment]
    ca: str = _doc("certificates (PEM) that a client trusts beside the machine's own, for `url`", "")  # type: ignore[assignment]
    tls_cert: str = _doc("certificate chain (PEM) that `agentos serve --http` serves TLS with", "")  # type: ignore[assignment]
    tls_key: str = _doc("its key (PEM), a file that its owner alone may read", "")  # type: ignore[assignment]
    memory_budget: str = _doc("most memory that loaded models may take, such as `8GiB`; default: what is available", "")  # type: ignore[assignment]
    gpu_memory_budget: str = _doc("most memory of each GPU that models may take; default: nine tenths", "")  # type: ignore[assignment]
    tensor_parallel: int = _doc("GPUs that vLLM spreads one model over", 1)  # type: ignore[assignment]
    vllm_args: str = _doc("more arguments for vLLM's server, as for a shell", "")  # type: ignore[assignment]
    fallbacks: str = _doc("`PROVIDER/MODEL` that answer where a remote model does not, separated by commas", "")  # type: ignore[assignment]
    threads: int = _doc("processor threads an engine uses; 0: as many as there are cores", 0)  # type: ignore[assignment]
    context: int = _doc("longest prompt and answer together of a local model, in tokens", 4096)  # type: ignore[assignment]
    offline: bool = _doc("fetch nothing: a model that is not stored is refused", False)  # type: ignore[assignment]
    job_cpus: int = _doc("processor cores that jobs may take together; 0: as many as there are", 0)  # type: ignore[assignment]
    job_memory: str = _doc("memory that jobs may ask for together, such as `16GiB`; default: the machine's", "")  # type: ignore[assignment]
    cluster: str = _doc("the Ray cluster that jobs run on: `auto` or `HOST:PORT`; default: this machine alone", "")  # type: ignore[assignment]
    trackers: str = _doc("what runs are told to beside TensorBoard's files: `wandb`, `mlflow`, by commas", "")  # type: ignore[assignment]
    undo_hours: float = _doc("how long something deleted can be brought back", 24.0)  # type: ignore[assignment]
    key_store: str = _doc("where a new key of what is sealed goes: `file`, `keyring` or `auto`", "file")  # type: ignore[assignment]
    signed_models: bool = _doc("a stored model that is not signed here is refused; an altered one always is", False)  # type: ignore[assignment]
    approval_hours: float = _doc("how long a held call can be approved; then it is refused", 24.0)  # type: ignore[assignment]
    pending_limit: int = _doc("calls of a user that may wait for a person, and replies; more: 429", 100)  # type: ignore[assignment]
    remote_timeout: float = _doc("seconds a remote model may take to answer", 60.0)  # type: ignore[assignment]
    redact_local: bool = _doc("private data becomes placeholders for models on this machine, too", False)  # type: ignore[assignment]
    plain: bool = _doc("for screen readers: nothing is drawn over, no box characters, one line for each change", False)  # type: ignore[assignment]
    http_queue: int = _doc("requests over HTTP that may wait for one model; more are told to come back (429)", 64)  # type: ignore[assignment]
    http_rate: int = _doc("requests a minute for each key; 0: no limit", 0)  # type: ignore[assignment]
    otlp: str = _doc("collector that traces go to by OTLP/HTTP; default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else none", "")  # type: ignore[assignment]
    http_drain: float = _doc("seconds that answers under way are given at the system's end", 20.0)  # type: ignore[assignment]
    lang: str = _doc("`en` or `zh`, for text that answers no sentence; default: the locale's", "")  # type: ignore[assignment]

    @property
    def database(self) -> Path:
        """The one SQLite database."""
        return self.home / "agentos.db"

    @property
    def models(self) -> Path:
        """The model store."""
        return self.home / "models"

    @property
    def jobs(self) -> Path:
        """A folder for every job: its output and results."""
        return self.home / "jobs"

    @property
    def logs(self) -> Path:
        """Logs of the system and its engines."""
        return self.home / "logs"

    @property
    def socket(self) -> Path:
        """The Unix socket; under the temporary folder where HOME is too long for one (about 100 bytes)."""
        path = self.home / "agentos.sock"
        if len(os.fsencode(path)) < 100:
            return path
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"agentos-{os.getuid()}-{digest}" / "agentos.sock"

    @property
    def language(self) -> str:
        """`en` or `zh`."""
        said = self.lang or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
        return "zh" if said.lower().startswith("zh") else "en"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    Raises:
        UserError: config.toml cannot be read, names an unknown setting, or a value has the wrong type.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("AGENTOS_HOME") or Path.home() / ".agentos").expanduser().absolute()
    values: dict[str, object] = {}
    file = home / "config.toml"
    if file.is_file():
        try:
            values.update(tomllib.loads(file.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is not valid TOML: {error}. Mend it or move it away.") from error
    known = {item.name: item for item in fields(Settings)}
    for name in values:
        if name not in known or name == "home":
            names = ", ".join(sorted(set(known) - {"home"}))
            raise UserError(f"{file}: there is no setting {name!r}. There are: {names}.")
    for name in known:
        said = env.get(f"AGENTOS_{name.upper()}")
        if said is not None and said != "" and name != "home":
            values[name] = said
    typed = {name: _typed(name, value, known[name].default) for name, value in values.items()}
    cache = typed.pop("cache", None) or home / "cache"
    return Settings(home=home, cache=Path(str(cache)).expanduser().absolute(), **typed)  # type: ignore[arg-type]


def _typed(name: str, value: object, default: object) -> object:
    try:
        if isinstance(default, bool):
            if isinstance(value, bool):
                return value
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[str(value).lower()]
        if isinstance(default, int):
            return int(str(value))
        if isinstance(default, float):
            return float(str(value))
    except (KeyError, ValueError):
        raise UserError(f"setting {name!r} must be a {type(default).__name__}, and is {value!r}") from None
    return str(value)
