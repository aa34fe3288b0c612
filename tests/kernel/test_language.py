"""The plan language reads back what it writes; its grammar says what a sentence can mean and nothing else."""

from __future__ import annotations

import random
import re

import pytest
from llguidance import LLMatcher, LLTokenizer

from agentos.errors import NotFound, UserError
from agentos.kernel.examples import Example
from agentos.kernel.language import CHAT, MOST_STEPS, NONE, chunks, grammar, parse, write
from agentos.kernel.retrieval import Retrieval
from agentos.kernel.spans import SpanFinder
from agentos.registry import Registry
from agentos.syscall import Param
from agentos.types import Json, Step

BYTES = LLTokenizer("byte")
WORDS = [
    "a", "qwen2.5-0.5b", "小王", 'say "hi"', "back\\slash", "two\nlines", "a, b) after s1", "s1.model", "?!", "none()",
]


@pytest.fixture(scope="module")
def retrieval(syscalls: Registry, examples: list[Example]) -> Retrieval:
    return Retrieval(syscalls, examples)


@pytest.fixture(scope="module")
def finder(syscalls: Registry, examples: list[Example]) -> SpanFinder:
    return SpanFinder(syscalls, examples)


def sayable(grammar_text: str, answer: str) -> bool:
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(grammar_text), log_level=0)
    assert not matcher.get_error(), matcher.get_error()
    return matcher.consume_tokens(list(answer.encode())) and matcher.is_accepting()


def test_every_example_reads_back_as_it_was_written(syscalls: Registry, examples: list[Example]) -> None:
    for example in examples:
        parsed = parse(example.answer, syscalls)
        if parsed.missing:
            continue
        expected = CHAT if parsed.chat else write(parsed.steps, syscalls)
        assert expected == example.answer, example.text
        for step in parsed.steps:
            literal = {
                n: "x" if isinstance(v, dict) else ["x" if isinstance(one, dict) else one for one in v]
                if isinstance(v, list) else v
                for n, v in step.args.items()
            }
            syscalls[step.syscall].validate(literal)


def test_an_example_that_lacks_an_argument_says_which(syscalls: Registry, examples: list[Example]) -> None:
    lacking = [parse(example.answer, syscalls).missing for example in examples if "=?" in example.answer]
    assert lacking and all(missing[0].parameter for missing in lacking)


def test_random_plans_read_back_as_they_were_written(syscalls: Registry) -> None:
    draw = random.Random(7)
    for _ in range(300):
        steps: list[Step] = []
        for number in range(1, draw.randint(1, MOST_STEPS) + 1):
            entry = draw.choice(list(syscalls))
            args = {p.name: value(p, steps, draw) for p in entry.params if p.required or draw.random() < 0.5}
            named = [str(v["$ref"]).split(".")[0] for v in args.values() if isinstance(v, dict)]
            waits = [step.id for step in steps if draw.random() < 0.2]
            after = [name for name in waits if name not in named] + list(dict.fromkeys(named))
            steps.append(Step(f"s{number}", entry.name, args, tuple(after)))
        assert parse(write(steps, syscalls), syscalls).steps == tuple(steps)


def value(param: Param, steps: list[Step], draw: random.Random) -> Json:
    if steps and draw.random() < 0.3:
        return {"$ref": f"{draw.choice(steps).id}.model"}
    simple: dict[str, Json] = {"int": draw.randint(0, 9999), "float": 0.5, "bool": draw.random() < 0.5}
    return draw.choice(param.choices) if param.choices else simple.get(param.kind, draw.choice(WORDS))


def test_no_plan_is_none() -> None:
    assert write([], Registry()) == NONE
    assert parse(NONE, Registry()).steps == () and parse(CHAT, Registry()).chat


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", UserError, "empty"),
        ("models.lode(model=\"a\")", NotFound, "models.load"),
        ("models.load(model=s1.model)", UserError, "not an earlier step"),
        ("models.load(model=\"a\")\nmodels.load(model=s2.model)", UserError, "not an earlier step"),
        ("models.load(model=\"a\") after s2", UserError, "not an earlier step"),
        ("models.load(model=a)", UserError, "no value"),
        ("models.load(model=\"a\"", UserError, "expected"),
        ("models.load(model=\"a\") and more", UserError, "more than a call"),
        ("sure! here is the plan", UserError, "sure"),
        ("models.load(model=\"unclosed)", UserError, "cannot read"),
    ],
)
def test_a_bad_plan_is_the_models_error_and_says_what_is_wrong(
    syscalls: Registry, text: str, error: type[UserError], says: str
) -> None:
    with pytest.raises(error, match=says):
        parse(text, syscalls)


def test_no_plan_has_more_steps_than_the_most(syscalls: Registry) -> None:
    assert len(parse("\n".join(["kernel.status()"] * 20), syscalls).steps) == MOST_STEPS


def test_the_pieces_of_a_sentence_are_the_sentence(examples: list[Example]) -> None:
    for example in examples:
        assert "".join(chunks(example.text)) == example.text


def test_the_grammar_of_a_sentence_can_say_its_example(
    syscalls: Registry, examples: list[Example], retrieval: Retrieval, finder: SpanFinder
) -> None:
    families = {entry.family for entry in syscalls}
    unsaid = []
    for example in examples:
        topic = re.search(r'topic="(\w+)"', example.answer)
        if topic and topic[1] not in families and topic[1] not in example.text:
            continue  # of a family that is not installed
        people = re.findall(r'user="([^"]+)"', example.answer)
        allowed = grammar(retrieval.find(example.text).entries, finder.find(example.text, people))
        if not sayable(allowed, example.answer):
            unsaid.append((example.text, example.answer))
    assert unsaid == []


@pytest.mark.parametrize(
    ("sentence", "can", "cannot"),
    [
        ("load zeta-7b", 'models.load(model="zeta-7b")', 'models.load(model="zeta-8b")'),
        ("加载 zeta-7b", 'models.load(model="zeta-7b")', 'models.load(model="zeta")'),
        ("please load a model", "models.load(model=?)", 'models.load(model="a")'),
        ("please load a model", "models.load(model=?)", 'models.load(model="model")'),
        ("load zeta", NONE, 'models.load(model="zeta", keep_alive="10m")'),
        ("load zeta-7b", CHAT, 'models.load(model="zeta-7b")\nmodels.load(model="zeta-7b")'),
        ("load zeta-7b for 10 minutes", 'models.load(model="zeta-7b", keep_alive="10m")', "models.nothing()"),
        ("pull zeta-7b and load it", 'models.pull(model="zeta-7b")\nmodels.load(model=s1.model)',
         "models.load(model=s1.model)"),
        ("ask zeta-7b what it is", 'models.generate(model="zeta-7b", prompt="what it is")',
         'models.generate(model="zeta-7b", prompt="who you are")'),
    ],
)
def test_a_value_is_what_the_sentence_has(
    retrieval: Retrieval, finder: SpanFinder, sentence: str, can: str, cannot: str
) -> None:
    allowed = grammar(retrieval.find(sentence).entries, finder.find(sentence))
    assert sayable(allowed, can)
    assert not sayable(allowed, cannot)
