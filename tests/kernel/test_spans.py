"""What of a sentence may become a value is what is no ordinary language."""

from __future__ import annotations

import pytest

from agentos.kernel.examples import Example
from agentos.kernel.language import chunks
from agentos.kernel.spans import SpanFinder, counted, durations, whole, without_repeats
from agentos.registry import Registry
from agentos.types.units import seconds


@pytest.fixture(scope="module")
def finder(syscalls: Registry, examples: list[Example]) -> SpanFinder:
    return SpanFinder(syscalls, examples)


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("load zeta-7b", ("zeta-7b",)),
        ("把 zeta-7b 加载到内存", ("zeta-7b",)),
        ("load the model", ()),
        ("加载模型", ()),
        ("load 'the model'", ("the model",)),
        ("加载“模型”", ("模型",)),
        ("delete zeta-7b, then unload eta-1", ("zeta-7b", "eta-1")),
    ],
)
def test_names_are_what_stands_in_quotes_and_what_the_examples_do_not_use(
    finder: SpanFinder, sentence: str, names: tuple[str, ...]
) -> None:
    assert finder.find(sentence).names == names


def test_a_name_that_exists_is_one_in_whatever_words_and_as_it_was_written(finder: SpanFinder) -> None:
    assert finder.find("load the model") == finder.find("load the model", ["other"])
    assert finder.find("load The Model please", ["the model"]).names == ("The Model",)


def test_what_the_syscalls_are_called_is_a_topic_and_no_name(finder: SpanFinder) -> None:
    spans = finder.find("what is models.load in models?")
    assert spans.topics == ("models", "models.load") and spans.names == ()


def test_a_sentence_holds_as_many_calls_as_clauses(finder: SpanFinder) -> None:
    assert finder.find("load zeta").most == 1
    assert finder.find("load zeta and then unload eta").most == 3
    assert finder.find("先加载 zeta，然后卸载 eta").most == 3
    assert finder.find("a, b, c, d, e, f, g, h, i, j, k").most == 8


@pytest.mark.parametrize("said", ["for 10 minutes", "for an hour", "keep it forever", "never unload it", "保留两小时"])
def test_figures_and_durations_are_counted_in_words_too(said: str) -> None:
    assert counted(said)


@pytest.mark.parametrize("said", ["load zeta", "keep it", "加载模型"])
def test_a_sentence_without_a_figure_is_not_counted(said: str) -> None:
    assert not counted(said)


def test_one_span_fills_one_argument() -> None:
    assert without_repeats({"model": "a", "source": "a", "top": 3}, ["model"]) == {"source"}
    assert without_repeats({"model": "a", "source": "b"}, ["model"]) == set()
    assert without_repeats({"model": "a", "dataset": "a"}, ["model", "dataset"]) == set()


@pytest.mark.parametrize(
    ("sentence", "numbers", "is_counted"),
    [
        ("fine-tune bert on a.csv and call it rev2", (), False),
        ("ask gpt-4 about /data/2024/x.csv", (), False),
        ("show 12 rows of mail24", ("12", "0", "1"), True),
        ("看最后100行", ("100", "0", "1"), True),
        ("5 epochs with 2 gpus", ("5", "2", "0", "1"), True),
        ("the last twenty lines", (), True),
        ("0.8 of it for training, 3 epochs", (), True),
        ("10k rows", (), True),
    ],
)
def test_numbers_are_what_is_said_and_not_what_a_name_holds(
    sentence: str, numbers: tuple[str, ...], is_counted: bool
) -> None:
    assert whole(sentence) == numbers and counted(sentence) == is_counted


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("load zeta for half an hour", {"30m"}),
        ("keep zeta for an hour and a half, then unload it", {"90m", "1h30m"}),
        ("让它留一个半小时", {"90m", "1h30m"}),
        ("each run gets three quarters of an hour", {"45m"}),
        ("zeta for 10 minutes and yi for two hours", {"10m", "2h"}),
        ("一直留着 zeta", {"forever"}),
        ("a 30-minute limit", {"30m"}),
        ("过一分半钟", {"90s"}),
    ],
)
def test_a_duration_is_what_is_said_in_any_way_of_writing_it(sentence: str, wanted: set[str]) -> None:
    found = durations(chunks(sentence))
    assert wanted <= set(found)
    assert {seconds(one) for one in found} == {seconds(one) for one in wanted}


@pytest.mark.parametrize("sentence", ["show 5 jobs", "keep it a few minutes", "last week's jobs", "unload zeta"])
def test_where_no_duration_can_be_read_none_is_offered(sentence: str) -> None:
    assert durations(chunks(sentence)) == ()


def test_a_chinese_name_between_spaces_is_whole_and_a_path_ends_before_the_full_stop(finder: SpanFinder) -> None:
    assert "评论数据" in finder.find("划分 评论数据，75% 用来训练").names
    assert "/home/lena/exp" in finder.find("The path is /home/lena/exp. The name is songs").names


def test_a_placeholder_is_one_name(finder: SpanFinder) -> None:
    assert finder.find("show what <EMAIL_1> was denied").names == ("<EMAIL_1>",)
