"""What providers ask for a token, by the table that LiteLLM brings; read as a file, for importing it takes seconds."""

from __future__ import annotations

import importlib.util
import json
import logging
from functools import cache
from pathlib import Path

from agentos.engines.remote import PREFIX

log = logging.getLogger(__name__)
_TABLE = "model_prices_and_context_window_backup.json"


def price(model: str, fallbacks: str = "") -> tuple[float, float] | None:
    """US dollars for a token read and for one written, 0 where the table has no price; None of a model that is here.

    Args:
        model: As agentos names it: `litellm:PROVIDER/MODEL`.
        fallbacks: Who may answer in its place, separated by commas; the dearest counts.
    """
    if not model.startswith(PREFIX):
        return None
    known = _known()
    names = [model.removeprefix(PREFIX), *(name.strip() for name in fallbacks.split(","))]
    found = [known.get(name) or known.get(name.partition("/")[2]) or (0.0, 0.0) for name in names]
    return max(read for read, _ in found), max(wrote for _, wrote in found)


@cache
def _known() -> dict[str, tuple[float, float]]:
    found = importlib.util.find_spec("litellm")
    try:
        path = Path(str(found.origin)).parent / _TABLE if found else Path(_TABLE)
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        log.warning("there is no table of prices: quotas of cost count what providers say, after each call")
        return {}
    prices = {}
    for name, row in rows.items():
        read = row.get("input_cost_per_token") if isinstance(row, dict) else None
        if isinstance(read, int | float) and name != "sample_spec":
            prices[name] = (float(read), float(row.get("output_cost_per_token") or 0.0))
    return prices
