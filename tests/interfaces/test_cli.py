import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentos.errors import UserError
from agentos.interfaces.cli import build_parser, main
from agentos.interfaces.commands_runs import call_words

from .conftest import Agentos, Terminal


def test_a_sentence_is_planned_run_and_answered(agentos: Agentos) -> None:
    done = agentos.run("ask", "how much memory is free?")
    assert done.returncode == 0
    assert "available" in done.stdout and "GiB" in done.stdout
    assert "resources.query kind=memory" in done.stderr and "resources.query" not in done.stdout


def test_a_chinese_sentence_is_answered_in_chinese(agentos: Agentos) -> None:
    done = agentos.run("ask", "现在还有多少内存？")
    assert done.returncode == 0
    assert "可用" in done.stdout


def test_ask_gives_one_json_object_and_nothing_else(agentos: Agentos) -> None:
    said = agentos.json("ask", "two things", "--json")
    assert said["ok"] is True and said["waiting"] == []
    assert set(said["results"]) == {"s1", "s2"}  # type: ignore[arg-type]
    assert [step["syscall"] for step in said["plan"]["steps"]] == ["resources.query", "models.list"]  # type: ignore[index]


def test_what_is_in_no_table_is_said_and_fails(agentos: Agentos) -> None:
    done = agentos.run("ask", "what is the weather?")
    assert done.returncode == 1
    assert done.stdout.strip()


def test_call_gives_the_fields_of_the_result(agentos: Agentos) -> None:
    assert set(agentos.json("call", "models.list", "--state", "catalog", "--json")) == {"models", "budgets"}


def test_call_takes_numbers_and_equals_signs(agentos: Agentos) -> None:
    said = agentos.json("call", "resources.query", "--kind=processes", "--top", "2", "--json")
    assert len(said["processes"]) <= 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["call"], 2, "which syscall?"),
        (["call", "models.lst"], 2, "models.list"),
        (["call", "models.list", "--stat", "all"], 2, "'stat'"),
        (["call", "models.list", "--state"], 2, "needs a value"),
        (["call", "models.list", "all"], 2, "belongs to no parameter"),
        (["call", "models.show", "--model", "nope"], 2, "nope"),
        (["plan"], 2, "say a sentence"),
        (["plan", "--batch", "/no/such/file"], 2, "cannot read"),
        (["keys", "create"], 2, "for whom?"),
        (["keys", "revoke"], 2, "which key?"),
        (["rules", "revoke"], 2, "which rule?"),
        (["users", "set", "bob"], 2, "which role?"),
        (["approve", "nothing"], 2, "nothing"),
        (["--as", "stranger", "call", "models.list"], 2, "stranger"),
        (["serve", "--http", "0.0.0.0:0"], 2, "not served"),
        (["serve", "--http", "8080"], 2, "HOST:PORT"),
        (["nonsense"], 2, "invalid choice"),
    ],
)
def test_wrong_usage_is_named_and_has_exit_code_2(agentos: Agentos, words: list[str], code: int, says: str) -> None:
    done = agentos.run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_call_in_json_is_an_object_too(agentos: Agentos) -> None:
    done = agentos.run("call", "models.show", "--model", "nope", "--json")
    assert done.returncode == 2
    assert "nope" in json.loads(done.stdout)["error"]["message"]


def test_where_nobody_answers_a_call_is_held_with_exit_code_4_and_can_be_approved(agentos: Agentos) -> None:
    done = agentos.run("call", "models.delete", "--model", "smollm2-135m", "--json")
    assert done.returncode == 4
    (approval,) = json.loads(done.stdout)["waiting"]
    assert f"agentos approve {approval}" in done.stderr
    assert approval in agentos.run("approvals").stdout
    assert agentos.run("refuse", approval, "--reason", "not today").returncode == 0
    assert approval not in agentos.run("approvals").stdout
    assert agentos.run("approve", approval).returncode == 2


def test_yes_confirms_and_the_call_is_made(agentos: Agentos) -> None:
    done = agentos.run("call", "models.delete", "--model", "smollm2-135m", "--yes")
    assert done.returncode not in (3, 4)
    assert "waits for a person" not in done.stderr
    done = agentos.run("ask", "--yes", "delete smollm2-135m")
    assert done.returncode not in (3, 4)
    assert "waits for a person" not in done.stderr


def test_a_viewer_is_denied_what_writes_with_exit_code_3(agentos: Agentos) -> None:
    agentos.run("keys", "create", "--user", "vera")
    assert agentos.run("--as", "vera", "call", "models.list").returncode == 0
    done = agentos.run("--as", "vera", "call", "models.delete", "--model", "smollm2-135m", "--yes")
    assert done.returncode == 3
    assert agentos.run("--as", "vera", "users").returncode == 3


def test_a_person_at_a_terminal_sees_a_held_call_in_full_and_refuses_it(agentos: Agentos) -> None:
    with Terminal(agentos, "call", "models.delete", "--model", "smollm2-135m") as terminal:
        shown = terminal.expect(r"\[n\] no >")
        assert "models.delete" in shown and "model = smollm2-135m" in shown and "destroy" in shown
        terminal.type("maybe\n")
        terminal.expect("Answer y, s, a or n")
        terminal.type("n\n")
        assert terminal.ended() == 3


def test_always_leaves_a_rule_that_can_be_taken_back(agentos: Agentos) -> None:
    with Terminal(agentos, "call", "models.delete", "--model", "all-minilm-l6") as terminal:
        terminal.expect(r"\[n\] no >")
        terminal.type("a\n")
        terminal.ended()
    assert agentos.run("call", "models.delete", "--model", "all-minilm-l6").returncode != 4
    (rule,) = agentos.json("rules", "--json")["rules"]  # type: ignore[misc]
    assert agentos.run("rules", "revoke", rule["id"]).returncode == 0
    done = agentos.run("call", "models.delete", "--model", "all-minilm-l6", "--json")
    assert done.returncode == 4
    agentos.run("refuse", json.loads(done.stdout)["waiting"][0])


def test_a_pipe_is_answered_line_by_line(agentos: Agentos) -> None:
    done = agentos.run(stdin="how much memory is free?\n\n现在还有多少内存？\n")
    assert done.returncode == 0
    assert "available" in done.stdout and "可用" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_pipe_fails_where_one_line_failed_and_answers_the_rest(agentos: Agentos) -> None:
    done = agentos.run(stdin="what is the weather?\nhow much memory is free?\n")
    assert done.returncode == 1
    assert "available" in done.stdout


def test_plan_shows_and_runs_nothing(agentos: Agentos) -> None:
    said = agentos.json("plan", "delete smollm2-135m", "--json")
    assert set(said) == {"id", "steps", "reply"}
    assert said["steps"] == [
        {"id": "s1", "syscall": "models.delete", "args": {"model": "smollm2-135m"}, "after": []}
    ]
    assert "models.delete model=smollm2-135m" in agentos.run("plan", "delete", "smollm2-135m").stdout
    assert agentos.json("approvals", "--json") == {"approvals": [], "expired": []}


def test_batch_plans_come_in_order_with_their_ids(agentos: Agentos) -> None:
    lines = [{"id": 7, "text": "two things"}, {"id": "b", "text": "weather"}, {"text": "how much memory is free?"}]
    done = agentos.run("plan", "--batch", "-", stdin="\n".join(json.dumps(line) for line in lines))
    assert done.returncode == 0
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert [plan["id"] for plan in plans] == [7, "b", "3"]
    assert [len(plan["steps"]) for plan in plans] == [2, 0, 1]


def test_each_batch_plan_is_out_before_the_next_line_is_in(agentos: Agentos) -> None:
    with agentos.popen("plan", "--batch", "-") as process:
        assert process.stdin and process.stdout
        for name in ("a", "b"):
            process.stdin.write(json.dumps({"id": name, "text": "two things"}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == name
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize("bad", ["not json", '"text"', '{"id": "x"}', '{"id": "x", "text": 3}'])
def test_a_bad_batch_line_is_named_and_loses_no_earlier_plan(agentos: Agentos, bad: str) -> None:
    good = json.dumps({"id": "a", "text": "two things"})
    done = agentos.run("plan", "--batch", "-", stdin=f"{good}\n{bad}\n{good}\n")
    assert done.returncode == 2
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a"]
    assert "line 2" in done.stderr


def test_a_sentence_that_cannot_be_planned_keeps_its_place_in_a_batch(agentos: Agentos) -> None:
    lines = [{"id": "a", "text": ""}, {"id": "b", "text": "two things"}]
    done = agentos.run("plan", "--batch", "-", stdin="\n".join(map(json.dumps, lines)))
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [plan["id"] for plan in plans] == ["a", "b"]
    assert "error" in plans[0] and plans[1]["steps"]


def test_syscalls_are_listed_and_explained(agentos: Agentos) -> None:
    table = agentos.json("syscalls", "--json")["syscalls"]
    assert {"resources.query", "models.load"} <= {entry["name"] for entry in table}  # type: ignore[index, union-attr]
    assert "--keep_alive" in agentos.run("syscalls", "models.load").stdout
    assert "--keep_alive" in agentos.run("call", "models.load", "--help").stdout


def test_a_reader_that_leaves_is_no_error(agentos: Agentos) -> None:
    with agentos.popen("syscalls", "--json") as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_a_client_imports_nothing_slow(agentos: Agentos) -> None:
    code = (
        "import sys; from agentos.interfaces.cli import main; main(['ask', 'how much memory is free?']);"
        "slow = {'torch', 'starlette', 'uvicorn', 'pydantic', 'httpx', 'prompt_toolkit', 'langgraph', 'transformers',"
        " 'asyncio', 'agentos.registry', 'agentos.types'}; print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=agentos.env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_words_after_call_become_arguments() -> None:
    said = call_words(["x.y", "--max-tokens", "5", "--a", "1", "--a=2", "--text=--yes", "--n", "-1", "--json"])
    assert (said.name, said.json, said.yes) == ("x.y", True, False)
    assert said.args == {"max_tokens": "5", "a": ["1", "2"], "text": "--yes", "n": "-1"}
    with pytest.raises(UserError, match="needs a value"):
        call_words(["x.y", "--a", "--b", "1"])


def test_every_command_has_a_handler_that_exists() -> None:
    (commands,) = [action for action in build_parser()._actions if action.dest == "command"]
    for name, parser in commands.choices.items():  # type: ignore[union-attr]
        module, _, function = parser.get_default("handler").partition(":")
        assert callable(getattr(importlib.import_module(f"agentos.interfaces.{module}"), function)), name


def test_version_and_help_need_no_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["-h"]) == 0
    assert "exit codes" in capsys.readouterr().out


def test_a_relative_path_starts_where_the_person_stands(agentos: Agentos, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    process = agentos.popen("call", "models.pull", "--model", "mine", "--source", "./weights", "--json", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert "there are no files in it" in err and process.returncode == 1, out
