import shutil
import subprocess
from collections.abc import Sequence

import pytest

from agentos.interfaces.completion import commands
from agentos.interfaces.completion_fish import fish
from agentos.interfaces.completion_zsh import zsh
from agentos.interfaces.parser import build_parser

from .conftest import Agentos

_TRY = """
source <(agentos completion bash)
complete -p agentos >/dev/null || exit 9
for COMP_LINE in "$@"; do COMP_POINT=${#COMP_LINE}; COMPREPLY=(); _agentos; echo "${COMPREPLY[*]}"; done
"""


def completed(agentos: Agentos, *lines: str) -> Sequence[list[str]]:
    """What a real bash would offer for each line, the cursor at its end."""
    done = subprocess.run(
        ["bash", "--norc", "-c", _TRY, "bash", *lines], capture_output=True, text=True, check=True,
        env={**agentos.env, "PATH": f"{_bin(agentos)}:{agentos.env['PATH']}"},
    )
    assert not done.stderr, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def _bin(agentos: Agentos) -> str:
    """A folder with an `agentos` that is this one."""
    import sys

    folder = agentos.home.parent / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "agentos"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agentos "$@"\n', "utf-8")
        program.chmod(0o700)
    return str(folder)


def test_bash_completes_commands_options_and_choices(agentos: Agentos) -> None:
    first, some, options, states, state, after, given = completed(
        agentos, "agentos ", "agentos jo", "agentos jobs --st", "agentos jobs --state ", "agentos jobs --state r",
        "agentos --as root jobs --state r", "agentos jobs --limit ",
    )
    assert {"ask", "call", "doctor", "completion"} <= set(first) and "jobs" in first
    assert (some, options, state, after, given) == (["jobs"], ["--state", "--steady"], ["running"], ["running"], [])
    assert {"all", "queued"} <= set(states)


def test_bash_completes_names_from_what_there_is(agentos: Agentos) -> None:
    job = str(agentos.json("call", "jobs.submit", "--command", "true", "--name", "nightly", "--yes", "--json")["job"])
    calls, params, models, jobs, named, users = completed(
        agentos, "agentos call models.l", "agentos call models.load --", "agentos call models.load --model smol",
        "agentos wait ", "agentos logs nigh", "agentos --as ",
    )
    assert calls == ["models.list", "models.load"]
    assert {"--model", "--keep_alive", "--yes", "--json"} <= set(params)
    assert models == ["smollm2-135m"] and job in jobs and named == ["nightly"]
    assert users


def test_a_name_is_never_run_by_the_shell_that_completes_it(agentos: Agentos) -> None:
    trap = agentos.home / "trapped"
    submit = ("call", "jobs.submit", "--command", "true", "--yes", "--json", "--name")
    agentos.json(*submit, f"$(touch {trap})")
    agentos.json(*submit, f"x`touch${{IFS}}{trap}`")
    (offered,) = completed(agentos, "agentos logs ")
    assert not trap.exists()
    assert any(word.startswith("x\\`touch") for word in offered), "what is put into the line is quoted"


def test_no_system_is_started_for_a_name(fresh: Agentos) -> None:
    assert completed(fresh, "agentos logs ", "agentos wai") == [[], ["wait"]]
    assert not (fresh.home / "agentos.sock").exists()
    assert fresh.json("names", "model", "--json") == {"names": []}
    assert fresh.run("names", "parameter").returncode == 2


def test_every_command_and_option_is_in_every_script() -> None:
    parser = build_parser()
    texts = {"zsh": zsh(parser), "fish": fish(parser)}
    for one in commands(parser)[1:]:
        assert f"      {one.name}) _arguments" in texts["zsh"]
        assert f" -a {one.name} -d " in texts["fish"]
        for option in one.options:
            for flag in option.flags:
                assert f"'{flag}[" in texts["zsh"], flag
                assert (f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}") in texts["fish"], flag


@pytest.mark.parametrize(("shell", "check"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_a_script_is_one_that_its_shell_reads(shell: str, check: list[str], fresh: Agentos) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = fresh.home.parent / shell
    script.write_text(fresh.run("completion", shell).stdout, "utf-8")
    done = subprocess.run([shell, *check, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
