"""Remote models with names of one's own, from `AGENTOS_HOME/remotes.yaml`, in the form of LiteLLM's proxy:

    model_list:
      - model_name: fast
        litellm_params:
          model: openai/gpt-4o-mini
          api_key: os.environ/OPENAI_API_KEY
      - model_name: ours
        litellm_params: {model: openai/qwen, api_base: "http://10.0.0.7:8000/v1", timeout: 30, num_retries: 1}
    litellm_settings:
      fallbacks: [{fast: [ours]}]

Several entries of one name are asked in their order. A key is named, never written: it comes from the encrypted
store, or else from the environment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from agentos.errors import UserError
from agentos.models.choice import REMOTE
from agentos.types import Json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KEY = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_PARAMS = ("model", "api_base", "api_key", "timeout", "num_retries")


class Remotes:
    """The file as it is now: it is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; without the file there are no such models."""
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._models: dict[str, dict[str, Json]] = {}
        self._fault: UserError | None = None

    def names(self) -> tuple[str, ...]:
        """What the models are called, with `litellm:` before; none where the file is wrong, which `settings` tells."""
        self._look()
        return tuple(f"{REMOTE}{name}" for name in self._models)

    def full(self, model: str) -> str:
        """`litellm:NAME` for a name of this file; any other is given back as it is."""
        self._look()
        return f"{REMOTE}{model}" if model in self._models else model

    def settings(self, model: str) -> dict[str, Json]:
        """What the engine is told of a model; empty for a name that is LiteLLM's own.

        Raises:
            UserError: the file is wrong, and the name may be one of its.
        """
        self._look()
        name = model.removeprefix(REMOTE)
        if self._fault is not None and "/" not in name:
            raise self._fault
        return self._models.get(name, {})

    def _look(self) -> None:
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_size)
        except OSError:
            self._seen, self._models, self._fault = None, {}, None
            return
        if seen == self._seen:
            return
        self._seen, self._models, self._fault = seen, {}, None
        try:
            self._models = parse(self._path.read_text("utf-8"), self._path)
        except UserError as error:
            self._fault = error
        except (OSError, UnicodeDecodeError) as error:
            self._fault = UserError(f"{self._path} cannot be read: {error}")


def parse(text: str, path: Path) -> dict[str, dict[str, Json]]:
    """Settings of the engine for each name in the text; `path` is what errors call it.

    Raises:
        UserError: it is no YAML, or something in it is not known or not what it should be.
    """
    try:
        said = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UserError(f"{path} is not valid YAML{f', line {mark.line + 1}' if mark else ''}; mend it") from None
    try:
        _only(said, {"model_list", "litellm_settings"}, "the file")
        entries = _list(said.get("model_list"), "model_list")
        chosen = said.get("litellm_settings") or {}
        _only(chosen, {"fallbacks"}, "litellm_settings")
        targets: dict[str, list[dict[str, Json]]] = {}
        for number, entry in enumerate(entries, 1):
            name, target = _entry(entry, f"entry {number}")
            targets.setdefault(name, []).append(target)
        spare = _fallbacks(_list(chosen.get("fallbacks"), "fallbacks"), targets)
    except ValueError as error:
        raise UserError(f"{path}: {error}. Remote models by name cannot be used until it is mended.") from None
    return {name: _settings(name, targets, spare.get(name, [])) for name in targets}


def _entry(entry: object, where: str) -> tuple[str, dict[str, Json]]:
    row = _only(entry, {"model_name", "litellm_params"}, where)
    name = row.get("model_name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{where}: model_name must be letters, digits, '.', '_' and '-', and is {name!r}")
    params = _only(row.get("litellm_params"), set(_PARAMS), f"{name}: litellm_params")
    model = params.get("model")
    if not isinstance(model, str) or not model.strip("/") or "/" not in model:
        raise ValueError(f"{name}: model must be PROVIDER/MODEL, such as openai/gpt-4o-mini, and is {model!r}")
    made: dict[str, Json] = {"model": model}
    if (base := params.get("api_base")) is not None:
        if not isinstance(base, str) or not base.startswith(("http://", "https://")):
            raise ValueError(f"{name}: api_base must be an address that begins with http:// or https://")
        made["api_base"] = base
    if (key := params.get("api_key")) is not None:
        found = _KEY.fullmatch(key) if isinstance(key, str) else None
        if found is None:  # the value is not shown: it may be a key
            raise ValueError(
                f"{name}: api_key must name a key, as os.environ/OPENAI_API_KEY does; keep the key itself with "
                "'agentos secrets set OPENAI_API_KEY'"
            )
        made["key"] = found[1]
    for said, ours, whole in (("timeout", "timeout", False), ("num_retries", "retries", True)):
        if said in params:
            made[ours] = _number(params[said], f"{name}: {said}", whole=whole)
    return name, made


def _fallbacks(entries: list[Any], targets: Mapping[str, object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ValueError("fallbacks must be a list such as [{fast: [ours]}]")
        for name, others in entry.items():
            listed = _list(others, f"fallbacks of {name!r}")
            for other in (name, *listed):
                if other not in targets:
                    raise ValueError(f"fallbacks name {other!r}, which model_list does not have")
            found.setdefault(name, []).extend(other for other in listed if other != name)
    return found


def _settings(name: str, targets: Mapping[str, list[dict[str, Json]]], spare: list[str]) -> dict[str, Json]:
    first, *others = targets[name]
    more = [*others, *(target for other in spare for target in targets[other])]
    fallbacks: list[Json] = [
        {key: value for key, value in target.items() if key in ("model", "api_base", "key")} for target in more
    ]
    return {"api_base": "", **first, "fallbacks": fallbacks}


def _only(said: object, known: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise ValueError(f"{where} must be a table of {', '.join(sorted(known))}")
    for name in said:
        if name not in known:
            raise ValueError(f"{where} has {name!r}, which is not known; there are: {', '.join(sorted(known))}")
    return said


def _list(said: object, where: str) -> list[Any]:
    if said is None:
        return []
    if not isinstance(said, list):
        raise ValueError(f"{where} must be a list")
    return said


def _number(said: object, where: str, *, whole: bool) -> Json:
    fine = isinstance(said, int) if whole else isinstance(said, int | float)
    if not fine or isinstance(said, bool) or not 0 <= said < math.inf or (not whole and said == 0):  # type: ignore[operator]
        raise ValueError(f"{where} must be {'a whole number' if whole else 'a number of seconds'}, and is {said!r}")
    return said  # type: ignore[return-value]
