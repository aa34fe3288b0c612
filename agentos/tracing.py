"""Traces for an OpenTelemetry collector: what a request came to, and how long each part of it took.

Off unless a setting says where to; then nothing of OpenTelemetry is imported, and a span is nothing. Attributes are
names of syscalls and models, counts and states: nothing that a person wrote, no argument, no text, no error's message.
Names follow OpenTelemetry's semantic conventions for HTTP and for generative AI where they have one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agentos.errors import AgentosError, UserError

log = logging.getLogger(__name__)

Attribute = str | int | float | bool
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_MISSING = (
    "traces are to be sent to a collector, and OpenTelemetry is not installed. "
    "pip install 'llm-agentos[otel]', or leave AGENTOS_OTLP out."
)


class Span:
    """One part of a request; where no traces are sent, nothing."""

    def __init__(self, made: Any = None) -> None:
        """Over OpenTelemetry's own; None is nothing."""
        self._made = made

    def __bool__(self) -> bool:
        """Whether it is sent anywhere."""
        return self._made is not None

    def set(self, name: str, value: Attribute) -> None:
        """Says something of it."""
        if self._made is not None:
            self._made.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        """It came to nothing, for a reason of that kind."""
        if self._made is not None:
            from opentelemetry.trace import StatusCode

            self._made.set_attribute("error.type", kind)
            self._made.set_status(StatusCode.ERROR)

    def rename(self, name: str) -> None:
        """Calls it by what is known of it by now."""
        if self._made is not None:
            self._made.update_name(name)


@dataclass(frozen=True)
class _Place:
    """Where in a trace the work under way is."""

    tracer: Any
    context: Any
    request: str


_here: ContextVar[_Place | None] = ContextVar("agentos_trace", default=None)
_NOTHING = Span()


class Tracing:
    """Sends the traces of one system."""

    def __init__(self, otlp: str, version: str, environ: Mapping[str, str] | None = None) -> None:
        """Connects to nothing yet; spans are sent in a thread of their own.

        Args:
            otlp: Address of a collector that takes OTLP over HTTP, without `/v1/traces`; where empty, OpenTelemetry's
                own variables say it, or nothing does.
            version: Of the system.
            environ: The environment; the process's own where None.

        Raises:
            UserError: the address is none, or OpenTelemetry is not installed though the setting asks for it.
        """
        env = os.environ if environ is None else environ
        self._provider: Any = None
        self._tracer: Any = None
        said = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        off = env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
        if otlp and (urlsplit(otlp).scheme not in ("http", "https") or not urlsplit(otlp).hostname):
            raise UserError(f"AGENTOS_OTLP is the address of a collector, http://HOST:PORT, and not {otlp!r}")
        if off or not (otlp or said):
            return
        try:
            self._open(otlp, version)
        except ImportError:
            if otlp:
                raise UserError(_MISSING) from None
            log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set: %s", _MISSING)

    def _open(self, otlp: str, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "agentos"}
        exporter = OTLPSpanExporter(endpoint=f"{otlp.rstrip('/')}/v1/traces" if otlp else None)
        # It is not made the process's: libraries that trace by that would send what they see, arguments too.
        self._provider = TracerProvider(
            resource=Resource.create({**name, "service.version": version}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("agentos", version)

    @property
    def on(self) -> bool:
        """Whether traces are sent."""
        return self._tracer is not None

    @contextlib.contextmanager
    def request(self, name: str, method: str, parent: str) -> Iterator[Span]:
        """The span of a request; what is done for it comes under it.

        Args:
            name: The request's id.
            method: Of HTTP.
            parent: The caller's `traceparent` (W3C Trace Context); empty where there is none.
        """
        if self._tracer is None:
            yield _NOTHING
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Without `tracestate`, which is text of others and of no use here.
        outer = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {})
        known = method if method in _METHODS else "_OTHER"
        with _under(_Place(self._tracer, outer, name), known, SpanKind.SERVER, {"http.request.method": known}) as made:
            yield made

    async def close(self) -> None:
        """Sends what is left, and takes no more."""
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)


@contextlib.contextmanager
def span(name: str, *, client: bool = False, **attributes: Attribute) -> Iterator[Span]:
    """A part of the request under way; nothing outside of one, or where no traces are sent.

    Args:
        name: What is done, in few different words.
        client: Whether something else does it: an engine.
        attributes: What is known of it, `gen_ai__request__model` for `gen_ai.request.model`.
    """
    place = _here.get()
    if place is None:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind

    said = {key.replace("__", "."): value for key, value in attributes.items()}
    with _under(place, name, SpanKind.CLIENT if client else SpanKind.INTERNAL, said) as made:
        yield made


@contextlib.contextmanager
def _under(place: _Place, name: str, kind: Any, attributes: Mapping[str, Attribute]) -> Iterator[Span]:
    from opentelemetry.trace import set_span_in_context

    said = {**attributes, "agentos.request.id": place.request}
    made = place.tracer.start_span(name, place.context, kind, said, record_exception=False)
    told = Span(made)
    token = _here.set(_Place(place.tracer, set_span_in_context(made, place.context), place.request))
    try:
        yield told
    except AgentosError as error:
        told.fail(type(error).__name__)
        raise
    except BaseException as error:
        told.fail("cancelled" if isinstance(error, asyncio.CancelledError) else "bug")
        raise
    finally:
        _here.reset(token)
        made.end()
