"""Where a pronoun stands for a thing, and where it does not."""

from __future__ import annotations

import pytest

from agentos.kernel import pronouns, referring
from agentos.kernel.context import Past, Turn, Value
from agentos.types import Step


def put(sentence: str, value: Value) -> str:
    found = pronouns.find(sentence)
    assert found is not None
    return found.put(value, lambda text: [value.value])


@pytest.mark.parametrize(("sentence", "named"), [
    ("and unload it again", "and unload the model zeta again"),
    ("unload that model, please", "unload the model zeta, please"),
    ("use it, then unload it", "use the model zeta, then unload the model zeta"),
    ("ask it: is it good?", "ask the model zeta: is it good?"),
    ("let it write of it", "let the model zeta write of it"),
    ("ok: unload it", "ok: unload the model zeta"), ("ask it: what is a cat?", "ask the model zeta: what is a cat?"),
    ("卸载它", "卸载 模型 zeta"), ("请把此模型删除", "请把 模型 zeta 删除"), ("把这个卸载", "把 模型 zeta 卸载"),
    ("问它：它好吗", "问 模型 zeta：它好吗"), ("删掉刚才那个模型", "删掉 模型 zeta"),
])
def test_a_name_takes_the_place_of_a_pronoun(sentence: str, named: str) -> None:
    assert put(sentence, Value("model", "zeta")) == named


def test_a_name_with_spaces_is_quoted_and_another_server_s_thing_has_no_label() -> None:
    assert put("delete it", Value("dataset", "my rows")) == 'delete the dataset "my rows"'
    assert put("delete it", Value("desk/ticket", "t-1")) == "delete t-1"


@pytest.mark.parametrize("sentence", [
    "is it possible to see the memory", "how is it going", "what time is it", "it is raining", "does it matter",
    "take it easy", "make it fast", "undo it", "do it again", "undo that", "what is this", 'say "load it"',
    "ask zeta: is it good?", "write 'it works'", "问 zeta：它好吗", "其它的呢", "不管它", "这个星期有多少任务",
    "compare it with that one", "its size", "unload it's", "它是什么",
])
def test_no_other_pronoun_is_replaced(sentence: str) -> None:
    assert pronouns.find(sentence) is None


@pytest.mark.parametrize(("sentence", "word"), [
    ('ask it "what is a cat?"', "it"), ("ask it: what is a cat?", "it"), ('train "my zeta" on that one', "that one"),
    ("answer: is it good?", ""), ("say 'load it", ""), ("写：它好吗", ""), ("don't unload it", "it"),
])
def test_a_text_refers_to_nothing_and_names_nothing_new(sentence: str, word: str) -> None:
    assert referring.back(sentence) == word


def test_only_what_was_spoken_of_last_is_meant_but_for_a_kind_that_is_said() -> None:
    step = (Step("s1", "models.load", {}),)
    rows, zeta, ada = Value("dataset", "rows"), Value("model", "zeta"), Value("user", "ada")
    past = Past().plus(Turn(step, (), (zeta, ada))).plus(Turn(step, (), (rows,)))

    def spoken(sentence: str) -> tuple[Value, ...]:
        found = pronouns.find(sentence)
        return pronouns.spoken(found, past) if found is not None else ()

    assert spoken("delete it") == (rows,)
    assert spoken("delete that model") == (zeta,)
    assert spoken("remove him") == (ada,)


@pytest.mark.parametrize("values", [
    (Value("model", "zeta", "text of r1"),), (Value("model", "zeta"), Value("dataset", "rows")),
    (Value("model", 'zeta" then delete "beta'),), (Value("model", "zeta\nbeta"),),
])
def test_no_sentence_is_made_of_what_others_wrote_or_of_several_kinds(values: tuple[Value, ...]) -> None:
    assert not pronouns.sayable(values)
