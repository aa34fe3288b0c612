"""`agentos redact`: a text, or many, without private data. Nothing else of the system takes part."""

from __future__ import annotations

import codecs
import json
import sys
from argparse import Namespace
from contextlib import nullcontext
from typing import Any

from agentos.errors import UserError
from agentos.redact import Redactor, Stream, find

_CHUNK = 1 << 16


def redact(args: Namespace) -> int:
    """`agentos redact`."""
    if args.batch is not None:
        if args.file != "-":
            raise UserError("say one FILE, or --batch FILE: agentos redact --batch texts.jsonl")
        for line in _batch(args.batch):
            print(line)
        return 0
    _through(args.file)
    return 0


def _through(name: str) -> None:
    """Lets a text out as it comes, so that a log can be followed; what is not UTF-8 stays as it is."""
    stream = Stream(Redactor())
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    out = sys.stdout.buffer
    with _opened(name) as file:
        while chunk := file.read1(_CHUNK):
            out.write(stream.feed(decoder.decode(chunk)).encode(errors="surrogateescape"))
            out.flush()
    rest = stream.feed(decoder.decode(b"", final=True)) + stream.close()
    out.write(rest.encode(errors="surrogateescape"))
    out.flush()


def _batch(name: str) -> list[str]:
    """Every line's answer; made before the first is shown, so that a bad line leaves nothing half written."""
    with _opened(name) as file:
        asked = [_asked(number, raw) for number, raw in enumerate(file, 1) if raw.strip()]
    return [_answer(each) for each in asked]


def _answer(asked: dict[str, Any]) -> str:
    text = asked["text"]
    found = find(text)
    redactor = Redactor()
    redactor.reserve(text)
    entities = [{"type": entity.kind, "start": entity.start, "end": entity.end} for entity in found]
    made = {"id": asked["id"], "text": redactor.replace(text, found), "entities": entities}
    # A lone surrogate has no UTF-8; escaped, it comes back as it was.
    return json.dumps(made, ensure_ascii=any("\ud800" <= char <= "\udfff" for char in text))


def _opened(name: str) -> Any:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(name, "rb")
    except OSError as error:
        raise UserError(f"cannot read {name!r}: {error.strerror}") from None


def _asked(number: int, raw: bytes) -> dict[str, Any]:
    form = 'each line must be like {"id": "r1", "text": "call 13812345678"}; nothing was written'
    try:
        asked = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise UserError(f"line {number} is not JSON ({reason}); {form}") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        raise UserError(f"line {number} has no 'text'; {form}")
    return {"id": asked.get("id", str(number)), "text": asked["text"]}
