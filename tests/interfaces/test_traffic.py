"""Doors held to load: queues, rates, clients that go away, the end in good order, ids and life signs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import httpx
import pytest
import uvicorn

from agentos.interfaces.http import build
from agentos.interfaces.http_auth import Prompt
from agentos.interfaces.http_traffic import Rates
from agentos.interfaces.openai_lanes import Lane

from .conftest import Agentos, kill
from .live import Live, running
from .test_server import until_ready


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A system where one request may wait for a model, and each key may ask twenty times a minute."""
    with running(tmp_path_factory.mktemp("narrow"), http_queue=1, http_rate=20) as made:
        yield made


def client(live: Live, user: str = "otto", **more: Any) -> httpx.Client:
    return httpx.Client(base_url=live.base, headers={"authorization": f"Bearer {live.keys[user]}"}, timeout=60, **more)


def chat(said: str, **more: Any) -> dict[str, Any]:
    return {"model": "talker", "messages": [{"role": "user", "content": said}], **more}


def until(true: Callable[[], bool]) -> None:
    """Waits, 30 seconds at most."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def last_answer(live: Live) -> tuple[int, str]:
    """How many answers the trail has, and what became of the newest."""
    async def look() -> Any:
        return live.system.audit.search(
            user=None, syscall="models.generate", decision=None, since=None, caller=live.system.people.owner()
        )

    found = live.do(look)
    return found.total, found.rows[0].outcome if found.rows else ""


def test_one_waits_the_next_is_told_to_come_back(narrow: Live) -> None:
    slow, plain = chat("slowly", stream=True), chat("plainly", stream=True)
    with client(narrow) as http, http.stream("POST", "/chat/completions", json=slow) as first:
        lines = first.iter_lines()
        assert next(lines).startswith("data: ")
        with http.stream("POST", "/chat/completions", json=plain) as second:
            waiting = second.iter_lines()
            assert re.match(r": place 1 in the queue, about \d+ s", next(waiting))
            third = http.post("/chat/completions", json=chat("plainly"))
            assert third.status_code == 429 and int(third.headers["retry-after"]) >= 1
            error = third.json()["error"]
            assert error["code"] == "queue_full" and "number 2" in error["message"]
            assert "data: [DONE]" in [*lines] and "data: [DONE]" in [*waiting]


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(narrow: Live) -> None:
    with client(narrow, "vera") as http:
        answers = [http.get("/models") for _ in range(22)]
    assert [answer.status_code for answer in answers[:20]] == [200] * 20
    last = answers[-1]
    assert last.status_code == 429 and 1 <= int(last.headers["retry-after"]) <= 3
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert last.headers["x-ratelimit-limit-requests"] == "20" and answers[0].headers["x-ratelimit-remaining-requests"]
    with client(narrow) as http:
        assert http.get("/models").status_code == 200


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    rates = Rates(60, lambda: now[0])
    assert [rates.take("a").wait > 0 for _ in range(61)] == [False] * 60 + [True]
    assert rates.take("b").left == 59
    now[0] += 2.5
    assert [rates.take("a").wait > 0 for _ in range(3)] == [False, False, True]
    assert rates.take("a").wait == pytest.approx(0.5)


@pytest.mark.asyncio
async def test_a_lane_expects_what_answers_took_and_gives_slots_in_order() -> None:
    import asyncio

    now, told, order = [0.0], [], []
    lane = Lane(lambda: 2, 10, lambda: now[0], lambda more: None)

    async def place(at: Any) -> None:
        told.append((at.position, at.wait))

    gates = [asyncio.Event() for _ in range(5)]

    async def one(at: int) -> None:
        async with lane.turn(place):
            order.append(at)
            await gates[at].wait()

    tasks = [asyncio.create_task(one(at)) for at in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0, 1] and [position for position, _ in told] == [1, 2, 3] and lane.waiting == 3
    now[0] = 8.0
    gates[0].set()
    until_ = asyncio.create_task(_until(lambda: 2 in order))
    await until_
    tasks[3].cancel()  # who gives up in the queue makes room for the next
    gates[1].set()
    await _until(lambda: 4 in order)
    assert order == [0, 1, 2, 4]
    assert lane.place(0).wait == 8.0
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert lane.running == 0 and lane.waiting == 0


async def _until(true: Callable[[], bool]) -> None:
    import asyncio

    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_slot(live: Live, stream: bool) -> None:
    before = last_answer(live)[0]
    with client(live) as http:
        if stream:
            with http.stream("POST", "/chat/completions", json=chat("slowly", stream=True)) as answer:
                next(answer.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                http.post("/chat/completions", json=chat("slowly"), timeout=0.5)
        until(lambda: last_answer(live) == (before + 1, "cancelled"))
        assert http.post("/chat/completions", json=chat("plainly")).status_code == 200


def test_every_response_has_an_id_and_one_that_was_sent_is_kept(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    with client(live) as http, caplog.at_level("INFO", logger="agentos.http"):
        given = {"x-request-id": "abc.1"}
        assert http.post("/chat/completions", json=chat("plainly"), headers=given).headers["x-request-id"] == "abc.1"
        odd = http.post("/nothing", headers={"x-request-id": "a b@c"}).headers["x-request-id"]
        denied = http.get("/models", headers={"authorization": "Bearer x"})
    assert odd.startswith("req-") and denied.status_code == 401 and denied.headers["x-request-id"]
    logged = [record.getMessage() for record in caplog.records if record.name == "agentos.http"]
    assert any(re.match(r"id=abc\.1 method=POST route=/v1/chat/completions status=200 ms=", said) for said in logged)
    assert not any("plainly" in said for said in logged)


def test_life_signs_take_no_key_and_metrics_do(live: Live) -> None:
    assert httpx.get(f"{live.url}/live").json() == {"live": True}
    assert httpx.get(f"{live.url}/ready", headers={"host": "elsewhere.example"}).json() == {"ready": True}
    assert httpx.get(f"{live.url}/metrics").status_code == 401
    with client(live, "vera") as http:
        http.get("/models")
        told = http.get(f"{live.url}/metrics").text
    assert re.search(r'agentos_http_requests_total\{route="/v1/models",status="200"\} [1-9]', told)
    assert "agentos_http_queued 0.0" in told


def test_answers_under_way_are_given_until_the_end(fresh: Agentos) -> None:
    fresh.home.mkdir(parents=True)
    script = fresh.home / "slow.yaml"
    script.write_text('- {when: "slow", say: "none()", wait: 2}\n', "utf-8")
    system = Agentos(fresh.home, script)
    with system.popen("serve", "--http", "127.0.0.1:0") as server:
        url = re.search(r"http://127\.0\.0\.1:\d+", until_ready(server))
        assert url
        key = str(system.json("keys", "create", "--user", "otto", "--role", "operator", "--json")["key"])
        head, answers = {"authorization": f"Bearer {key}"}, []
        asked = {"model": "agentos", "messages": [{"role": "user", "content": "slow"}]}

        def ask() -> None:
            answers.append(httpx.post(f"{url[0]}/v1/chat/completions", json=asked, headers=head, timeout=60))

        thread = threading.Thread(target=ask)
        thread.start()
        until(lambda: "agentos_http_answering 1.0" in httpx.get(f"{url[0]}/metrics", headers=head).text)
        server.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{url[0]}/ready").status_code == 503)
        assert httpx.get(f"{url[0]}/live").status_code == 200
        refused = httpx.post(f"{url[0]}/v1/chat/completions", json=asked, headers=head)
        assert refused.status_code == 503 and refused.headers["retry-after"]
        thread.join(60)
        assert server.stderr
        server.stderr.read()
    assert server.returncode == 0
    assert [answer.status_code for answer in answers] == [200] and "nothing was run" in json.dumps(answers[0].json())
    kill(system)


def test_a_key_has_one_bucket_however_it_is_written(narrow: Live) -> None:
    async def made() -> str:
        return narrow.system.people.create_key("vera").key

    key = narrow.do(made)
    forms = (f"{word} {' ' * spaces}{key}" for word in ("Bearer", "bearer", "BEARER") for spaces in range(8))
    codes = [httpx.get(f"{narrow.base}/me", headers={"authorization": form}).status_code for form in forms]
    assert codes[:20] == [200] * 20 and codes[20:] == [429] * 4


def test_who_may_not_ask_takes_nobodys_place_and_is_told_no_at_once(live: Live, narrow: Live) -> None:
    slow = chat("slowly", stream=True)
    with client(narrow, "ada") as http, http.stream("POST", "/chat/completions", json=slow) as first:
        assert first.status_code == 200
        with http.stream("POST", "/chat/completions", json=slow) as second:  # the one that may wait
            assert second.status_code == 200
            with client(narrow, "vera") as other:
                said = other.post("/chat/completions", json=chat("plainly"))
            assert said.status_code == 403 and "denied to vera" in said.text


@pytest.mark.parametrize("sent", [
    b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nG",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\nx",
    b"GET /page/style.css HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 4000,
], ids=["begun", "unended", "unread"])
def test_a_connection_without_a_key_on_which_nothing_comes_to_its_end_is_cut_off(live: Live, sent: bytes) -> None:
    with prompt(live) as (port, kind), socket.create_connection(("127.0.0.1", port)) as mine:
        mine.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            mine.send(sent)
        until(lambda: bool(kind._open))
        until(lambda: not kind._open)


def test_a_request_with_a_key_may_take_its_time(live: Live) -> None:
    with prompt(live) as (port, kind), client(live) as http:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        for _ in range(2):
            said = http.post(url, json=chat("slowly"))
            assert said.status_code == 200 and "twelve" in said.text


@contextlib.contextmanager
def prompt(live: Live) -> Iterator[tuple[int, type[Prompt]]]:
    """The door for other machines, less patient, and what counts its connections."""
    class Quick(Prompt):
        patience = 0.5
        _open: ClassVar[set[Prompt]] = set()

    listener = socket.create_server(("127.0.0.1", 0))
    app = build(live.system, lambda: None, set())
    server = uvicorn.Server(uvicorn.Config(app, http=Quick, lifespan="off", log_config=None, timeout_keep_alive=60))

    async def serve() -> asyncio.Task[None]:
        return asyncio.create_task(server._serve([listener]))

    async def end() -> None:
        server.should_exit = True
        await serving

    serving = live.do(serve)
    try:
        until(lambda: server.started)
        yield listener.getsockname()[1], Quick
    finally:
        live.do(end)
        listener.close()
