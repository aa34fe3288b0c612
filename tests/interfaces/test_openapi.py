"""The description of the doors."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from agentos.interfaces.http_bodies import BODIES, QUERIES
from agentos.mounts.spec import Spec

from .live import Live


@pytest.fixture
def told(live: Live) -> dict[str, Any]:
    head = {"authorization": f"Bearer {live.keys['vera']}"}
    said: dict[str, Any] = httpx.get(f"{live.url}/openapi.json", headers=head).json()
    return said


def test_every_syscall_is_described_with_its_arguments(live: Live, told: dict[str, Any]) -> None:
    for call in live.system.registry:
        said = told["paths"][f"/v1/syscalls/{call.name}"]["post"]
        body = said["requestBody"]["content"]["application/json"]["schema"]
        assert {*body["properties"]["args"].get("properties", {})} == {param.name for param in call.params}
        assert said["summary"] == call.doc


def test_every_described_body_is_one_of_an_endpoint(told: dict[str, Any]) -> None:
    there = {f"{method.upper()} {path}" for path, said in told["paths"].items() for method in said}
    assert {*BODIES, *QUERIES} <= there
    for wanted in ("POST /v1/chat/completions", "POST /v1/runs", "GET /v1/approvals", "GET /v1/audit", "GET /v1/jobs",
                   "GET /metrics", "GET /live", "GET /ready", "DELETE /v1/responses/{id}"):
        assert wanted in there


def test_a_mounts_body_is_all_that_a_server_is_described_by() -> None:
    assert {*BODIES["POST /v1/mounts"]} - {"name!"} == {*Spec.__dataclass_fields__}


def test_every_reference_and_place_has_what_it_names(told: dict[str, Any]) -> None:
    named = {*re.findall(r"#/components/schemas/(\w+)", str(told))}
    assert named <= {*told["components"]["schemas"]}
    for path, said in told["paths"].items():
        for operation in said.values():
            places = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert places == {*re.findall(r"{(\w+)}", path)}, path


def test_what_a_query_may_say_is_what_is_taken(live: Live, told: dict[str, Any]) -> None:
    head = {"authorization": f"Bearer {live.keys['ada']}"}
    tried = 0
    for path, said in told["paths"].items():
        for query in said.get("get", {}).get("parameters", ()):
            for value in query["schema"].get("enum", ()):
                tried += 1
                assert httpx.get(f"{live.url}{path}", params={query["name"]: value}, headers=head).status_code == 200
    assert tried > 10
    assert httpx.get(f"{live.url}/v1/syscalls", params={"schema": "odd"}, headers=head).status_code == 400


def test_the_document_is_openapi(told: dict[str, Any]) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    loaded = schemathesis.openapi.from_dict(told)
    assert len([*loaded.get_all_operations()]) > 60
    loaded.validate()
