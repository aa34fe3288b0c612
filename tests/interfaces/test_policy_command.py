"""`agentos policy`: the rules of a running system follow their files, and files and cases are tried without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Agentos, kill

SCRIPT = r"""
- {when: "may a viewer delete", say: "policy.explain(syscall=\"models.delete\", user=\"vera\")"}
- {when: "我能删除模型吗", say: 'policy.explain(syscall="models.delete")'}
- {when: "may I load it and do so", say: "policy.explain(syscall=\"models.load\")\nmodels.load(model=\"smollm2-135m\")"}
- {when: "memory", say: 'resources.query(kind="memory")'}
- {when: "weather", say: "none()"}
"""
NEVER = (
    '@id("pull-never") @reason("nothing is fetched here")\n'
    'forbid (principal, action == Action::"models.pull", resource);\n'
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agentos]:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "kernel.yaml").write_text(SCRIPT, "utf-8")
    made = Agentos(folder / "home", folder / "kernel.yaml")
    for name, role in (("vera", "viewer"), ("otto", "operator")):
        assert made.run("keys", "create", "--user", name, "--role", role).returncode == 0
    yield made
    kill(made)


@pytest.fixture
def folder(system: Agentos) -> Iterator[Path]:
    """The owner's policies, empty again afterwards."""
    made = system.home / "policies"
    made.mkdir(exist_ok=True)
    yield made
    for file in made.iterdir():
        file.unlink()


def until(agentos: Agentos, ready: Any) -> dict[str, Any]:
    """What `agentos policy` says once the files are read as they are now; each try takes the time of a command."""
    for _ in range(100):
        said: dict[str, Any] = agentos.json("policy", "--json")
        if ready(said):
            return said
    raise AssertionError(said)


def has(name: str) -> Any:
    return lambda said: any(rule["id"] == name for rule in said["rules"])


def test_the_rules_in_force_are_listed_with_their_places(system: Agentos) -> None:
    done = system.run("policy")
    assert done.returncode == 0
    assert "confirm-destroy.cedar:2" in done.stdout and "what destroys is confirmed by a person first" in done.stdout
    assert "in force since 20" in done.stdout and "not taken in" not in done.stdout
    said = system.json("policy", "--json")
    assert said["refused"] is None and len(said["rules"]) >= 9  # type: ignore[arg-type]


def test_a_running_system_follows_its_files_and_names_the_broken_one(system: Agentos, folder: Path) -> None:
    before = system.pid()
    (folder / "mine.cedar").write_text(NEVER)
    rule = next(rule for rule in until(system, has("pull-never"))["rules"] if rule["id"] == "pull-never")
    assert (rule["file"], rule["line"]) == (str(folder / "mine.cedar"), 1)
    done = system.run("call", "models.pull", "--model", "smollm2-135m")
    assert done.returncode == 3 and "nothing is fetched here" in done.stderr
    (folder / "mine.cedar").write_text(NEVER + "\nnonsense;\n")
    said = until(system, lambda said: said["refused"])
    assert has("pull-never")(said) and f"{folder / 'mine.cedar'}:4: " in said["refused"]["faults"][0]
    shown = system.run("policy").stdout
    assert "not taken in" in shown and "mine.cedar:4: this policy does not parse" in shown and "pull-never" in shown
    status = system.run("status")
    assert status.returncode == 0 and "mine.cedar:4: " in status.stdout
    assert system.json("status", "--json")["policy"]["refused"] == said["refused"]  # type: ignore[index]
    assert "WARNING" in system.log() and "mine.cedar:4: " in system.log()
    (folder / "mine.cedar").unlink()
    until(system, lambda said: not said["refused"] and not has("pull-never")(said))
    assert "mine.cedar" not in system.run("status").stdout
    assert system.pid() == before


def test_check_compiles_a_folder_without_a_system(fresh: Agentos, tmp_path: Path) -> None:
    done = fresh.run("policy", "check")
    assert done.returncode == 0 and done.stdout.startswith("ok: ") and " 0 from 0 files" in done.stdout
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "mine.cedar").write_text(NEVER)
    (folder / "confirm-execute.cedar").write_text("// Nobody is asked here.\n")
    said = fresh.json("policy", "check", str(folder), "--json")
    assert (said["ok"], said["added"], said["replaced"]) == (True, 1, ["confirm-execute.cedar"])
    assert "in the place of shipped ones: confirm-execute.cedar" in fresh.run("policy", "check", str(folder)).stdout
    (folder / "other.cedar").write_text(f"// again\n{NEVER}\npermit (principal, action, resource);")
    done = fresh.run("policy", "check", str(folder))
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{folder / 'other.cedar'}:2: ") and "mine.cedar:1" in first
    assert second.startswith(f"{folder / 'other.cedar'}:5: ") and "@id" in second
    done = fresh.run("policy", "check", str(folder), "--json")
    assert done.returncode == 2 and [fault["line"] for fault in json.loads(done.stdout)["faults"]] == [2, 5]
    assert not (fresh.home / "agentos.sock").exists()


def test_cases_are_run_against_the_owners_rules_without_a_system(fresh: Agentos, tmp_path: Path) -> None:
    done = fresh.run("policy", "test")
    assert done.returncode == 0 and "cases right" in done.stdout and len(done.stdout.splitlines()) == 1
    policies = fresh.home / "policies"
    policies.mkdir(parents=True)
    (policies / "mine.cedar").write_text(NEVER)
    done = fresh.run("policy", "test")
    assert done.returncode == 1
    assert "ada models.pull {'model': 'smollm2-135m'}: expected allow by admin-everything" in done.stdout
    assert "got deny by pull-never" in done.stdout
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "users: {bo: operator}\ncases:\n"
        "  - {user: bo, syscall: models.pull, args: {model: m}, expect: deny, rule: pull-never}\n"
    )
    said = fresh.json("policy", "test", str(suite), "--json")
    assert (said["right"], said["rows"][0]["rule"]) == (1, "pull-never")  # type: ignore[index]
    for case, says in (
        ("{user: zoe, syscall: models.pull, expect: deny, rule: x}", "case 1: 'zoe' is none of 'users'"),
        ("{user: bo, syscall: models.pull, expect: deny, rule: x}", "case 1 of the suite does not fit"),
    ):
        suite.write_text(f"users: {{bo: operator}}\ncases: [{case}]\n")
        done = fresh.run("policy", "test", str(suite))
        assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
    assert not (fresh.home / "agentos.sock").exists()


@pytest.mark.parametrize(
    ("words", "decision", "rule"),
    [
        (["vera", "models.load"], "deny", "default-deny"),
        (["otto", "models.load"], "allow", "operator-works"),
        (["otto", "models.delete"], "confirm", "confirm-destroy"),
        (["otto", "models.delete", "--owner", "otto"], "confirm", "confirm-destroy"),
        (["otto", "models.delete", "--owner", "vera"], "deny", "destroy-own"),
        (["otto", "models.delete", "--owner", ""], "deny", "destroy-own"),
        (["otto", "models.delete", "--args", '{"model": "smollm2-135m"}'], "deny", "destroy-own"),  # it is nobody's
        (["otto", "audit.search", "--args", '{"user": "vera"}'], "deny", "others-by-admin"),
        (["otto", "audit.search", "--args", '{"user": "otto"}'], "allow", "operator-works"),
    ],
)
def test_it_explains_what_a_user_would_get(system: Agentos, words: list[str], decision: str, rule: str) -> None:
    said = system.json("policy", "explain", *words, "--json")
    assert (said["user"], said["syscall"], said["decision"], said["rule"]) == (words[0], words[1], decision, rule)
    shown = system.run("policy", "explain", *words).stdout
    assert f"decision  {decision}" in shown and str(said["reason"]) in shown


def test_asking_about_another_user_takes_an_administrator(system: Agentos) -> None:
    done = system.run("--as", "vera", "policy", "explain", "otto", "models.load")
    assert done.returncode == 3 and "others-by-admin" in done.stderr
    assert system.run("--as", "vera", "policy", "explain", "vera", "models.load").returncode == 0
    assert system.run("--as", "vera", "policy").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["explain"], "who would call what?"),
        (["explain", "vera"], "which call of 'vera'?"),
        (["explain", "vera", "models.lode"], "models.load"),
        (["explain", "stranger", "models.load"], "stranger"),
        (["explain", "vera", "models.load", "--owner", "stranger"], "stranger"),
        (["explain", "vera", "models.load", "--args", "{"], "not JSON"),
        (["explain", "vera", "models.load", "--args", "[]"], "object"),
        (["explain", "vera", "models.load", "--args", '{"modal": "x"}'], "modal"),
        (["explain", "may a viewer delete it?", "--owner", "vera"], "belong to a call"),
        (["check", "/no/such/folder"], "there is no folder"),
        (["check", "a", "b"], "one path"),
        (["check", "--owner", "vera"], "belong to a call"),
        (["test", "no-such-suite"], "no suite"),
        (["test", "/no/such/permissions.yaml"], "no suite"),  # and not the shipped one of that name
        (["test", "plans"], "not a permission suite"),
    ],
)
def test_wrong_usage_is_named_and_has_exit_code_2(system: Agentos, words: list[str], says: str) -> None:
    done = system.run("policy", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_question_is_planned_as_any_sentence(system: Agentos) -> None:
    done = system.run("policy", "explain", "may a viewer delete the churn model?")
    assert done.returncode == 0 and "policy.explain" in done.stderr and "default-deny" in done.stdout
    said = system.json("policy", "explain", "我能删除模型吗", "--json")
    assert (said["syscall"], said["decision"]) == ("models.delete", "confirm")


@pytest.mark.parametrize("said", ["may I load it and do so", "how much memory is free?", "what is the weather?"])
def test_a_question_that_comes_to_anything_else_is_not_run(system: Agentos, said: str) -> None:
    done = system.run("policy", "explain", said)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing was run" in done.stderr
