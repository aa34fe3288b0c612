"""A model's tokenizer, kept in the form that loads fastest: its own result, written down once.

Making a tokenizer from a model's files takes transformers over a second, most of it spent on a vocabulary that is
parsed, rebuilt and parsed again. What comes out is kept beside the computed states, and read from there as long as
the model's files and the libraries are the same and every check gave the same answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerFast

_SOURCES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template*",
            "config.json")
_SHOWN = "Hello, world! 你好，世界。 naïve — “quoted” \t\n 12345 fi ½ <|im_start|>user </s> [CLS] e\u0301"
_TALK = [{"role": role, "content": "Hi"} for role in ("user", "assistant", "user")]


def tokenizer(folder: Path, kept: Path | None) -> tuple[Any, bool]:
    """A model's tokenizer, and whether it was read from what is kept.

    Args:
        folder: The model's.
        kept: Folder of what is kept; None keeps nothing.

    Raises:
        OSError: there is no tokenizer, or it cannot be read; also ValueError and KeyError.
    """
    place = None if kept is None else _place(folder, kept)
    if place is not None and (place / "words.json").is_file():
        with contextlib.suppress(Exception):  # a damaged file is only a lost saving
            return _read(place), True
    return AutoTokenizer.from_pretrained(folder), False


def keep(folder: Path, kept: Path, made: Any) -> bool:
    """Writes down what transformers made of a model's files; False where that cannot be read back as the same."""
    inner = getattr(made, "backend_tokenizer", None)
    if not isinstance(inner, Tokenizer):
        return False
    place = _place(folder, kept)
    said = {
        "special": {name: str(value) for name, value in made.special_tokens_map.items() if isinstance(value, str)},
        "rest": {name: value for name in ("chat_template", "clean_up_tokenization_spaces", "padding_side",
                 "truncation_side", "model_max_length", "model_input_names", "split_special_tokens")
                 if (value := getattr(made, name, None)) is not None},
    }
    try:
        place.mkdir(parents=True, exist_ok=True)
        _write(place / "tokenizer.json", inner.to_str())
        again = _made(place, said)
        if not _same(made, again):
            return False
        _write(place / "words.json", json.dumps(said))
    except (OSError, ValueError, TypeError):
        return False
    return True


def _place(folder: Path, kept: Path) -> Path:
    files = sorted({file for pattern in _SOURCES for file in folder.glob(pattern)})
    found = [(file.name, (state := file.stat()).st_size, state.st_mtime_ns, state.st_ino) for file in files]
    told = json.dumps([str(folder), found, transformers.__version__, tokenizers.__version__])
    return kept / "tokenizers" / hashlib.sha256(told.encode()).hexdigest()[:24]


def _read(place: Path) -> Any:
    return _made(place, json.loads((place / "words.json").read_text("utf-8")))


def _made(place: Path, said: dict[str, Any]) -> Any:
    # around an empty one: its constructor would copy the real one by writing and parsing it once more
    new: Any = PreTrainedTokenizerFast
    made = new(tokenizer_object=Tokenizer(BPE()), **said["special"], **said["rest"])
    made._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    return made


def _same(one: Any, other: Any) -> bool:
    """Whether two tokenizers say the same of everything that is asked of them here."""

    def told(each: Any) -> tuple[Any, ...]:
        ids = each.backend_tokenizer.encode(_SHOWN, add_special_tokens=False).ids
        full = each(_SHOWN)
        talk = each.apply_chat_template(_TALK, tokenize=False, add_generation_prompt=True) \
            if each.chat_template else ""
        return (
            ids, each.backend_tokenizer.get_vocab_size(), each.decode(ids), [each.decode([token]) for token in ids],
            full["input_ids"], sorted(full), each.special_tokens_map, each.eos_token_id, each.bos_token_id,
            each.pad_token_id, each.chat_template, talk, each.backend_tokenizer.to_str(),
        )

    return told(one) == told(other)


def _write(file: Path, text: str) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(file)
