"""What measures gateways: a real system before an upstream that answers at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentos.config import load
from agentos.errors import Failed, UserError
from agentos.interfaces import bench_gateway, bench_soak
from agentos.interfaces.bench_gateway_doors import Asking, upstream


def test_the_upstream_says_again_what_was_said_whole_and_streamed() -> None:
    with upstream() as door:
        asking = Asking(door)
        for stream in (False, True):
            answer = asking.ask("one two  three", stream)
            assert (answer.status, answer.text) == (200, "one two  three") and 0 < answer.first <= answer.seconds
        asking.close()


def test_a_system_is_measured_and_every_user_gets_their_own_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TURNS", 20), ("LOAD_S", 1.0), ("CONNECTIONS", 4)):
        monkeypatch.setattr(bench_gateway, name, value)
    monkeypatch.setattr(bench_soak, "USERS", 8)
    settings = replace(load(), home=tmp_path / "unused")
    figures = bench_gateway.measure(settings)
    assert figures["whole"]["agentos"]["median_ms"] > 0 and figures["per_core_s"]["agentos"]["rate"] > 0
    assert len(bench_gateway.rows(figures)) == 3
    found = bench_soak.measure(settings, 3.0)
    assert found["answers"] > 0 and (found["others"], found["lost"], found["errors"]) == (0, 0, 0)
    assert len(bench_soak.rows(found)) == 1


def test_a_peer_that_is_not_known_or_has_no_proxy_is_told() -> None:
    settings = load()
    with pytest.raises(UserError, match="litellm=PYTHON"):
        bench_gateway.measure(settings, ["presidio=python"])
    with pytest.raises(Failed, match="does not run|no litellm"):
        bench_gateway.measure(settings, ["litellm=/no/such/python"])
