"""`agentos kernel`: what the kernel plans with, and that it is changed by an administrator alone."""

from __future__ import annotations

from pathlib import Path

from tests.interfaces.conftest import Agentos


def test_it_says_what_the_kernel_plans_with(agentos: Agentos) -> None:
    said = agentos.json("kernel", "--json")
    assert said["adapter"] == "shipped" and said["history"] == ["shipped"]
    assert said["acts"] is False  # the scripted engine plans by its script


def test_there_is_a_way_back_and_it_ends(agentos: Agentos) -> None:
    done = agentos.run("kernel", "rollback")
    assert done.returncode == 2 and "none to go back to" in done.stderr
    assert agentos.json("kernel", "off", "--json")["history"] == ["shipped", "none"]
    assert agentos.json("kernel", "rollback", "--json")["history"] == ["shipped"]


def test_what_cannot_be_trained_is_refused_before_anything_is_begun(agentos: Agentos, tmp_path: Path) -> None:
    done = agentos.run("kernel", "train", "--rows", "3")
    assert done.returncode == 2 and "16 to" in done.stderr
    done = agentos.run("kernel", "train", "--suite", "nowhere")
    assert done.returncode != 0 and "nowhere" in done.stderr
    done = agentos.run("kernel", "train", "--run", "t99")
    assert done.returncode != 0 and "t99" in done.stderr
    assert agentos.json("runs", "--json")["runs"] == []


def test_only_an_administrator_changes_it(agentos: Agentos) -> None:
    assert agentos.run("keys", "create", "--user", "vera", "--json").returncode == 0
    for words in (("kernel", "off"), ("kernel", "rollback"), ("kernel", "train")):
        done = agentos.run("--as", "vera", *words)
        assert done.returncode == 3 and "administrator" in done.stderr, (words, done)
    assert agentos.json("kernel", "--json")["history"] == ["shipped"]


def test_a_correction_is_kept_if_it_is_a_plan(agentos: Agentos) -> None:
    said = agentos.json("kernel", "correct", "wake zeta", 'models.load(model="zeta")', "--json")
    assert said["plan"] == 'models.load(model="zeta")' and said["text"] == "wake zeta"
    assert "wake zeta" in (agentos.home / "kernel" / "feedback.jsonl").read_text("utf-8")
    for plan in ("wake it up", "models.load()", 'nothing.known(a="b")'):
        done = agentos.run("kernel", "correct", "wake zeta", plan)
        assert done.returncode == 2 and "Traceback" not in done.stderr, (plan, done)
    assert agentos.run("kernel", "correct", "wake zeta").returncode == 2


def test_of_who_agrees_it_is_kept_how_plans_fared(fresh: Agentos) -> None:
    assert fresh.run("how much memory is free?").returncode in (0, 2)  # without agreement
    assert fresh.run("ask", "--yes", "delete nothing-there").returncode != 0
    assert fresh.json("kernel", "feedback", "--json") == {"agreed": False, "kept": []}
    assert fresh.json("kernel", "feedback", "on", "--json")["agreed"] is True
    assert fresh.run("ask", "how much memory is free?").returncode == 0  # nobody was asked anything
    held = fresh.run("ask", "delete zeta-7b")
    assert held.returncode == 4
    name = str(fresh.json("approvals", "--json")["approvals"][0]["id"])  # type: ignore[index]
    assert fresh.run("refuse", name).returncode == 0
    (row,) = fresh.json("kernel", "feedback", "--json")["kept"]  # type: ignore[misc]
    assert (row["kind"], row["text"]) == ("refused", "delete zeta-7b")
    assert "delete zeta-7b" in fresh.run("kernel", "feedback").stdout
    assert fresh.run("kernel", "feedback", "maybe").returncode == 2
    assert fresh.run("kernel", "feedback", "off").returncode == 0
    assert fresh.json("kernel", "feedback", "--json")["agreed"] is False
    assert fresh.json("kernel", "feedback", "forget", "--json") == {"forgotten": 1}
    assert fresh.json("kernel", "feedback", "--json")["kept"] == []


def test_no_private_value_is_kept(fresh: Agentos) -> None:
    plan = 'audit.search(user="eve.ng@example.org")'
    said = fresh.json("kernel", "correct", "what did eve.ng@example.org do", plan, "--json")
    assert (said["text"], said["plan"]) == ("what did <EMAIL_1> do", 'audit.search(user="<EMAIL_1>")')
    assert all(b"eve.ng@" not in file.read_bytes() for file in (fresh.home / "kernel").rglob("*") if file.is_file())
