import stat

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
