"""Metrics as Prometheus reads them: what was counted, and what is now, read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from agentos.interfaces.app import System
from agentos.types import ModelList, ModelRow

_UP = ("ready", "busy")
_JOBS = ("waiting", "queued", "running", "succeeded", "failed", "cancelled")


def exposition(system: System, accept: str) -> tuple[bytes, str]:
    """All metrics as text, and its content type.

    Args:
        system: Whose.
        accept: What the caller takes; Prometheus' text form 0.0.4 unless it says OpenMetrics or a later version.
    """
    encode, kind = choose_encoder(accept)
    return encode(_Both(system)), kind


class _Both(CollectorRegistry):
    """What the system counted, followed by what is now."""

    def __init__(self, system: System) -> None:
        super().__init__(auto_describe=False)
        self._system = system

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from self._system.metrics.registry.collect()
        yield from _system(self._system)
        listed = self._system.models.listing("all")
        yield from _models(listed)
        yield CounterMetricFamily(
            "agentos_model_evictions", "Models that left memory to make room for others.",
            value=self._system.models.evictions,
        )
        yield from _budgets(listed)


def _system(system: System) -> Iterator[Metric]:
    status = system.status()
    yield InfoMetricFamily("agentos", "The system.", {"version": system.version})
    yield GaugeMetricFamily("agentos_ready", "1 once the kernel model is loaded.", float(system.ready))
    uptime = status.get("uptime")
    yield GaugeMetricFamily(
        "agentos_uptime_seconds", "Since the system started.", float(uptime) if isinstance(uptime, int | float) else 0.0
    )
    yield GaugeMetricFamily(
        "agentos_approvals_pending", "Calls that wait for a person.", float(len(system.approvals.pending()))
    )
    counts = system.jobs.counts()
    jobs = GaugeMetricFamily("agentos_jobs", "Jobs by state.", labels=["state"])
    for state in _JOBS:
        jobs.add_metric([state], counts.get(state, 0))
    yield jobs


def _models(listed: ModelList) -> Iterator[Metric]:
    states = GaugeMetricFamily("agentos_models", "Models by state: loaded, stored or catalog.", labels=["state"])
    for state in ("loaded", "stored", "catalog"):
        states.add_metric([state], sum(row.state == state for row in listed.models))
    yield states
    rows = [row for row in listed.models if row.live is not None]
    up = GaugeMetricFamily("agentos_model_up", "1 where the model can answer.", labels=["model", "engine"])
    now = GaugeMetricFamily("agentos_model_state", "1 for the state a model is in.", labels=["model", "state"])
    memory = GaugeMetricFamily(
        "agentos_model_memory_bytes", "Memory that a model holds, or that is set aside for it.",
        labels=["model", "engine", "device"],
    )
    for row in rows:
        live = row.live
        assert live is not None
        up.add_metric([row.model, row.engine], float(live.state in _UP))
        now.add_metric([row.model, live.state], 1)
        memory.add_metric([row.model, row.engine, live.device], live.memory)
    yield from (up, now, memory)
    yield from _figures(rows)


def _figures(rows: list[ModelRow]) -> Iterator[Metric]:
    gauges = (
        ("gpu_memory_bytes", "gpu_memory", "GPU memory that a model holds."),
        ("requests", "requests", "Requests being answered."),
        ("waiting", "waiting", "Callers that wait for a model to be loaded."),
        ("tokens_per_second", "tokens_per_second", "Tokens written a second, lately."),
        ("replicas", "replicas", "Copies of a model."),
        ("replicas_healthy", "healthy", "Copies that can answer."),
    )
    counters = (
        ("served", "served", "Requests answered since the model was loaded."),
        ("tokens", "tokens", "Tokens written since the model was loaded."),
        ("restarts", "restarts", "Times that its engine was started again."),
        ("cost_dollars", "cost", "US dollars paid to its provider since it was loaded."),
    )
    for name, field, text in gauges:
        gauge = GaugeMetricFamily(f"agentos_model_{name}", text, labels=["model"])
        for row in rows:
            gauge.add_metric([row.model], float(getattr(row.live, field)))
        yield gauge
    for name, field, text in counters:
        counter = CounterMetricFamily(f"agentos_model_{name}", text, labels=["model"])
        for row in rows:
            counter.add_metric([row.model], float(getattr(row.live, field)))
        yield counter


def _budgets(listed: ModelList) -> Iterator[Metric]:
    budget = GaugeMetricFamily("agentos_budget_bytes", "What models may take together.", labels=["kind"])
    used = GaugeMetricFamily("agentos_budget_used_bytes", "What is taken, or set aside, of it.", labels=["kind"])
    for quota in listed.budgets:
        budget.add_metric([quota.kind], quota.budget)
        used.add_metric([quota.kind], quota.used)
    yield from (budget, used)
