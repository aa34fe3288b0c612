"""The catalog and the names people use."""

import re

import pytest

from agentos.errors import NotFound
from agentos.models.catalog import Packages, catalog, read, resolve

GOOD = """
- name: one
  description: d
  licence: MIT
  kind: causal
  parameters: 1
  context: 1
  format: gguf
  files: [{name: model.gguf, size: 1, sha256: "%s"}]
  sources: [{url: "http://127.0.0.1/x.gguf"}]
""" % ("0" * 64)


def test_every_entry_is_pinned_and_has_a_source() -> None:
    assert {"qwen2.5-coder-0.5b", "smollm2-135m", "all-minilm-l6"} <= set(catalog())
    for entry in catalog().values():
        assert entry.licence and entry.description and entry.parameters and entry.context and entry.sources
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size for file in entry.files)
        assert entry.kind in {"causal", "embedding"}


def test_the_pieces_of_a_carrier_cover_every_file() -> None:
    for entry in catalog().values():
        for source in entry.sources:
            if isinstance(source, Packages):
                held = {target for wheel in source.wheels for target in wheel.members}
                assert held == {file.name for file in entry.files}
                assert all(wheel.sha256 and wheel.size for wheel in source.wheels)


@pytest.mark.parametrize(("said", "meant"), [
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"),
    ("QWEN2.5-Coder-0.5B", "qwen2.5-coder-0.5b"),
    ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "qwen2.5-coder-0.5b"),
    ("qwen/qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-0.5b"),
    ("qwen 0.5b", "qwen2.5-coder-0.5b"),
    ("Qwen", "qwen2.5-coder-0.5b"),
    ("SmolLM2", "smollm2-135m"),
    ("smollm2_135m", "smollm2-135m"),
    (" MiniLM ", "all-minilm-l6"),
    ("sentence-transformers/all-MiniLM-L6-v2", "all-minilm-l6"),
])
def test_a_name_is_understood_as_people_write_it(said: str, meant: str) -> None:
    assert resolve(said) == meant


@pytest.mark.parametrize("said", ["Qwen/Qwen2.5-0.5B", "gpt-neo", "m", "", "qwen 7b", "/", "all-minilm-l6-v3"])
def test_a_name_that_nothing_bears_lists_what_there_is(said: str) -> None:
    with pytest.raises(NotFound, match="there is no model"):
        resolve(said)


def test_a_name_that_could_be_two_is_not_guessed() -> None:
    with pytest.raises(NotFound, match="qwen-mine.*qwen2.5-coder-0.5b"):
        resolve("qwen", ["qwen-mine"])


def test_what_is_stored_and_in_no_catalog_is_found_too() -> None:
    assert resolve("Org/My-Net", ["org/my-net"]) == "org/my-net"


@pytest.mark.parametrize("broken", [
    GOOD + GOOD,
    GOOD.replace("sha256", "sha"),
    GOOD.replace("0" * 64, "abc"),
    GOOD.replace('[{url: "http://127.0.0.1/x.gguf"}]', "[]"),
    GOOD.replace("licence: MIT", "note: x"),
])
def test_a_catalog_that_pins_nothing_or_names_one_twice_does_not_load(broken: str) -> None:
    assert read(GOOD)[0].name == "one"
    with pytest.raises(ValueError):
        read(broken)


def test_a_family_means_its_only_model_here_until_another_one_bears_its_name() -> None:
    assert resolve("bert") == "all-minilm-l6"
    assert resolve("BERT", ["bert-base-chinese"]) == "bert-base-chinese"
    with pytest.raises(NotFound):
        resolve("bert", ["bert-base", "bert-large"])
