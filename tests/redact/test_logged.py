"""What is logged holds no private value, in the message, its arguments or a traceback."""

from __future__ import annotations

import io
import logging

from agentos.redact.logged import Discreet


def test_a_line_and_its_traceback_hold_no_private_value() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Discreet("%(levelname)s %(message)s"))
    log = logging.Logger("of the test")
    log.addHandler(handler)
    log.warning("run %s of %s failed", "r1", "zhang.san@example.com")
    try:
        raise ValueError("no such user: 13812345678")
    except ValueError:
        log.exception("told by postgres://app:hunter2secret@db/x")
    said = out.getvalue()
    assert "run r1 of <EMAIL> failed" in said
    assert "ValueError: no such user: <PHONE>" in said
    for value in ("zhang.san", "13812345678", "hunter2secret"):
        assert value not in said


def test_an_ordinary_line_stays_as_it_is() -> None:
    line = "2026-11-30 09:57:10,123 INFO agentos.system: loaded qwen2.5-coder-0.5b in 1.25 s; http://127.0.0.1:8075"
    record = logging.LogRecord("x", logging.INFO, __file__, 1, line, None, None)
    assert Discreet("%(message)s").format(record) == line
