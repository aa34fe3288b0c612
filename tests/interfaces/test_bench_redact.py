"""What measures redactors: ours beside those whose interpreters are given."""

from __future__ import annotations

import sys

import pytest

from agentos.errors import Failed, UserError
from agentos.interfaces.bench_redact import OURS, Worker, documents, measure
from agentos.redact.suite import Private, Text

CASES = [Text("a", "zh", "chat", "first", "发到 li.hua@corp.cn 就行", (Private("EMAIL", "li.hua@corp.cn"),)),
         Text("b", "en", "log", "first", "version 1.2.3.4 released")]


def test_a_redactor_in_a_process_of_its_own_is_scored_and_timed() -> None:
    worker = Worker(OURS, sys.executable)
    try:
        scores = worker.choose(CASES)
        assert (scores["recall"], scores["precision"], scores["kept"]["EMAIL"]) == (1, 1, "1/1")
        assert worker.speed([case.text for case in CASES]) > 0
        assert worker.adversarial("@") is not None
    finally:
        worker.close()


def test_the_documents_are_made_of_the_texts_and_are_the_same_every_time() -> None:
    made = documents(CASES, 5000)
    assert made == documents(CASES, 5000) and sum(len(each.encode()) for each in made) >= 5000
    assert {line for each in made for line in each.split("\n")} == {case.text for case in CASES}


def test_an_interpreter_without_the_peer_and_a_peer_that_is_not_known_are_told() -> None:
    with pytest.raises(Failed, match="argus-redact"):
        measure([f"argus={sys.executable}"])
    with pytest.raises(Failed, match="does not run"):
        measure(["argus=/no/such/python"])
    with pytest.raises(UserError, match="presidio=PYTHON"):
        measure(["other=python"])
