"""Traces reach a collector over OTLP/HTTP, part under part, and nothing private with them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentos.config import Settings
from agentos.errors import UserError
from agentos.tracing import Tracing, span

from .live import running

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed: pip install .[otel]")
MARKER = "zanzibar-4711"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what exporters send, as a collector does."""

    def __init__(self) -> None:
        """Listens at once."""
        collector, self.bodies, self.paths = self, list[bytes](), list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.paths.append(self.path)
                collector.bodies.append(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Any]:
        """All that came, as the protocol has them."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found: list[Any] = []
        for body in self.bodies:
            sent = ExportTraceServiceRequest()
            sent.ParseFromString(body)
            found += [one for part in sent.resource_spans for scope in part.scope_spans for one in scope.spans]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(one: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in one.attributes}


def test_a_request_is_traced_to_its_engine_under_its_callers_span_without_what_is_private(
    tmp_path: Path, collector: Collector
) -> None:
    with running(tmp_path, otlp=collector.url) as live, httpx.Client(base_url=live.url, timeout=60) as client:
        headers = {
            "authorization": f"Bearer {live.keys['ada']}", "x-request-id": "asked-1",
            "traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"vendor={MARKER}", "x-session": MARKER,
        }
        said = {"model": "agentos", "messages": [{"role": "user", "content": f"how much memory is free? {MARKER}"}]}
        assert client.post("/v1/chat/completions", json=said, headers=headers).status_code == 200
        said = {"model": "talker", "messages": [{"role": "user", "content": f"speak plainly, {MARKER}"}]}
        assert client.post("/v1/chat/completions", json=said, headers=headers).status_code == 200
        said = {"args": {"dataset": MARKER}}
        answer = client.post(f"/v1/syscalls/datasets.show?x={MARKER}", json=said, headers=headers)
        assert answer.status_code in (400, 404) and MARKER in answer.text
        client.post(f"/v1/syscalls/no.{MARKER}", json={}, headers=headers)
        client.get(f"/{MARKER}", headers=headers)
        client.get("/live")
        live.do(live.tracing.close)
    assert set(collector.paths) == {"/v1/traces"} and MARKER.encode() not in b"".join(collector.bodies)
    spans = {one.span_id: one for one in collector.spans}
    assert {one.trace_id.hex() for one in spans.values()} == {TRACE}
    assert all(attributes(one)["agentos.request.id"] == "asked-1" for one in spans.values())

    def way(one: Any) -> list[str]:
        upper = spans.get(one.parent_span_id)
        return [*(way(upper) if upper is not None else [one.parent_span_id.hex()]), one.name]

    ways = [way(one) for one in spans.values()]
    request = [PARENT, "POST /v1/chat/completions"]
    for wanted in (
        [*request, "run", "plan", "chat qwen2.5-coder-0.5b"], [*request, "run", "resources.query"],
        [*request, "models.generate", "chat talker"], [PARENT, "POST /v1/syscalls/{name}", "run", "datasets.show"],
        [PARENT, "GET"],
    ):
        assert wanted in ways, json.dumps(ways, indent=1)
    by = {one.name: attributes(one) for one in spans.values()}
    assert by["POST /v1/chat/completions"]["http.response.status_code"] == 200
    talked = by["chat talker"]
    assert talked["gen_ai.usage.output_tokens"] == 8 and talked["gen_ai.request.model"] == "talker"
    assert by["plan"]["agentos.plan.steps"] == 1 and by["plan"]["gen_ai.usage.input_tokens"] > 0
    assert by["datasets.show"]["error.type"] == "NotFound"


def test_nothing_of_opentelemetrys_sender_is_imported_where_no_traces_are_wanted(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom agentos.tracing import Tracing, span\nmade = Tracing('', '1', {})\n"
        "with made.request('a', 'GET', ''), span('b') as one:\n    one.set('c', 1)\n    one.fail('d')\n"
        "assert not made.on and not one\n"
        "import agentos.interfaces.http_traffic, agentos.kernel.planner, agentos.models.answers\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


async def test_the_standard_variables_say_where_to_and_that_there_is_to_be_none(collector: Collector) -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert not Tracing("", "1", {**where, **off}).on
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        made = Tracing("", "1")
        with pytest.raises(ZeroDivisionError), made.request("a", "BREW", "nonsense"), span("inner"):
            raise ZeroDivisionError(MARKER)
        await made.close()
    outer, inner = sorted(collector.spans, key=lambda one: one.name)
    assert (outer.name, inner.name) == ("_OTHER", "inner") and inner.parent_span_id == outer.span_id
    assert attributes(inner)["error.type"] == "bug" and not inner.events
    assert MARKER.encode() not in b"".join(collector.bodies)


async def test_a_caller_who_does_not_sample_is_heeded(collector: Collector) -> None:
    made = Tracing(collector.url, "1", {})
    with made.request("a", "GET", f"00-{TRACE}-{PARENT}-00"), span("inner"):
        pass
    await made.close()
    assert not collector.spans


@pytest.mark.parametrize("otlp", ["collector:4318", "ftp://collector", "http://"])
def test_an_address_that_is_none_is_told(otlp: str) -> None:
    with pytest.raises(UserError, match="AGENTOS_OTLP"):
        Tracing(otlp, "1", {})
    assert Settings().otlp == ""
