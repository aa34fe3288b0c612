"""`resources.query`, as the table has it."""

import re

from agentos.registry import Registry
from agentos.tools import resources
from agentos.types.spoken import digits


def entry():
    table = Registry()
    table.add_module(resources, "resources")
    return table["resources.query"]


def test_the_table_has_it_as_documented() -> None:
    call = entry()
    assert call.effect == "read"
    assert [(p.name, p.required, p.default) for p in call.params] == [("kind", False, "all"), ("top", False, 10)]
    assert call.params[0].choices == ("all", "cpu", "memory", "gpu", "disk", "network", "processes")


def test_examples_are_in_both_languages_show_every_kind_and_repeat_none() -> None:
    examples = entry().examples
    chinese = [sentence for sentence in examples if re.search(r"[\u4e00-\u9fff]", sentence)]
    assert 0.35 <= len(chinese) / len(examples) <= 0.65
    assert {args.get("kind", "all") for args in examples.values()} == set(entry().params[0].choices)


def test_an_example_gives_a_count_only_where_its_sentence_does() -> None:
    for sentence, args in entry().examples.items():
        if "top" in args:
            assert str(args["top"]) in re.findall(r"\d+", digits(sentence.replace("个最", "个"))), sentence
