"""The syscall table as Python objects: a family is an attribute of a client, a syscall one of its methods."""

from __future__ import annotations

import inspect
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from agentos.errors import UserError
from agentos.registry import Registry, installed
from agentos.syscall import Syscall

Made = Callable[[str, Mapping[str, Any], bool], Any]
"""Makes a call of a syscall's name, its arguments, and whether it is confirmed beforehand."""


@cache
def table() -> Registry:
    """The syscalls of this installation, read once."""
    return installed()


def result_type(syscall: str) -> Any:
    """The type of what a syscall gives; `Any` where this installation does not have it."""
    if syscall not in table():
        return Any
    return typing.get_type_hints(table()[syscall].function, include_extras=True).get("return", Any)


class Method:
    """One syscall as a function, with its signature and its help."""

    def __init__(self, entry: Syscall, make: Made) -> None:
        """Takes its signature from the table."""
        self._entry, self._make = entry, make
        self.__name__, self.__qualname__ = entry.name.split(".", 1)[1], entry.name
        self.__doc__ = inspect.getdoc(entry.function)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        params = [
            inspect.Parameter(
                p.name, kind, annotation=p.annotation, default=inspect.Parameter.empty if p.required else p.default
            )
            for p in entry.params
        ]
        if all(p.name != "yes" for p in entry.params):
            params.append(inspect.Parameter("yes", inspect.Parameter.KEYWORD_ONLY, annotation=bool, default=False))
        self.__signature__ = inspect.Signature(params, return_annotation=result_type(entry.name))

    def __call__(self, *args: Any, **given: Any) -> Any:
        """Makes the call; arguments that are not given take the table's defaults.

        Raises:
            UserError: the arguments do not fit the signature; nothing was done.
        """
        try:
            bound = dict(self.__signature__.bind(*args, **given).arguments)
        except TypeError as error:
            raise UserError(f"{self._entry.name}: {error}; nothing was done") from None
        own = any(p.name == "yes" for p in self._entry.params)
        yes = False if own else bool(bound.pop("yes", False))
        return self._make(self._entry.name, bound, yes)

    def __repr__(self) -> str:
        """How it is called."""
        said = [str(p.replace(annotation=inspect.Parameter.empty)) for p in self.__signature__.parameters.values()]
        return f"<{self._entry.name}({', '.join(said)}): {self._entry.doc}>"


class Family:
    """The syscalls of one family."""

    def __init__(self, name: str, make: Made) -> None:
        """Looks its syscalls up as they are asked for."""
        self._name, self._make = name, make

    def __getattr__(self, name: str) -> Method:
        """One of its syscalls."""
        full = f"{self._name}.{name}"
        if name.startswith("__") or full not in table():
            raise AttributeError(
                f"there is no syscall {full!r} here. There are: {', '.join(self._names())}."
                f" client.call({full!r}, …) reaches what only the system has"
            )
        return Method(table()[full], self._make)

    def __dir__(self) -> list[str]:
        """Its syscalls, for completion."""
        return [*super().__dir__(), *self._names()]

    def __repr__(self) -> str:
        """What it has."""
        return f"<{self._name}: {', '.join(self._names())}>"

    def _names(self) -> list[str]:
        return [entry.name.split(".", 1)[1] for entry in table() if entry.family == self._name]


class Families(ABC):
    """What has a family of syscalls under each family's name."""

    @abstractmethod
    def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any:
        """Makes a call."""

    def __getattr__(self, name: str) -> Family:
        """A family of syscalls."""
        families = sorted({entry.family for entry in table()}) if not name.startswith("_") else []
        if name not in families:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}" + (
                    f". Families of syscalls are: {', '.join(families)}. client.call({f'{name}.…'!r}, …) reaches"
                    " what only the system has" if families else ""
                )
            )
        return Family(name, self._make)

    def __dir__(self) -> list[str]:
        """Its own attributes and the families, for completion."""
        return [*super().__dir__(), *{entry.family for entry in table()}]
