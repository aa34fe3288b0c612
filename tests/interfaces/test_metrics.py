"""Metrics through real requests, read with Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from .test_http import Door, door

__all__ = ["door"]


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text) for sample in family.samples
    }


def test_metrics_take_a_key(door: Door) -> None:
    assert door.ask("GET", "/metrics", user="").status == 401
    assert door.ask("GET", "/metrics", user="vera").status == 200


def test_prometheus_reads_what_is_told_in_both_of_its_forms(door: Door) -> None:
    plain = door.ask("GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(plain.body)
    assert found["agentos_ready", ()] == 1
    assert found["agentos_approvals_pending", ()] == found["agentos_model_evictions_total", ()] == 0
    assert found["agentos_jobs", (("state", "running"),)] == 0
    assert found["process_resident_memory_bytes", ()] > 1 << 20
    opened = door.ask("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert opened.body.endswith("# EOF\n")
    names = {family.name for family in open_families(opened.body)}
    assert {"agentos_calls", "agentos_plan_seconds", "agentos_budget_bytes", "agentos_model_tokens"} <= names


def test_calls_plans_and_decisions_are_counted_as_they_end(door: Door) -> None:
    before = samples(door.ask("GET", "/metrics").body)
    door.ask("POST", "/v1/syscalls/resources.query", {"args": {"kind": "memory"}})
    door.ask("POST", "/v1/syscalls/models.show", {"args": {"model": "no-such-model"}})
    door.ask("POST", "/v1/syscalls/models.delete", {"args": {"model": "smollm2-135m"}, "yes": True}, user="vera")
    door.ask("POST", "/v1/runs", {"text": "how much memory is free?"})
    after = samples(door.ask("GET", "/metrics").body)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0.0) - before.get(key, 0.0)

    assert more("agentos_calls_total", syscall="resources.query", outcome="done") == 2
    assert more("agentos_calls_total", syscall="models.show", outcome="failed") == 1
    assert more("agentos_call_seconds_count", syscall="resources.query") == 2
    assert more("agentos_decisions_total", syscall="models.delete", decision="deny") == 1
    assert more("agentos_plan_seconds_count") == 1


def test_no_label_names_a_person_or_what_they_wrote(door: Door) -> None:
    door.ask("POST", "/v1/runs", {"text": "how much memory is free?"}, user="otto")
    labels = {value for _, pairs in samples(door.ask("GET", "/metrics").body) for _, value in pairs}
    assert not {"otto", "ada", "vera"} & labels
    assert not any("memory is free" in value for value in labels)


def test_watching_each_second_is_one_row_on_the_trail(door: Door) -> None:
    def rows() -> int:
        asked = {"args": {"syscall": "models.list", "user": "vera"}}
        return int(str(door.ask("POST", "/v1/syscalls/audit.search", asked).json["total"]))

    door.ask("GET", "/v1/ps", user="vera")
    once = rows()
    for _ in range(5):
        assert door.ask("GET", "/v1/ps", user="vera").status == 200
    assert rows() == once >= 1
    assert door.ask("GET", "/v1/ps", user="").status == 401
    assert door.ask("GET", "/v1/jobs?state=odd", user="vera").status == 400
