from typing import Any, TextIO, cast

import pytest

from agentos.interfaces.show import Printer, width
from agentos.interfaces.tree import Tree, nodes
from agentos.interfaces.words import speaker

from .screen import Screen

PLAN: dict[str, Any] = {"steps": [
    {"id": "s1", "syscall": "models.pull", "args": {"model": "m"}, "after": []},
    {"id": "s2", "syscall": "models.load", "args": {"model": {"$ref": "s1.model"}}, "after": ["s1"]},
    {"id": "s3", "syscall": "datasets.list", "args": {}, "after": []},
]}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    for name, said in (("TERM", "xterm"), ("COLUMNS", "60"), ("LINES", "16"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, said)
    monkeypatch.delenv("AGENTOS_PLAIN", raising=False)
    return Screen(60, 16)


def printer(screen: Screen, language: str = "en") -> Printer:
    return Printer(cast(TextIO, screen), cast(TextIO, screen), speaker(language))


def told(shown: Printer, *events: dict[str, Any]) -> None:
    for event in events:
        shown.event({"run": "r1", **event})


def step(name: str, event: str, **more: Any) -> dict[str, Any]:
    syscall = next(one["syscall"] for one in PLAN["steps"] if one["id"] == name)
    return {"event": event, "step": name, "syscall": syscall, **more}


def test_a_plan_hangs_each_step_from_the_last_one_it_waits_for() -> None:
    diamond = [
        {"id": "s1", "syscall": "a.a"}, {"id": "s2", "syscall": "a.b", "after": ["s1"]},
        {"id": "s3", "syscall": "a.c", "after": ["s1"]}, {"id": "s4", "syscall": "a.d", "after": ["s2", "s3"]},
    ]
    assert [(node.prefix, node.id, node.after) for node in nodes(diamond, ascii_only=False)] == [
        ("└─ ", "s1", ""), ("   ├─ ", "s2", ""), ("   └─ ", "s3", ""), ("      └─ ", "s4", "s2"),
    ]


def test_the_tree_fills_in_above_what_its_steps_give(screen: Screen) -> None:
    shown = printer(screen)
    told(shown, {"event": "plan", "plan": PLAN})
    assert screen.shown == [
        "plan", "├─ ○ s1 models.pull model=m", "│  └─ ○ s2 models.load model=<s1.model>", "└─ ○ s3 datasets.list", "",
    ]
    told(
        shown, step("s1", "decision", decision="allow"), step("s3", "decision", decision="allow"),
        step("s3", "result", text="模型" * 40 + "\nlast"),  # wider than the screen: it wraps
        step("s1", "progress", message="fetching m", done=50, total=100, unit="B"),
    )
    assert screen.shown[1].startswith("├─ ● s1 models.pull fetching m  ███")
    assert screen.shown[1].endswith("50%")
    assert screen.shown[3] == "└─ ✔ s3 datasets.list"
    assert "".join(screen.shown[5:8]) == "模型" * 40 and screen.shown[8] == "last"
    told(shown, step("s1", "result", text="one"), step("s2", "text", text="half a li"), step("s2", "text", text="ne"))
    assert screen.shown[1:4] == [
        "├─ ✔ s1 models.pull model=m", "│  └─ ● s2 models.load model=<s1.model>", "└─ ✔ s3 datasets.list",
    ]
    assert screen.shown[-1] == "half a line"
    told(shown, step("s2", "error", message="no room", kind="failed"), {"event": "end", "ok": False})
    assert screen.shown[2].startswith("│  └─ ✘ s2") and "agentos: no room" in screen.shown


def test_a_bar_and_its_figures_fit_the_line(screen: Screen) -> None:
    shown = printer(screen, "zh")
    told(shown, {"event": "plan", "plan": PLAN})
    message = "正在下载一个名字非常非常长的模型文件" * 2
    told(shown, step("s1", "progress", message=message, done=30, total=90, unit="B"))
    assert "33%" in screen.shown[1] and width(screen.shown[1]) < 60


def test_what_failed_leaves_its_followers_out(screen: Screen) -> None:
    shown = printer(screen)
    told(
        shown, {"event": "plan", "plan": PLAN}, step("s1", "decision", decision="allow"),
        step("s1", "error", message="gone", kind="failed"), step("s1", "progress", message="late", done=1, total=2),
        step("s3", "result", text="x"), {"event": "end", "ok": False},
    )
    assert [line[:8].strip("│├└─ ")[0] for line in screen.shown[1:4]] == ["✘", "–", "✔"]


def test_a_tree_that_has_left_the_screen_is_drawn_again(screen: Screen) -> None:
    shown = printer(screen)
    told(shown, {"event": "plan", "plan": PLAN}, step("s1", "decision", decision="allow"))
    told(shown, step("s1", "result", text="\n".join(f"line {n}" for n in range(30))))
    told(shown, step("s2", "decision", decision="allow"))
    assert screen.shown[-5:-1] == [
        "plan", "├─ ✔ s1 models.pull model=m", "│  └─ ● s2 models.load model=<s1.model>", "└─ ○ s3 datasets.list",
    ]


def test_nothing_is_drawn_over_a_question_or_what_another_program_wrote(screen: Screen) -> None:
    shown = printer(screen)
    told(shown, {"event": "plan", "plan": PLAN}, step("s1", "decision", decision="confirm"), step("s1", "held"))
    assert screen.shown[1].startswith("├─ ? s1")
    shown.held(step("s1", "held", args={"model": "m"}))
    screen.write("[y] once > y\n")  # typed at another program's prompt
    before = screen.shown
    told(shown, step("s1", "result", text="done"), step("s2", "decision", decision="allow"))
    assert screen.shown[: len(before) - 1] == before[:-1]
    assert screen.shown[-4] == "├─ ✔ s1 models.pull model=m"
    shown.again()
    told(shown, step("s2", "result", text="two"))
    assert screen.shown[-6] == "├─ ✔ s1 models.pull model=m" and screen.shown[-5].startswith("│  └─ ● s2")
    assert screen.shown[-3:] == ["s2 models.load", "two", ""]


def test_events_of_another_run_change_no_mark(screen: Screen) -> None:
    tree = Tree(cast(TextIO, screen), speaker("en"))
    tree.show(PLAN, "r1")
    assert not tree.event({"event": "result", "step": "s1", "run": "r2"})
    assert screen.shown[1].startswith("├─ ○ s1")


def test_a_mended_plan_keeps_what_was_done(screen: Screen) -> None:
    tree = Tree(cast(TextIO, screen), speaker("en"))
    tree.show(PLAN, "r1")
    tree.event({"event": "result", "step": "s1", "run": "r1"})
    tree.show({"steps": [PLAN["steps"][0], {"id": "rs2", "syscall": "models.show", "after": ["s1"]}]}, "r1")
    assert screen.shown[-3:-1] == ["└─ ✔ s1 models.pull model=m", "   └─ ○ rs2 models.show"]


def test_a_screen_reader_hears_one_line_for_each_change(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTOS_PLAIN", "1")
    shown = printer(screen)
    told(
        shown, {"event": "plan", "plan": PLAN}, step("s1", "decision", decision="allow"),
        step("s1", "progress", message="fetching", done=5, total=10, unit="B"), step("s1", "result", text="got it"),
    )
    assert screen.shown == [
        "plan", "|- s1 models.pull model=m", "|- s2 models.load model=<s1.model>  (after s1)", "`- s3 datasets.list",
        "s1: running", "fetching   50%  5 B / 10 B", "s1 models.pull: done", "got it", "",
    ]
