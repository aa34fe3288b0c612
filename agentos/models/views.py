"""Models as listings and cards show them."""

from __future__ import annotations

from collections.abc import Mapping

from agentos.errors import UserError
from agentos.models.catalog import catalog
from agentos.models.memory import estimate
from agentos.models.residency import Resident
from agentos.models.shelf import Stored
from agentos.types import Json, ModelCard, ModelList, ModelRow


def listing(state: str, loaded: Mapping[str, Resident], stored: Mapping[str, Stored]) -> ModelList:
    """Models, loaded ones first. `stored` are all on disk and `catalog` all that it names, in memory or not.

    Raises:
        UserError: there is no such state.
    """
    names = dict.fromkeys([*loaded, *stored, *catalog()])
    chosen: dict[str, Mapping[str, object]] = {
        "all": names, "loaded": loaded, "stored": stored, "catalog": catalog(),
    }
    if state not in chosen:
        raise UserError(f"{state!r} is no state of a model; there are: {', '.join(chosen)}")
    return ModelList([_row(name, loaded.get(name), stored.get(name)) for name in names if name in chosen[state]])


def _row(name: str, held: Resident | None, stored: Stored | None) -> ModelRow:
    entry = catalog().get(name)
    known = stored or entry
    licence, parameters = (known.licence, known.parameters) if known else ("", 0)
    if held is not None:
        return ModelRow(name, "loaded", parameters, held.loaded.memory, licence, held.loaded.engine, held.kernel)
    if stored is not None:
        return ModelRow(name, "stored", parameters, stored.size, licence)
    return ModelRow(name, "catalog", parameters, entry.size if entry else 0, licence)


def card(name: str, held: Resident | None, stored: Stored | None, now: float, context: int) -> ModelCard:
    """All that is known of one model; `now` is by the clock of expiry, `context` what an engine is given."""
    entry = catalog().get(name)
    known = stored or entry
    sources = [source.label for source in entry.sources] if entry else [stored.source] if stored else []
    return ModelCard(
        model=name,
        state="loaded" if held else "stored" if stored else "catalog",
        description=known.description if known else "",
        licence=known.licence if known else "",
        kind=known.kind if known else "",
        parameters=known.parameters if known else 0,
        context=known.context if known else held.loaded.context if held else 0,
        download=entry.size if entry else stored.download if stored else 0,
        sha256=known.sha256 if known else "",
        sources=sources,
        on_disk=stored.size if stored else None,
        needs=estimate(stored, context) if stored else None,
        loaded=None if held is None else _loaded(held, now),
    )


def _loaded(held: Resident, now: float) -> dict[str, Json]:
    left = None if held.expires is None else max(0.0, round(held.expires - now, 1))
    made = held.loaded
    return {
        "engine": made.engine, "device": made.device, "dtype": made.dtype, "memory": made.memory, "pid": made.pid,
        "keep_alive": held.keep_text, "expires_in": left, "kernel": held.kernel,
    }
