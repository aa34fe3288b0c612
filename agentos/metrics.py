"""What has happened since the system started, counted where it happens; what is now, is read when it is asked for.

Labels are names of syscalls, models and engines: nothing that a person wrote, and no person's name.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_CALL = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PLAN = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_LOAD = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)


class Metrics:
    """Counters and histograms of one system; each of them takes about a microsecond to tell."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._calls = Counter(
            "agentos_calls", "Syscalls that were let through, by what became of them.", ["syscall", "outcome"],
            registry=self.registry,
        )
        self._call_seconds = Histogram(
            "agentos_call_seconds", "How long syscalls took once they were let through.", ["syscall"],
            registry=self.registry, buckets=_CALL,
        )
        self._decisions = Counter(
            "agentos_decisions", "Decisions of policy: allow, confirm (a person is asked) or deny.",
            ["syscall", "decision"], registry=self.registry,
        )
        self._plan_seconds = Histogram(
            "agentos_plan_seconds", "From a sentence to its validated plan.", registry=self.registry, buckets=_PLAN
        )
        self._load_seconds = Histogram(
            "agentos_model_load_seconds", "How long loading a model took.", ["engine"], registry=self.registry,
            buckets=_LOAD,
        )

        self._requests = Counter(
            "agentos_http_requests", "Requests at the doors, by route and status.", ["route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "agentos_http_request_seconds", "How long requests took, streams to their end.", ["route"],
            registry=self.registry, buckets=_CALL,
        )
        self._answering = Gauge("agentos_http_answering", "Answers under way.", registry=self.registry)
        self._queued = Gauge(
            "agentos_http_queued", "Requests that wait for their turn at a model.", registry=self.registry
        )

    def requested(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def queued(self, more: int) -> None:
        """So many more requests wait for their turn, or less."""
        self._queued.inc(more)

    def answering(self, more: int) -> None:
        """So many more answers are under way, or less."""
        self._answering.inc(more)

    def called(self, syscall: str, outcome: str, seconds: float) -> None:
        """A call that was let through has ended."""
        self._calls.labels(syscall, outcome).inc()
        self._call_seconds.labels(syscall).observe(seconds)

    def decided(self, syscall: str, decision: str) -> None:
        """Policy has decided on a call."""
        self._decisions.labels(syscall, decision).inc()

    def planned(self, seconds: float) -> None:
        """A sentence has its plan."""
        self._plan_seconds.observe(seconds)

    def loaded(self, engine: str, seconds: float) -> None:
        """A model has come into memory."""
        self._load_seconds.labels(engine).observe(seconds)
