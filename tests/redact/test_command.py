"""`agentos redact`: one text or many, without the running system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def agentos(home: Path, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "AGENTOS_HOME": str(home / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "agentos", "redact", *args]
    return subprocess.run(words, input=stdin, env=env, capture_output=True, timeout=60, check=False)


def test_a_file_or_a_pipe_is_printed_without_private_data_and_nothing_is_started(tmp_path: Path) -> None:
    text = "写给 a@b.org，\r\ncall 13812345678\n"
    (tmp_path / "note.txt").write_bytes(text.encode())
    for done in (agentos(tmp_path, str(tmp_path / "note.txt")), agentos(tmp_path, stdin=text.encode())):
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode() == "写给 <EMAIL_1>，\r\ncall <PHONE_1>\n"
    assert not (tmp_path / "home").exists()


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    done = agentos(tmp_path, stdin=b"\xff\xfe a@b.org \xe4\xb8")
    assert done.returncode == 0 and done.stdout == b"\xff\xfe <EMAIL_1> \xe4\xb8"


def test_each_line_of_a_batch_is_answered_with_offsets_in_its_own_text(tmp_path: Path) -> None:
    texts = ["😀 电话１３８１２３４５６７８。", "nothing", "a@b.org, a@b.org \ud83d"]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": n, "text": text}) + "\n\n" for n, text in enumerate(texts)))
    done = agentos(tmp_path, "--batch", str(file))
    assert done.returncode == 0, done.stderr
    first, second, third = map(json.loads, done.stdout.decode().splitlines())
    assert first == {
        "id": 0, "text": "😀 电话<PHONE_1>。", "entities": [{"type": "PHONE", "start": 4, "end": 15}],
    }
    assert second == {"id": 1, "text": "nothing", "entities": []}
    assert third["text"] == "<EMAIL_1>, <EMAIL_1> \ud83d"
    assert [texts[2][each["start"] : each["end"]] for each in third["entities"]] == ["a@b.org"] * 2


def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    good = b'{"id": "a", "text": "a@b.org"}\n'
    for bad in (b"not json\n", b'{"id": "b"}\n', b'{"text": 3}\n', b"[1]\n", b'{"text": "\xff"}\n'):
        done = agentos(tmp_path, "--batch", "-", stdin=good + bad + good)
        assert done.returncode == 2 and done.stdout == b""
        assert b"line 2" in done.stderr and b"Traceback" not in done.stderr


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    for args in (("nowhere.txt",), ("--batch", "nowhere.jsonl"), ("a.txt", "--batch", "b.jsonl")):
        done = agentos(tmp_path, *args)
        assert done.returncode == 2 and done.stderr.startswith(b"agentos: ") and b"Traceback" not in done.stderr
