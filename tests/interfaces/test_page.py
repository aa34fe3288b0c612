"""The page, in a real browser: Debian's Chromium, without a window."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentos.interfaces import http_page
from agentos.interfaces.plots import curve

from .conftest import Agentos, kill
from .page_server import RUN

api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
VIEWS = ("chat", "models", "jobs", "runs", "machine", "decisions")
SCRIPT = r"""
- {when: "memory is free|内存", say: 'resources.query(kind="memory")'}
- {when: "two things", say: "resources.query(kind=\"cpu\")\nmodels.list(state=\"stored\")"}
- {when: "run (.+) and watch", say: "jobs.submit(command=\"\\1\", name=\"watched\")\njobs.wait(job=s1.job)"}
- {when: "run (.+)", say: 'jobs.submit(command="\1")'}
- {when: "delete (\\S+)", say: 'models.delete(model="\1")'}
- {when: "tell me one", say: 'models.generate(model="talker", prompt="story")'}
- {when: "weather", say: "none()"}
- {when: "story", say: "Once upon a time there was <b>markup</b>, and nobody minded."}
- {when: "law", say: "In a lawsuit you say nothing."}
"""
RULES = "rules:\n  - {id: law, reason: legal advice is read first, do: hold, when: {topics: [lawsuit]}}\n"

@dataclass(frozen=True)
class Served:
    url: str
    keys: dict[str, str]

    def ask(self, method: str, path: str, body: object = None, user: str = "ada", **headers: str) -> tuple[int, Any]:
        given = {"Authorization": f"Bearer {self.keys[user]}"} if user else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {**given, **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "script.yaml").write_text(SCRIPT, "utf-8")
    agentos = Agentos(folder / "home", folder / "script.yaml")
    (agentos.home / "policies").mkdir(parents=True)
    (agentos.home / "policies" / "output.yaml").write_text(RULES, "utf-8")
    server = [sys.executable, str(Path(__file__).with_name("page_server.py"))]
    with subprocess.Popen(server, env=agentos.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        assert said, "the system did not start"
        yield Served(**json.loads(said))
        kill(agentos)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api.expect.set_options(timeout=15_000)
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


def refused(response: Any) -> bool:
    """Whether one of the page's own files was not given."""
    return "/page/" in response.url and response.status >= 400


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, served: Served) -> Iterator[Opened]:
    """Opens the page as somebody; what the browser complains of fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def open_(user: str = "ada", locale: str = "en-US", width: int = 1200, scheme: str = "light") -> Any:
        context = browser.new_context(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800})
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda said: complaints.append(said.url) if refused(said) else None)
        page.goto(served.url)
        if user:
            page.get_by_label("Key" if locale.startswith("en") else "密钥").fill(served.keys[user])
            page.keyboard.press("Enter")
            page.locator("#sentence").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    # What a status of 4xx says stands on the page; Chromium writes a line of its own on it.
    assert [said for said in complaints if "the server responded with a status of" not in said] == []


def say(page: Any, sentence: str) -> Any:
    """Says something; what came of it, once it has ended."""
    before = page.locator(".turn").count()
    page.locator("#sentence").fill(sentence)
    page.keyboard.press("Enter")
    card = page.locator(".turn").nth(before).locator(".card")
    card.locator("[data-state^=run_]").wait_for()
    return card


def test_the_files_of_the_page_take_no_key_and_nothing_else_is_open(served: Served) -> None:
    assert {"/", "/page/main.js", "/page/style.css", "/page/icon.svg"} <= http_page.PATHS
    for path in http_page.PATHS:
        assert served.ask("GET", path, user="")[0] == 200
        assert served.ask("POST", path, {}, user="")[0] == 401
    for path in ("/v1/me", "/page", "/page/", "/page/index.html", "/page/nothing.js", "//", "/page/../v1/me",
                 "/page/%2e%2e/v1/me", "/page/main.js/", "/%2fpage/main.js", "/PAGE/main.js", "/page/main.js%00"):
        assert served.ask("GET", path, user="")[0] == 401, path


def test_the_page_under_another_name_is_refused(served: Served) -> None:
    assert served.ask("GET", "/", user="", Host="evil.example")[0] == 403


def test_the_page_may_load_and_ask_nothing_but_its_own_address(served: Served) -> None:
    with urllib.request.urlopen(served.url) as response:
        policy, tag = response.headers["content-security-policy"], response.headers["etag"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "//" not in policy
    assert "require-trusted-types-for 'script'" in policy and "frame-ancestors 'none'" in policy
    assert served.ask("GET", "/", user="", **{"If-None-Match": tag})[0] == 304
    for path in http_page.PATHS - {"/page/icon.svg"}:
        text = served.ask("GET", path, user="")[1].decode()
        assert "innerHTML" not in text and "eval(" not in text
        assert "https://" not in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")


@needs_chromium
def test_a_wrong_key_is_told_and_a_right_one_stays_in_the_tab(opened: Opened, served: Served) -> None:
    page = opened(user="")
    page.get_by_label("Key").fill("ak_wrong")
    page.keyboard.press("Enter")
    api.expect(page.locator("#wrong")).to_contain_text("nobody holds this key")
    assert page.evaluate("sessionStorage.getItem('agentos-key')") is None
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.get_by_label("Key").fill(served.keys["vera"])
    page.keyboard.press("Enter")
    api.expect(page.locator("#about")).to_contain_text("vera")
    for name in VIEWS:
        page.locator(f"nav a[href='#{name}']").click()
        page.locator(".view h1").wait_for(state="attached")
    assert served.keys["vera"] not in page.content()
    assert all(url.startswith(served.url) and served.keys["vera"] not in url for url in asked)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Key").wait_for()
    assert page.evaluate("sessionStorage.getItem('agentos-key')") is None


@needs_chromium
def test_a_sentence_shows_its_plan_and_what_came_of_it(opened: Opened) -> None:
    page = opened()
    card = say(page, "how much memory is free?")
    api.expect(card.locator(".step[data-state=done]")).to_contain_text("resources.query")
    api.expect(card.locator("pre")).to_contain_text("available")
    api.expect(card.locator("footer")).to_contain_text("done")
    assert say(page, "two things").locator(".step[data-state=done]").count() == 2
    api.expect(say(page, "what is the weather like?").locator(".reply")).not_to_be_empty()


@needs_chromium
def test_a_step_that_waits_for_another_hangs_below_it_and_a_job_fills_its_bar(opened: Opened) -> None:
    page = opened()
    page.locator("#sentence").fill("run sleep 1; echo over and watch")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Approve once").click()
    api.expect(page.locator(".step .step")).to_contain_text("jobs.wait")
    page.locator(".step .step progress:visible").wait_for()
    api.expect(page.locator(".card footer")).to_contain_text("done")
    assert page.locator(".step[data-state=done]").count() == 2


@needs_chromium
def test_a_model_s_words_stream_as_text_and_never_as_markup(opened: Opened) -> None:
    page = opened()
    card = say(page, "tell me one")
    page.get_by_role("button", name="Approve once").click()
    api.expect(card.locator("pre.stream")).to_contain_text("Once upon a time there was <b>markup</b>")
    assert page.locator("b", has_text="markup").count() == 0


@needs_chromium
def test_a_held_call_is_shown_as_it_would_run_and_refused_with_a_reason(opened: Opened, served: Served) -> None:
    page = opened()
    trick = "<img/src=x/onerror=alert(1)>\u202ex"
    card = say(page, f"delete {trick}")
    held = card.get_by_role("region", name="This needs your yes")
    api.expect(held).to_contain_text("models.delete")
    api.expect(held).to_contain_text("<img/src=x/onerror=alert(1)>\\u202ex")
    api.expect(held).to_contain_text("destroy")
    assert card.locator("img").count() == 0
    held.get_by_label("Reason for a refusal").fill("not mine")
    held.get_by_role("button", name="Refuse").click()
    api.expect(held).to_contain_text("refused")
    api.expect(card).to_contain_text("not mine")
    assert b'"approvals":[]' in served.ask("GET", "/v1/approvals")[1]


@needs_chromium
def test_a_held_call_that_is_approved_goes_on_in_its_card(opened: Opened) -> None:
    page = opened()
    card = say(page, "delete nothing-like-it")
    card.get_by_role("button", name="Approve once").click()
    api.expect(card.locator(".error")).to_contain_text("nothing-like-it")
    api.expect(card.locator(".told")).to_have_text("approved")


@needs_chromium
def test_calls_that_wait_are_decided_beside_the_chat(opened: Opened, served: Served) -> None:
    asked = {"args": {"command": "echo theirs"}}
    approval = json.loads(served.ask("POST", "/v1/syscalls/jobs.submit", asked, "otto")[1])["error"]["approval"]
    page = opened()
    page.locator("nav a[href='#decisions']").click()
    held = page.get_by_role("region", name="This needs your yes")
    api.expect(held).to_contain_text("otto")
    api.expect(page.locator("#count")).to_have_text("1")
    held.get_by_role("button", name="Refuse").click()
    api.expect(held).to_contain_text("refused")
    api.expect(page.locator("#count")).to_be_hidden()
    assert approval.encode() not in served.ask("GET", "/v1/approvals")[1]


@needs_chromium
def test_a_reply_under_review_is_read_and_released_by_an_administrator(opened: Opened, served: Served) -> None:
    asked = {"args": {"model": "talker", "prompt": "law"}, "yes": True}
    review = json.loads(served.ask("POST", "/v1/syscalls/models.generate", asked, "otto")[1])["review"]
    page = opened()
    page.locator("nav a[href='#decisions']").click()
    box = page.locator(f"[data-id={review}]")
    box.get_by_role("button", name="Read").click()
    api.expect(box.locator("pre")).to_have_text("In a lawsuit you say nothing.")
    box.get_by_role("button", name="Refuse").click()
    api.expect(box.locator(".error")).to_contain_text("takes a reason")
    box.get_by_role("button", name="Release").click()
    api.expect(box.locator(".told")).to_have_text("released")
    theirs = opened(user="otto")
    theirs.locator("nav a[href='#decisions']").click()
    api.expect(theirs.get_by_text("No reply waits for review.")).to_be_visible()


@needs_chromium
def test_a_job_is_watched_and_ended(opened: Opened) -> None:
    page = opened()
    card = say(page, "run echo here; sleep 60")
    card.get_by_role("button", name="Approve once").click()
    api.expect(card.locator(".step[data-state=done]")).to_be_visible()
    page.locator("nav a[href='#jobs']").click()
    row = page.locator("tbody tr").first
    api.expect(row).to_contain_text("running")
    row.get_by_role("button", name="Output").click()
    api.expect(page.locator(".log")).to_contain_text("here")
    row.get_by_role("button", name="Cancel").click()
    page.locator(".active").get_by_role("button", name="Approve once").click()
    api.expect(row).to_contain_text("cancelled")
    api.expect(row.get_by_role("button", name="Cancel")).to_have_count(0)


@needs_chromium
def test_models_are_listed_and_what_cannot_be_loaded_says_why(opened: Opened) -> None:
    page = opened()
    page.locator("nav a[href='#models']").click()
    api.expect(page.locator("tbody tr", has_text="talker")).to_contain_text("ready")
    page.locator("tbody tr", has_text="smollm2-135m").get_by_role("button", name="Load").click()
    api.expect(page.locator(".active .error")).to_contain_text("offline")


@needs_chromium
def test_the_machine_is_drawn_over_time(opened: Opened) -> None:
    page = opened()
    page.locator("nav a[href='#machine']").click()
    api.expect(page.locator("figure svg").last).to_have_attribute("aria-label", re.compile("memory"))
    page.locator("figure path.curve >> nth=1").wait_for(state="attached")
    api.expect(page.locator(".gauge").first).to_contain_text("%")
    assert page.locator("tbody tr").count() > 1


@needs_chromium
def test_curves_have_the_points_that_the_command_line_draws(opened: Opened) -> None:
    page = opened()
    drawn = page.evaluate(
        """async (events) => {
            const { chart, curve } = await import("/page/chart.js");
            const series = [{ name: "training", points: curve(events, "loss") },
                            { name: "held out", points: curve(events, "loss", true) }];
            const figure = chart({ title: "Loss", x: "update", series }, 600);
            document.getElementById("view").replaceChildren(figure);
            return { points: series.map((one) => one.points), said: figure.querySelector("svg[role]").ariaLabel,
                     none: chart({ title: "Loss", x: "update", series: [{ name: "none", points: [] }] }, 600),
                     drawn: [...figure.querySelectorAll("svg[role] path")].map((one) => one.getAttribute("d").length) };
        }""",
        RUN,
    )
    assert [tuple(point) for point in drawn["points"][0]] == curve(RUN, "loss")
    assert [tuple(point) for point in drawn["points"][1]] == curve(RUN, "held_out/loss")
    assert "training: 4 → 0.125" in drawn["said"] and drawn["none"] is None and min(drawn["drawn"]) > 10


@needs_chromium
def test_a_training_run_is_listed_with_its_curves(opened: Opened) -> None:
    page = opened(user="vera")
    page.locator("nav a[href='#runs']").click()
    row = page.locator("tbody tr", has_text="made")
    api.expect(row).to_contain_text("succeeded")
    row.get_by_role("button", name="Curves").click()
    api.expect(page.get_by_role("img", name=re.compile("^Loss"))).to_be_visible()
    api.expect(page.get_by_role("img", name=re.compile("accuracy: 0.7 → 0.9"))).to_be_visible()
    page.get_by_role("button", name="Close").click()
    api.expect(row.get_by_role("button", name="Curves")).to_be_focused()


def test_what_the_page_asks_for_is_had_over_rest(served: Served) -> None:
    def get(path: str, user: str = "vera") -> Any:
        status, body = served.ask("GET", path, user=user)
        assert status == 200, body
        return json.loads(body)

    me = get("/v1/me")
    assert (me["user"], me["role"]) == ("vera", "viewer")
    here, there = ({row["model"] for row in get(path)["models"]} for path in ("/v1/ps", "/v1/ps?state=all"))
    assert "talker" in here < there
    assert get("/v1/training")["runs"][0]["model"] == "made"
    made = {"args": {"command": "seq 20"}, "yes": True}
    job = json.loads(served.ask("POST", "/v1/syscalls/jobs.submit", made)[1])["job"]
    assert served.ask("POST", "/v1/syscalls/jobs.wait", {"args": {"job": job}})[0] == 200
    assert get(f"/v1/jobs/{job}/logs?tail=2", "ada")["text"].split() == ["19", "20"]
    assert served.ask("GET", "/v1/jobs/nothing/logs")[0] == 404
    assert served.ask("GET", "/v1/ps?state=odd")[0] == 400


@needs_chromium
def test_it_speaks_chinese_where_the_browser_does_and_can_be_switched(opened: Opened) -> None:
    page = opened(locale="zh-CN")
    api.expect(page.locator("nav")).to_contain_text("对话")
    card = say(page, "还有多少内存可用？")
    api.expect(card).to_contain_text("计划")
    page.get_by_role("button", name="English").click()
    api.expect(page.locator("nav")).to_contain_text("Chat")
    api.expect(card).to_contain_text("Plan")
    assert page.evaluate("document.documentElement.lang") == "en"
    missing = page.evaluate(
        """async () => {
            const { words } = await import("/page/words.js");
            return Object.entries(words).filter(([, said]) => said.filter(Boolean).length !== 2);
        }"""
    )
    assert missing == []


@needs_chromium
def test_it_can_be_used_without_a_mouse(opened: Opened) -> None:
    page = opened()
    page.evaluate("location.hash = '#models'")
    page.reload()
    page.locator("tbody tr").first.wait_for()
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.hash || document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", seen[-1]
    assert seen == ["#main", "language", "leave", *(f"#{name}" for name in VIEWS)]
    for _ in VIEWS[1:]:
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    api.expect(page.locator("#sentence")).to_be_focused()
    page.keyboard.type("delete by-keys")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Refuse").wait_for()
    page.keyboard.press("Shift+Tab")  # from the sentence back: refuse, reason, approve
    assert page.evaluate("document.activeElement.textContent") == "Refuse"
    page.keyboard.press("Enter")
    api.expect(page.locator("#live")).to_contain_text("not done")


@needs_chromium
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_it_fits_a_phone(opened: Opened, locale: str) -> None:
    page = opened(locale=locale, width=360, scheme="dark")
    say(page, "two things")
    for name in VIEWS:
        page.locator(f"nav a[href='#{name}']").click()
        page.locator(".view h1").wait_for(state="attached")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, name
        assert page.evaluate("document.getElementById('main').scrollWidth") <= 360, name
        assert page.locator("nav").bounding_box()["y"] > 700


@needs_chromium
def test_what_a_viewer_may_not_do_is_told(opened: Opened) -> None:
    page = opened(user="vera")
    card = say(page, "delete talker")
    api.expect(card.locator(".error")).to_contain_text("denied")
    api.expect(card.locator(".step[data-state=denied]")).to_be_visible()
