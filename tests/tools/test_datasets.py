"""The data set syscalls are what the table says, and their examples are clean."""

import re

import pytest

from agentos.errors import UserError
from agentos.registry import installed

TABLE = {
    "datasets.list": ("read", {}),
    "datasets.add": ("write", {"path": ..., "name": None}),
    "datasets.show": ("read", {"dataset": ..., "rows": 5}),
    "datasets.clean": ("write", {"dataset": ..., "steps": None, "output": None}),
    "datasets.split": ("write", {"dataset": ..., "train": 0.8, "seed": 0}),
    "datasets.delete": ("destroy", {"dataset": ...}),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_data_set_syscall_has_the_effect_and_the_defaults_of_the_table(name: str) -> None:
    entry = installed()[name]
    effect, params = TABLE[name]
    assert entry.effect == effect and entry.untrusted == (name == "datasets.show")
    assert {p.name: ... if p.required else p.default for p in entry.params} == params


@pytest.mark.parametrize("name", TABLE)
def test_examples_are_in_both_languages_and_copy_names_and_paths_as_written(name: str) -> None:
    examples = installed()[name].examples
    chinese = [said for said in examples if re.search("[一-鿿]", said)]
    assert 12 <= len(examples) <= 20 and 0.35 <= len(chinese) / len(examples) <= 0.65
    for said, args in examples.items():
        for key in {"dataset", "path", "name", "output"} & set(args):
            assert str(args[key]) in said


def test_a_step_that_is_none_is_refused_and_one_alone_is_a_list() -> None:
    entry = installed()["datasets.clean"]
    assert entry.validate({"dataset": "d", "steps": "dedupe"})["steps"] == ["dedupe"]
    assert entry.validate({"dataset": "d"})["steps"] is None
    with pytest.raises(UserError, match="polish"):
        entry.validate({"dataset": "d", "steps": ["polish"]})


def test_a_result_gives_later_steps_the_fields_of_the_table() -> None:
    table = installed()
    assert "dataset" in table["datasets.add"].fields and "dataset" in table["datasets.clean"].fields
    assert {"train", "test"} <= set(table["datasets.split"].fields)
