"""Ten thousand requests that no client of ours sends: each is refused as the asker's fault, and the system goes on."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import Agentos
from .served import served as serving

COUNT = 10_000
RAW = 600
"""Of those, ones that are not HTTP, or hardly."""
READS = (
    "/v1/status", "/v1/syscalls", "/v1/names", "/v1/brief", "/v1/approvals", "/v1/rules", "/v1/users", "/v1/keys",
    "/v1/groups", "/v1/roles", "/v1/roles/{}", "/v1/quotas?user={}", "/v1/reviews", "/v1/reviews/{}",
    "/v1/audit?since={}",
    "/v1/audit?limit={}", "/v1/audit/export?since={}", "/v1/policy", "/v1/kernel", "/v1/kernel/feedback", "/v1/mounts",
    "/v1/secrets", "/v1/ps", "/v1/jobs?state={}", "/v1/top", "/v1/training/{}/events", "/metrics", "/v1/models",
    "/v1/models/{}", "/v1/responses/{}", "/{}", "/v1/{}",
)
FIELDS: dict[str, tuple[str, ...]] = {
    "POST /v1/syscalls/models.generate": ("args", "yes", "session"),
    "POST /v1/syscalls/jobs.submit": ("args", "yes", "session"),
    "POST /v1/syscalls/resources.query": ("args", "yes", "session"),
    "POST /v1/syscalls/{}": ("args", "yes", "session"),
    "POST /v1/runs": ("text", "session", "plan"),
    "POST /v1/runs/{}/cancel": ("x",),
    "POST /v1/plans": ("text", "id", "batch"),
    "POST /v1/approvals/{}": ("answer", "reason", "session"),
    "POST /v1/policy/explain": ("syscall", "user", "args", "owner"),
    "POST /v1/chat/completions": ("model", "messages", "max_tokens", "temperature", "stream", "tools", "stop"),
    "POST /v1/completions": ("model", "prompt", "max_tokens", "stream", "n"),
    "POST /v1/embeddings": ("model", "input", "encoding_format"),
    "POST /v1/responses": ("model", "input", "stream", "tools"),
    "POST /v1/users": ("name", "role", "service"),
    "PUT /v1/users/{}": ("role",),
    "POST /v1/keys": ("user", "role", "scope", "read_only", "expires"),
    "DELETE /v1/keys/{}": ("x",),
    "DELETE /v1/rules/{}": ("x",),
    "POST /v1/groups": ("name",),
    "DELETE /v1/groups/{}": ("x",),
    "PUT /v1/groups/{}/members/{}": ("x",),
    "POST /v1/groups/{}/give": ("kind", "name"),
    "POST /v1/roles": ("name", "base", "allow", "forbid"),
    "DELETE /v1/roles/{}": ("x",),
    "PUT /v1/quotas": ("subject", "resource", "period", "amount"),
    "DELETE /v1/quotas": ("subject", "resource", "period"),
    "POST /v1/reviews/{}/release": ("reason",),
    "POST /v1/reviews/{}/refuse": ("reason",),
    "POST /v1/kernel/corrections": ("text", "plan"),
    "POST /v1/kernel/wording": ("plan",),
    "POST /v1/kernel/feedback": ("agreed",),
    "POST /v1/kernel/keep": ("run",),
    "POST /v1/kernel/mean": ("adapters",),
    "POST /v1/kernel/promote": ("adapter", "scores", "threshold"),
    "PUT /v1/secrets/{}": ("value",),
    "DELETE /v1/secrets/{}": ("x",),
}
HARMFUL = ("POST /v1/stop", "POST /v1/kernel/train", "POST /v1/kernel/rollback", "POST /v1/mounts", "POST /mcp")
"""What an empty object would be a sound request to, or what starts programs: these get bodies that are no object."""
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**63, 2**70, -(2**70), 10**400, 1e308, -0.0, 1e-320, float("nan"), float("inf"),
    "",
    " ", "x", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\U0001f600", "\u202e", "é" * 300, "x" * 3_000,
    "../../etc/passwd",
    "'; drop table users; --", "${jndi:ldap://x}", "%s%n", "\r\nX-Header: 1", "no-such-thing", "models.list", "once",
    "session", "litellm:", "9" * 5000, "-1", "1e999", "day", "user:", "user:\x00", [], [[]], [None], ["x"], ["\ud800"],
    [1, "x", None], [{}], {}, {"x": {}}, {"": ""}, {"\ud800": 1}, {"$ref": "s1.model"}, {"$ref": 5}, {"role": "user"},
    [{"role": "user", "content": None}], [{"role": "nobody", "content": "x"}], [{"id": 1, "text": 2}], {"steps": 5},
    {"steps": [{}]}, {"steps": [{"syscall": 7, "args": 3}]}, {"model": None, "prompt": []}, {"command": "\x00"},
    {"kind": "all", "top": 10**30}, {"kind": "\ud800"}, {"top": "\ud800"},
)


@dataclass
class Served:
    """A door, and what it has said."""

    host: str
    port: int
    keys: dict[str, str]
    agentos: Agentos
    said: Path
    """What the system writes down."""
    statuses: Counter[int] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=60)


@pytest.fixture
def served(tmp_path: Path, script: Path) -> Iterator[Served]:
    agentos, said = Agentos(tmp_path / "home", script), tmp_path / "said"
    with serving(agentos, said) as url:
        keys = {role: str(agentos.json("keys", "create", "--json", "--user", role[0] * 3, "--role", role)["key"])
                for role in ("admin", "operator", "viewer")}
        yield Served("127.0.0.1", int(url.rpartition(":")[2]), keys, agentos, said)


def word(dice: random.Random) -> str:
    """A part of a path, as it may be sent."""
    return dice.choice([
        "x", "%00", "%ff%fe", "..%2f..%2fetc", "%", "%zz", "a" * 3000, "%ED%A0%80", "-1", "9" * 400, "%F0%9F%98%80",
        "a%0d%0ab",
        "%22%27", "r1", ".", "%2e%2e", "null", "{}", "*", "%C0%AF",
    ])


def nested(dice: random.Random) -> str:
    """JSON that is deeper than anybody reads."""
    deep = dice.choice([50, 500, 5_000, 20_000])
    return dice.choice(["[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep, "[" * deep,
    '{"args":' + "[" * deep])


def broken(dice: random.Random) -> bytes:
    """What is no JSON object."""
    sound = b'{"text": "x", "args": {"a": [1, 2]}, "session": ""}'
    wide = '{"text": "x"}'.encode(dice.choice(["utf-16", "utf-32", "utf-16-be"]))
    return dice.choice([
        dice.randbytes(dice.randrange(1, 400)), nested(dice).encode(), b"9" * dice.choice([4000, 5000, 20_000]),
        dice.choice([b"[]", b"1", b'"x"', b"null", b"true", b"NaN", b"-Infinity", b"[{}]", b"1e999"]),
        sound[: dice.randrange(1, len(sound) - 1)], wide[: dice.choice([9, 27])] + b"\x80", b'{"text": "\xff\xfe"}',
        b'{"a": ' + b"1" * dice.choice([10, 5000]) + b"e" + b"9" * 400 + b",}", b"{" * dice.choice([1, 1000]),
    ])


def wrong(dice: random.Random, names: tuple[str, ...]) -> bytes:
    """An object whose values are not what they should be."""
    given = {name: dice.choice(JUNK) for name in names if dice.random() < 0.7}
    if dice.random() < 0.15:
        given[str(dice.choice(["extra", "", "__proto__", "\ud800"]))] = dice.choice(JUNK)
    return json.dumps(given).encode()


def headers(dice: random.Random, key: str) -> dict[str, str]:
    """Headers, some odd."""
    found = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    odd = {
        "Content-Type": ["", "text/plain", "application/xml", "application/json; charset=utf-7", "\xff",
        "multipart/form-data"],
        "Accept": ["application/x-ndjson", "", "*/*;q=x", "\xff", "text/event-stream", "a" * 4000],
        "X-Agentos-As": ["ada", "", " ", "\xff", "x" * 500], "X-Agentos-Door": ["repl", "\xff", ""],
        "X-Agentos-Folder": ["%00", "/etc", "%ff", "%", "relative"], "Cookie": ["a=b;" * 500], "Expect": ["200-maybe"],
        "Authorization": ["Bearer", "Bearer \xff", "Basic x", "", f"Bearer {key}x", "Bearer " + "k" * 5000,
        f"bearer  {key}"],
        "Range": ["bytes=0-"], "If-None-Match": ["*"], "Mcp-Session-Id": ["\xff", "x"], "Content-Encoding": ["gzip"],
    }
    for name in dice.sample(sorted(odd), dice.choice([0, 0, 1, 2])):
        found[name] = dice.choice(odd[name])
    return found


def request(dice: random.Random) -> tuple[str, str, bytes | None, str]:
    """Method, path, body and whose key it comes with."""
    role = dice.choice(["admin", "operator", "viewer"])
    kind = dice.random()
    if kind < 0.2:
        method = dice.choice(["GET", "GET", "GET", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW"])
        body, path = None, dice.choice(READS)
    elif kind < 0.25:
        method, path = dice.choice(HARMFUL).split(" ")
        body = broken(dice)
    else:
        method, path = (chosen := dice.choice(sorted(FIELDS))).split(" ")
        body = broken(dice) if kind < 0.5 else wrong(dice, FIELDS[chosen])
    while "{}" in path:
        path = path.replace("{}", word(dice).replace("{}", "()"), 1)
    return method, path, body, role


def raw(dice: random.Random, key: str) -> bytes:
    """What is hardly HTTP."""
    auth = f"Host: localhost\r\nAuthorization: Bearer {key}\r\n".encode()
    return dice.choice([
        dice.randbytes(dice.randrange(1, 2000)), b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"\r\n" * 500,
        b"GET /v1/status HTTP/9.9\r\n" + auth + b"\r\n",
        b"POST /v1/runs HTTP/1.1\r\n" + auth + b"Content-Length: -5\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\n" + auth + b"Content-Length: " + b"9" * 60 + b"\r\n\r\n{}",
        b"POST /v1/runs HTTP/1.1\r\n" + auth + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\n" + auth + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n" + auth + b"\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + auth * 40 + b"\r\n",
        b"GET /v1/status\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(200), b"\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET http://[::1 HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\n" + auth + b"Content-Length: 50\r\n\r\n{",
    ])


def send(served: Served, connection: http.client.HTTPConnection, dice: random.Random) -> None:
    method, path, body, role = request(dice)
    given = headers(dice, served.keys[role])
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in given.items():
        connection.putheader(name, value.encode("latin-1"))
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    said = connection.getresponse()
    answer = said.read()
    served.statuses[said.status] += 1
    failed = said.status >= 500 or b"something in agentos broke" in answer or b"something inside went wrong" in answer
    if failed:
        sent = f"{method} {path[:120]} {body[:300] if body else None!r} {given}"
        served.bad.append(f"{sent}: {said.status} {answer[:300]!r}")


def test_ten_thousand_malformed_requests_are_the_askers_fault_and_the_system_goes_on(served: Served) -> None:
    dice = random.Random(20260501)
    connection = served.open()
    for _ in range(COUNT - RAW):
        try:
            send(served, connection, dice)
        except (http.client.HTTPException, OSError):  # cut off, which may be: for what is over-long, say
            served.statuses[0] += 1
            connection.close()
            connection = served.open()
    connection.close()
    for _ in range(RAW):
        with socket.create_connection((served.host, served.port), timeout=60) as plain, contextlib.suppress(OSError):
            plain.sendall(raw(dice, served.keys["viewer"]))
            plain.shutdown(socket.SHUT_WR)
            first = plain.recv(4096)
            status = re.match(rb"HTTP/1\.1 (\d+)", first)
            served.statuses[int(status[1]) if status else 0] += 1
            if status and int(status[1]) >= 500:
                served.bad.append(f"raw: {first[:200]!r}")
    assert not served.bad, "\n".join([f"{len(served.bad)} answers", *served.bad[:20]])
    assert served.statuses.total() >= COUNT - RAW and served.statuses[0] < COUNT / 20, served.statuses
    assert served.statuses[400] > COUNT / 10 and served.statuses[401] > 100, served.statuses
    log = served.said.read_text("utf-8")
    assert "Traceback" not in log, log[log.index("Traceback"):][:3000]
    shown = served.agentos.json("status", "--json")
    assert shown["ready"] is True
    assert {user["role"] for user in served.agentos.json("users",
    "--json")["users"] if user["name"] == "vvv"} == {  # type: ignore[attr-defined]
        "viewer"
    }
    verified = served.agentos.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
