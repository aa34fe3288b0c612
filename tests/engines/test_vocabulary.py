"""A tokenizer that was kept is the one that transformers makes."""

from __future__ import annotations

import os
import shutil

import pytest
from transformers import AutoTokenizer

from agentos.engines.vocabulary import keep, tokenizer

TEXTS = ["Hello, world!", "你好，世界", "e\u0301 naïve\n\t  ", "<|im_start|>user\nHi<|im_end|>", ""]
TALK = [{"role": "user", "content": "Hi"}]


def test_what_is_kept_encodes_decodes_and_talks_as_what_was_made(tiny, tmp_path):
    made, read = tokenizer(tiny, tmp_path)
    assert not read and keep(tiny, tmp_path, made)
    again, read = tokenizer(tiny, tmp_path)
    plain = AutoTokenizer.from_pretrained(tiny)
    assert read
    for text in TEXTS:
        ids = plain(text)["input_ids"]
        assert again(text)["input_ids"] == ids and again.decode(ids) == plain.decode(ids)
    assert again.backend_tokenizer.to_str() == plain.backend_tokenizer.to_str()
    assert again.eos_token_id == plain.eos_token_id and again.special_tokens_map == plain.special_tokens_map
    assert again.apply_chat_template(TALK, tokenize=False) == plain.apply_chat_template(TALK, tokenize=False)


def test_changed_files_and_a_damaged_copy_are_read_anew(tiny, tmp_path):
    folder, kept = tmp_path / "model", tmp_path / "kept"
    shutil.copytree(tiny, folder)
    assert keep(folder, kept, tokenizer(folder, kept)[0])
    assert tokenizer(folder, kept)[1]
    for file in kept.rglob("tokenizer.json"):
        file.write_text("{", "utf-8")
    assert tokenizer(folder, kept)[1] is False
    assert keep(folder, kept, tokenizer(folder, kept)[0]) and tokenizer(folder, kept)[1]
    os.utime(folder / "tokenizer_config.json", ns=(1, 1))
    assert tokenizer(folder, kept)[1] is False


def test_nothing_is_kept_where_no_folder_is_named_and_a_missing_tokenizer_is_an_error(tiny, tmp_path):
    assert tokenizer(tiny, None)[1] is False
    with pytest.raises((OSError, ValueError)):
        tokenizer(tmp_path, tmp_path / "kept")


def test_what_cannot_be_read_back_as_the_same_is_not_kept(tiny, tmp_path):
    made, _ = tokenizer(tiny, tmp_path)
    made.eos_token = "<|im_start|>"
    made.special_tokens_map.clear()
    made.decode = lambda *_args, **_rest: "something else"
    assert keep(tiny, tmp_path, made) is False
    assert tokenizer(tiny, tmp_path)[1] is False
