"""Models as listings and cards show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentos.errors import UserError
from agentos.models.budget import HOST, Need
from agentos.models.catalog import catalog
from agentos.models.choice import REMOTE
from agentos.models.residency import Residency
from agentos.models.resident import Resident
from agentos.models.shelf import Stored
from agentos.models.supervision import Down
from agentos.types import Json, Live, ModelCard, ModelList, ModelRow


def listing(
    state: str, residency: Residency, stored: Mapping[str, Stored], down: Mapping[str, Down],
    remote: Sequence[str] = (),
) -> ModelList:
    """Models, loaded ones first. `stored` are all on disk and `catalog` all that it names, in memory or not.

    Raises:
        UserError: there is no such state.
    """
    loaded = residency.all()
    there = dict.fromkeys([*residency.there(), *down])
    named = dict.fromkeys([*catalog(), *remote])
    names = dict.fromkeys([*there, *stored, *named])
    chosen: dict[str, Mapping[str, object]] = {
        "all": names, "loaded": there, "stored": stored, "catalog": named,
    }
    if state not in chosen:
        raise UserError(f"{state!r} is no state of a model; there are: {', '.join(chosen)}")
    rows = [
        replace(_row(name, loaded.get(name), stored.get(name)), live=_live(name, residency, down))
        for name in names if name in chosen[state]
    ]
    return ModelList(rows, residency.budget.quotas())


def _live(name: str, residency: Residency, down: Mapping[str, Down]) -> Live | None:
    held, meter = residency.get(name), residency.meters.of(name)
    claim = residency.budget.claims.get(name, {})
    gpu = sum(size for kind, size in claim.items() if kind != HOST)
    counts = (meter.served, meter.tokens, meter.rate)
    if held is not None:
        made, replicas = held.loaded, getattr(held.engine, "count", 1)
        return Live(
            "busy" if held.users else "ready", made.device, held.engine.memory(), made.gpu_memory, held.users,
            max(0, meter.asking - held.users), *counts, "forever" if held.kernel else held.keep_text,
            None if held.expires is None or held.users else max(0.0, held.expires - residency.now()),
            replicas=replicas, healthy=getattr(held.engine, "healthy", replicas),
            restarts=meter.restarts, pid=made.pid, cost=meter.cost,
        )
    if name in residency.ending and name not in down:
        held = residency.ending[name][0]
        memory = max(held.memory, held.engine.memory())
        return Live("unloading", held.loaded.device, memory, gpu, 0, meter.asking, *counts,
                    held.keep_text, None, healthy=0, restarts=meter.restarts, cost=meter.cost)
    if name in residency.starting:
        order, _ = residency.starting[name]
        state = "restarting" if name in down else "loading"
        return Live(state, order.spec.device, claim.get(HOST, 0), gpu, 0, max(1, meter.asking), *counts,
                    order.keep_text, None, healthy=0, restarts=meter.restarts, done=meter.part)
    if name in down:
        order = down[name].order
        return Live("restarting", order.spec.device, 0, 0, 0, meter.asking, *counts, order.keep_text, None,
                    healthy=0, restarts=meter.restarts)
    if name in residency.admission.waiting:
        return Live("waiting", "", 0, 0, 0, max(1, meter.asking), *counts, "", None, healthy=0)
    return None


def _row(name: str, held: Resident | None, stored: Stored | None) -> ModelRow:
    entry = catalog().get(name)
    known = stored or entry
    licence, parameters = (known.licence, known.parameters) if known else ("", 0)
    if held is not None:
        return ModelRow(name, "loaded", parameters, held.loaded.memory, licence, held.loaded.engine, held.kernel)
    if stored is not None:
        return ModelRow(name, "stored", parameters, stored.size, licence)
    far = "litellm" if name.startswith(REMOTE) else ""
    return ModelRow(name, "catalog", parameters, entry.size if entry else 0, licence, far)


def card(
    name: str, held: Resident | None, stored: Stored | None, now: float, need: Need | None, *, signed: str
) -> ModelCard:
    """All that is known of one model; `now` is by the clock of expiry."""
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
        needs=need.host if need else None,
        needs_measured=need.measured if need else False,
        base=stored.base if stored else "",
        quantized=stored.quantized if stored else None,
        trained=stored.trained if stored else None,
        signed=signed,
        loaded=None if held is None else _loaded(held, now),
    )


def _loaded(held: Resident, now: float) -> dict[str, Json]:
    left = None if held.expires is None else max(0.0, round(held.expires - now, 1))
    made = held.loaded
    return {
        "engine": made.engine, "device": made.device, "dtype": made.dtype, "memory": made.memory, "pid": made.pid,
        "keep_alive": held.keep_text, "expires_in": left, "kernel": held.kernel,
    }
