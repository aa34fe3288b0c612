import re
import shutil
import stat
import sys
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from agentos.config import load
from agentos.interfaces.client import Client
from agentos.interfaces.repl_complete import Live
from agentos.interfaces.repl_history import SealedHistory

from .conftest import Agentos, Terminal


def completed(agentos: Agentos, line: str) -> list[str]:
    live = Live(Client(load(agentos.env), door="repl"), ["/help", "/plan"])
    live.fetch()
    return [item.text for item in live.get_completions(Document(line), CompleteEvent())]


def test_a_sitting_at_the_prompt(agentos: Agentos) -> None:
    with Terminal(agentos) as terminal:
        assert "Ctrl-D" in terminal.expect("agentos> ")
        terminal.type("how much memory is free?\r")
        shown = terminal.expect(r"available[\s\S]*agentos> ")
        assert "resources.query kind=memory" in shown
        terminal.type("delete smollm2-135m\r")
        terminal.expect(r"\[n\] no > ")
        terminal.type("n\r")
        terminal.expect("refused[\\s\\S]*agentos> ")
        terminal.type("/plan two things\r")
        terminal.expect(r"models\.list state=stored[\s\S]*agentos> ")
        terminal.type("/nonsense\r")
        terminal.expect("/help lists[\\s\\S]*agentos> ")
        terminal.type("/status\r")
        terminal.expect("ready[\\s\\S]*agentos> ")
        terminal.type("half a line")
        terminal.expect("half a line")
        terminal.type("\x03")
        terminal.expect("agentos> ")
        terminal.type("/quit\r")
        terminal.expect("agentos stop")
        assert terminal.ended() == 0
    file = agentos.home / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"memory" not in file.read_bytes()
    assert "how much memory is free?" in list(SealedHistory(file).load_history_strings())


def test_names_are_completed_from_what_there_is(agentos: Agentos) -> None:
    assert completed(agentos, "/h") == ["/help"]
    assert completed(agentos, "load smol") == ["smollm2-135m"]
    assert completed(agentos, "把smol") == ["smollm2-135m"]
    assert "models.load" in completed(agentos, "/plan models.l")
    assert completed(agentos, "what is ") == []
    assert completed(agentos, "把 nightly-") == []
    submit = ("call", "jobs.submit", "--command", "true", "--name", "nightly-eval", "--yes", "--json")
    job = str(agentos.json(*submit)["job"])
    rows = agentos.home.parent / "reviews.csv"
    rows.write_text("text,label\ngood,1\nbad,0\n", "utf-8")
    agentos.json("call", "datasets.add", "--path", str(rows), "--name", "reviews-2026", "--yes", "--json")
    assert completed(agentos, "把 nightly-") == ["nightly-eval"] and job in completed(agentos, f"cancel job {job}")
    assert completed(agentos, "clean reviews-2") == ["reviews-2026"]
    me = str(Client(load(agentos.env)).request("GET", "/v1/brief")["user"])
    assert me in completed(agentos, f"what did {me}")


def test_a_plan_is_edited_before_it_runs_and_kept_as_a_correction(fresh: Agentos) -> None:
    with Terminal(fresh, term="xterm") as terminal:
        terminal.expect("agentos>")
        terminal.type("/edit weather in the box\r")
        assert "plan" not in terminal.expect(r"nothing was run[\s\S]*agentos>")
        terminal.type("/edit two things\r")
        terminal.expect(r"One call a line[\s\S]*stored")
        terminal.type("\x7f" * 8 + 'steam")\x1b\r')
        terminal.expect(r"'state'[\s\S]*One call a line[\s\S]*steam")  # refused by the table; nothing ran
        terminal.type("\x7f" * 7 + 'loaded")\x1b\r')
        shown = terminal.expect(r"\[y/N\]")
        assert "models.list state=loaded" in shown and "cores" in shown
        terminal.type("y\r")
        terminal.expect(r"kept[\s\S]*agentos>")
        terminal.type("/edit two things\r")
        terminal.expect(r"One call a line[\s\S]*stored")
        terminal.type("\x03")
        terminal.expect(r"nothing was run[\s\S]*agentos>")
    (kept,) = fresh.json("kernel", "feedback", "--json")["kept"]  # type: ignore[misc]
    assert (kept["text"], kept["plan"].splitlines()[1]) == ("two things", 'models.list(state="loaded")')  # type: ignore[index]
    rows = fresh.json("audit", "search", "--syscall", "models.list", "--json")["rows"]
    states = [row["arguments"]["state"] for row in rows if row["arguments"]["state"] != "all"]  # type: ignore[index]
    assert states == ["loaded"], "the plan that the table refused was not run"


def test_an_editor_edits_a_plan(agentos: Agentos, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    work = 'sed -i s/cpu/memory/ "$1"; cp "$1" "$0.seen"; stat -c %a "$1" > "$0.mode"'
    editor.write_text(f"#!/bin/sh\n{work}\n", "utf-8")
    editor.chmod(0o700)
    with Terminal(agentos, term="xterm", EDITOR=str(editor)) as terminal:
        terminal.expect("agentos>")
        terminal.type("/edit two things\r")
        terminal.expect(r"resources\.query kind=memory[\s\S]*\[y/N\]")
        terminal.type("n\r")
        terminal.expect("agentos>")
    assert (tmp_path / "editor.mode").read_text().strip() == "600"
    assert "# The plan of: two things" in (tmp_path / "editor.seen").read_text("utf-8")


@pytest.fixture(autouse=True)
def room(agentos: Agentos) -> None:
    """No job of another test holds the processors."""
    for job in agentos.json("jobs", "--json")["jobs"]:
        if job["state"] in ("queued", "running"):  # type: ignore[index]
            agentos.run("call", "jobs.cancel", "--job", str(job["id"]), "--yes")  # type: ignore[index]


def test_a_command_for_the_shell_is_a_job_and_its_output_is_followed(agentos: Agentos) -> None:
    with Terminal(agentos) as terminal:
        terminal.expect("agentos> ")
        terminal.type("!echo $((40 + 2)); exit 3\r")
        shown = terminal.expect(r"job \d+: exit code 3[\s\S]*agentos> ")
        assert "\n42\r\n" in shown
        terminal.type("!\r")
        terminal.expect(r"takes a text[\s\S]*agentos> ")
        terminal.type("!echo ready; exec sleep 1000\r")
        terminal.expect(r"\nready\r\n")
        terminal.type("\x03")
        terminal.expect(r"job \d+ is cancelled[\s\S]*agentos> ")
        terminal.type("!true &\r")
        (job,) = re.findall(r"job (\d+) runs beside", terminal.expect(r"beside the prompt: /logs \d+[\s\S]*agentos> "))
        assert agentos.run("wait", job).returncode == 0
        terminal.type("/history !tr\r")
        assert "!true &" in terminal.expect("agentos> ")
        terminal.type("/quit\r")
        assert terminal.ended() == 0
    rows = agentos.json("audit", "search", "--syscall", "jobs.submit", "--json")["rows"]
    assert rows[0]["decision"] == "allow" and rows[0]["door"] == "repl"  # type: ignore[index]


def test_a_job_s_end_is_told_above_the_line_that_is_typed(agentos: Agentos, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with Terminal(agentos, term="xterm") as terminal:
        terminal.expect(r"mem [\s\S]*GiB")  # the bar is there
        terminal.type(f"!until [ -e {go} ]; do sleep 0.05; done &\r")
        terminal.expect(r"beside the prompt")
        terminal.expect(r"1 running")
        terminal.type("half a li")
        terminal.expect("half a li")
        go.touch()
        terminal.expect(r"job \d+ \(until\) succeeded[\s\S]*half a li")
        terminal.type("ne\x03")
        terminal.type("/quit\r")
        terminal.expect("agentos stop")
        assert terminal.ended() == 0


def test_a_plan_fills_in_on_a_terminal(agentos: Agentos) -> None:
    with Terminal(agentos, term="xterm") as terminal:
        terminal.expect("agentos>")
        terminal.type("two things\r")
        shown = terminal.expect(r"└─ ✔ s2 models\.list state=stored")
        shown += terminal.expect("agentos>")
        assert "├─ ○ s1 resources.query kind=cpu" in shown and re.search("CPU  [█░]{30}", shown)


def test_suspended_and_brought_back_it_goes_on(agentos: Agentos, tmp_path: Path) -> None:
    shell = [shutil.which("bash") or "bash", "--norc", "--noprofile", "-i"]
    with Terminal(agentos, term="xterm", shell=shell, PS1="shell> ") as terminal:
        terminal.expect("shell> ")
        terminal.type(f"{sys.executable} -m agentos\r")
        terminal.expect("agentos>")
        terminal.type("how much mem")
        terminal.expect("how much mem")
        terminal.type("\x1a")
        terminal.expect(r"Stopped[\s\S]*shell> ")
        terminal.type("fg\r")
        terminal.expect("how much mem")
        terminal.type("ory is free?\r")
        terminal.expect(r"available[\s\S]*agentos>")
        terminal.type(f"!echo begun; until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo went on; sleep 1000\r")
        terminal.expect(r"begun\r\n")
        terminal.type("\x1a")
        terminal.expect(r"Stopped[\s\S]*shell> ")
        terminal.type("fg\r")
        (tmp_path / "go").touch()
        terminal.expect(r"went on\r\n")
        terminal.type("\x03")
        terminal.expect(r"is cancelled[\s\S]*agentos>")


def test_commands_answer_in_both_languages(agentos: Agentos) -> None:
    with Terminal(agentos) as terminal:
        terminal.expect("agentos> ")
        terminal.type("/help\r")
        shown = terminal.expect(r"Ctrl-D leaves[\s\S]*agentos> ")
        for name in ("plan", "edit", "jobs", "models", "who", "undo", "approvals", "history", "lang", "clear", "quit"):
            assert f"/{name} " in shown
        assert "!COMMAND" in shown
        for command, told in (
            ("/who", r"\(admin\)[\s\S]*ROLE"), ("/models catalog", "smollm2-135m"), ("/runs", "no runs"),
            ("/undo", "undo"), ("/history memory", "no|memory"), ("/lang fr", "en or zh"), ("/edit", "takes a text"),
            ("/jobs", "jobs|id  name"), ("/lang zh", "中文"), ("/who", "角色"), ("/nonsense", "没有 /nonsense"),
        ):
            terminal.type(f"{command}\r")
            terminal.expect(rf"({told})[\s\S]*agentos> ")
        terminal.type("/exit\r")
        terminal.expect("agentos stop")


def test_no_system_means_no_names_and_no_error(fresh: Agentos) -> None:
    assert completed(fresh, "load smol") == []


def test_what_was_meant_is_run_and_kept_if_the_person_wants_it(fresh: Agentos) -> None:
    with Terminal(fresh) as terminal:
        terminal.expect("agentos> ")
        terminal.type("no, I meant how much memory is free?\r")  # nothing was said before: a sentence like any
        terminal.expect(r"available[\s\S]*agentos> ")
        terminal.type("weather in the box\r")
        terminal.expect(r"[\s\S]*agentos> ")
        terminal.type("no, I meant how much memory is free?\r")
        assert "weather in the box" in terminal.expect(r"available[\s\S]*\[y/N\] ")
        terminal.type("n\r")
        terminal.expect("agentos> ")
        assert fresh.json("kernel", "feedback", "--json")["kept"] == []
        terminal.type("weather in the box\r")
        terminal.expect(r"[\s\S]*agentos> ")
        terminal.type("不对，我是说内存还有多少\r")
        terminal.expect(r"\[y/N\] ")
        terminal.type("y\r")
        terminal.expect(r"kept[\s\S]*agentos> ")
        terminal.type("/correct\r")
        terminal.expect(r'came to:\s+resources.query\(kind="memory"\)[\s\S]*> ')
        terminal.type("\x03")
        terminal.expect(r"not kept[\s\S]*agentos> ")
        terminal.type('/correct resources.query(kind="gpu")\r')
        terminal.expect(r"kept[\s\S]*agentos> ")
        terminal.type("/correct nonsense\r")
        terminal.expect(r"nonsense[\s\S]*agentos> ")
    kept = fresh.json("kernel", "feedback", "--json")["kept"]
    assert isinstance(kept, list)
    assert [(row["text"], row["plan"]) for row in kept] == [
        ("weather in the box", 'resources.query(kind="memory")'), ("内存还有多少", 'resources.query(kind="gpu")'),
    ]
