import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from .conftest import Agentos, kill
from .test_server import until_ready


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(self.body)
        return said


@dataclass(frozen=True)
class Door:
    """A system on TCP, as another program sees it."""

    url: str
    keys: dict[str, str]

    def ask(self, method: str, path: str, body: object = None, *, user: str = "ada", **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {self.keys[user]}"} if user else {}
        given |= {name.replace("_", "-"): said for name, said in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, response.read().decode(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, script: object) -> Iterator[Door]:
    agentos = Agentos(tmp_path_factory.mktemp("tcp"), script)  # type: ignore[arg-type]
    with agentos.popen("serve", "--http", "127.0.0.1:0") as server:
        seen = until_ready(server)
        found = re.search(r"http://127\.0\.0\.1:\d+", seen)
        assert found, seen
        keys = {"ada": "admin", "otto": "operator", "vera": "viewer"}
        create = ("keys", "create", "--json")
        made = {u: str(agentos.json(*create, "--user", u, "--role", r)["key"]) for u, r in keys.items()}
        yield Door(found[0], made)
        kill(agentos)
        assert server.stderr
        server.stderr.read()


def test_without_a_key_nothing_is_told(door: Door) -> None:
    for path in ("/v1/status", "/v1/syscalls", "/v1/approvals", "/nothing"):
        said = door.ask("GET", path, user="")
        assert said.status == 401
        assert said.json["error"]["type"] == "unauthorized"  # type: ignore[index]
    assert door.ask("POST", "/v1/stop", {}, user="").status == 401


@pytest.mark.parametrize("header", ["Bearer ak_wrong", "Bearer ", "Basic YTpi", "Bearer \xe9", "ak_wrong"])
def test_a_wrong_key_opens_nothing(door: Door, header: str) -> None:
    assert door.ask("GET", "/v1/status", user="", Authorization=header).status == 401


def test_a_page_under_another_name_cannot_ask(door: Door) -> None:
    assert door.ask("GET", "/v1/status", Host="evil.example").status == 403
    assert door.ask("GET", "/v1/status", Host="localhost:1").status == 200


def test_a_key_speaks_for_its_holder_alone(door: Door) -> None:
    assert door.ask("GET", "/v1/names", X_Agentos_As="vera").status == 403


def test_status_and_the_table_are_told(door: Door) -> None:
    assert door.ask("GET", "/v1/status").json["ready"] is True
    names = [entry["name"] for entry in door.ask("GET", "/v1/syscalls", user="vera").json["syscalls"]]  # type: ignore[attr-defined]
    assert "models.list" in names
    assert door.ask("GET", "/v1/names", user="vera").json["model"]


def test_a_call_gives_its_result(door: Door) -> None:
    said = door.ask("POST", "/v1/syscalls/resources.query", {"args": {"kind": "memory"}}, user="vera")
    assert said.status == 200
    assert said.json["memory"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/syscalls/models.nope", {}, 404, "models.nope"),
        ("/v1/syscalls/models.list", {"args": {"state": "odd"}}, 400, "odd"),
        ("/v1/syscalls/models.list", {"args": []}, 400, "args"),
        ("/v1/syscalls/models.list", {"state": "loaded"}, 400, "goes in 'args'"),
        ("/v1/syscalls/models.list", [], 400, "object"),
        ("/v1/syscalls/models.list", b"{", 400, "JSON"),
        ("/v1/syscalls/models.list", b"\xff\xfe", 400, "JSON"),
        ("/v1/syscalls/models.list", b"[" * 100_000, 400, "JSON"),
        ("/v1/syscalls/models.list", b" " * (1024 * 1024 + 1), 413, "longer"),
        ("/v1/runs", {}, 400, "text"),
        ("/v1/runs", {"text": 3}, 400, "text"),
        ("/v1/runs", {"text": "  "}, 400, "empty"),
        ("/v1/plans", {}, 400, "text"),
        ("/v1/plans", {"batch": ["x"]}, 400, "batch"),
        ("/v1/approvals/none", {"answer": "perhaps"}, 400, "answer"),
        ("/v1/runs/none/cancel", {}, 404, "none"),
        ("/v1/keys", {"user": "x", "role": "king"}, 400, "role"),
        ("/v1/nothing", {}, 404, "nothing"),
        ("/v1/status", {}, 405, "POST"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(door: Door, path: str, body: object, status: int, says: str) -> None:
    said = door.ask("POST", path, body)
    assert (said.status, set(said.json)) == (status, {"error"})
    assert says in said.json["error"]["message"]  # type: ignore[index]
    assert "Traceback" not in said.body


def test_what_policy_denies_is_403(door: Door) -> None:
    said = door.ask("POST", "/v1/syscalls/models.delete", {"args": {"model": "smollm2-135m"}, "yes": True}, user="vera")
    assert said.status == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/users"), ("GET", "/v1/keys"), ("POST", "/v1/keys"), ("PUT", "/v1/users/vera"),
     ("DELETE", "/v1/keys/x"), ("POST", "/v1/stop")],
)
@pytest.mark.parametrize("user", ["otto", "vera"])
def test_people_and_the_end_of_the_system_are_an_administrators(door: Door, method: str, path: str, user: str) -> None:
    assert door.ask(method, path, {"user": "vera", "role": "admin"}, user=user).status == 403


def test_a_held_call_is_409_with_an_approval_that_a_person_answers(door: Door) -> None:
    said = door.ask("POST", "/v1/syscalls/models.delete", {"args": {"model": "smollm2-135m"}})
    assert said.status == 409
    approval = said.json["error"]["approval"]  # type: ignore[index]
    assert [row["id"] for row in door.ask("GET", "/v1/approvals").json["approvals"]] == [approval]  # type: ignore[attr-defined]
    assert door.ask("GET", "/v1/approvals", user="otto").json == {"approvals": [], "expired": []}
    answered = door.ask("POST", f"/v1/approvals/{approval}", {"answer": "no", "reason": "kept"})
    last = json.loads(answered.body.splitlines()[-1])
    assert (last["event"], last["ok"], last["exit_code"]) == ("end", False, 3)
    again = door.ask("POST", f"/v1/approvals/{approval}", {"answer": "once"})
    assert json.loads(again.body.splitlines()[-1])["exit_code"] == 2


def test_an_operator_cannot_answer_anothers_held_call(door: Door) -> None:
    said = door.ask("POST", "/v1/syscalls/models.delete", {"args": {"model": "all-minilm-l6"}})
    approval = said.json["error"]["approval"]  # type: ignore[index]
    answered = door.ask("POST", f"/v1/approvals/{approval}", {"answer": "once"}, user="otto")
    assert json.loads(answered.body.splitlines()[-1])["exit_code"] == 3
    assert door.ask("POST", f"/v1/approvals/{approval}", {"answer": "no"}).status == 200


def test_a_run_is_a_stream_of_events_that_all_name_it(door: Door) -> None:
    said = door.ask("POST", "/v1/runs", {"text": "how much memory is free?"})
    assert said.headers["content-type"] == "application/x-ndjson"
    events = [json.loads(line) for line in said.body.splitlines()]
    kinds = [event["event"] for event in events]
    assert "plan" in kinds and "result" in kinds and kinds[-1] == "end"
    assert len({event["run"] for event in events}) == 1


def test_a_batch_of_plans_streams_in_order(door: Door) -> None:
    batch = [{"id": 1, "text": "two things"}, {"id": "x", "text": ""}, {"id": 3, "text": "weather"}]
    lines = door.ask("POST", "/v1/plans", {"batch": batch}).body.splitlines()
    plans = [json.loads(line) for line in lines]
    assert [plan["id"] for plan in plans] == [1, "x", 3]
    assert "error" in plans[1]


def test_a_revoked_key_and_a_lowered_role_hold_at_once(door: Door) -> None:
    made = door.ask("POST", "/v1/keys", {"user": "eve", "role": "operator"})
    assert made.status == 201
    door.keys["eve"] = str(made.json["key"])
    assert door.ask("GET", "/v1/status", user="eve").status == 200
    assert str(made.json["key"]) not in door.ask("GET", "/v1/keys").body
    assert door.ask("PUT", "/v1/users/eve", {"role": "viewer"}).status == 200
    assert door.ask("DELETE", f"/v1/keys/{made.json['id']}").status == 200
    assert door.ask("GET", "/v1/status", user="eve").status == 401
    assert door.ask("DELETE", "/v1/keys/none").status == 404


def test_another_machines_client_is_the_same_client(door: Door, agentos: Agentos) -> None:
    env = {**agentos.env, "AGENTOS_URL": door.url, "AGENTOS_KEY": door.keys["vera"]}

    def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agentos", *args], env={**env, **more}, capture_output=True, text=True, check=False
        )

    assert run("call", "models.list", "--json").returncode == 0
    assert run("users").returncode == 3
    assert run("status", AGENTOS_KEY="ak_wrong").returncode == 3
    far = run("status", AGENTOS_URL="http://far.example:80")
    assert far.returncode == 2 and "https" in far.stderr
    assert run("status", AGENTOS_URL="http://127.0.0.1:1").returncode == 1


def test_what_is_no_plan_has_no_wording_and_is_the_askers_error(door: Door) -> None:
    for steps in ([1], [{"syscall": "models.fly"}], [{"id": "s1", "syscall": "models.load", "args": {"colour": 1}}], 3):
        said = door.ask("POST", "/v1/kernel/wording", {"plan": {"steps": steps}})
        assert 400 <= said.status < 500, (steps, said)
