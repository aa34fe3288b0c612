"""The model syscalls are what the table says, and their examples are clean."""

import re

import pytest

from agentos.errors import UserError
from agentos.registry import installed

TABLE = {
    "models.list": ("read", {"state": "all"}),
    "models.show": ("read", {"model": ...}),
    "models.pull": ("write", {"model": ..., "source": None}),
    "models.load": (
        "write", {"model": ..., "engine": "auto", "device": "auto", "keep_alive": "10m", "replicas": 1},
    ),
    "models.unload": ("write", {"model": ...}),
    "models.generate": ("execute", {"model": ..., "prompt": ..., "max_tokens": 256}),
    "models.predict": ("execute", {"model": ..., "text": ...}),
    "models.quantize": ("write", {"model": ..., "bits": 8, "output": None}),
    "models.delete": ("destroy", {"model": ...}),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_model_syscall_has_the_effect_and_the_defaults_of_the_table(name: str) -> None:
    entry = installed()[name]
    effect, params = TABLE[name]
    assert entry.effect == effect
    assert {p.name: ... if p.required else p.default for p in entry.params} == params


@pytest.mark.parametrize("name", TABLE)
def test_examples_are_in_both_languages_and_copy_names_and_prompts_as_written(name: str) -> None:
    examples = installed()[name].examples
    chinese = [said for said in examples if re.search("[一-鿿]", said)]
    assert len(examples) >= 8 and 0.35 <= len(chinese) / len(examples) <= 0.65
    for said, args in examples.items():
        for key in {"model", "prompt", "source", "output"} & set(args):
            assert str(args[key]) in said
        assert all(text in said for text in args.get("text", []))


def test_the_bits_of_a_smaller_copy_are_four_or_eight_as_a_number_or_as_a_word() -> None:
    entry = installed()["models.quantize"]
    assert entry.validate({"model": "m", "bits": "4"})["bits"] == 4
    assert entry.validate({"model": "m"})["bits"] == 8
    for wrong in (3, "5", "four"):
        with pytest.raises(UserError, match="4 or 8"):
            entry.validate({"model": "m", "bits": wrong})


def test_a_result_gives_later_steps_the_fields_of_the_table() -> None:
    table = installed()
    assert "model" in table["models.pull"].fields and "model" in table["models.load"].fields
    assert "text" in table["models.generate"].fields
    assert "predictions" in table["models.predict"].fields and "model" in table["models.quantize"].fields
