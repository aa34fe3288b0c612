"""Texts with private values marked by hand, and how a redactor does on them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import yaml

from agentos.errors import UserError
from agentos.redact.entity import KINDS

LANGUAGES = ("zh", "en", "mixed")
PARTS = ("first", "second", "third", "fourth", "fifth")
"""The parts were written one after the other, and measured before they were read: see the head of the suite."""
MASK = "\ufffc"
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")

Span = tuple[int, int]
"""In code points of a text: where it starts, and one past its end."""


@dataclass(frozen=True)
class Private:
    """One value that must not stand in what a redactor gives."""

    kind: str
    value: str


@dataclass(frozen=True)
class Text:
    """One text and what is private in it."""

    id: str
    lang: str
    form: str
    part: str
    text: str
    values: tuple[Private, ...] = ()
    either: tuple[str, ...] = ()
    """Values that may be taken or left; what a redactor makes of them does not count."""


@dataclass(frozen=True)
class Scores:
    """What a redactor did to a suite's texts."""

    kept: Counter[str]
    """Values that do not leak, by kind, by language and by part."""
    values: Counter[str]
    right: Counter[str]
    """What was found and lies on a marked value, by the kind it was found as, by language and by part."""
    found: Counter[str]
    whole: int
    """Values of which no letter or digit is left."""
    leaks: tuple[tuple[str, Private], ...]
    """Each with the id of its text."""
    wrong: tuple[tuple[str, str, str], ...]
    """What was found and is not private: id of the text, kind, and the words themselves."""

    @property
    def recall(self) -> float:
        """The share of values that do not leak."""
        return 1 - len(self.leaks) / max(1, sum(self.values[kind] for kind in KINDS))

    @property
    def precision(self) -> float:
        """The share of what was found that is private."""
        return 1 - len(self.wrong) / max(1, sum(self.found[lang] for lang in LANGUAGES))

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        return 2 * self.recall * self.precision / max(1e-9, self.recall + self.precision)

    def to_json(self) -> dict[str, Any]:
        """Shares, counts as `right/all`, and the ids of the texts where it was wrong."""
        def shares(done: Counter[str], of: Counter[str], names: Iterable[str]) -> dict[str, str]:
            return {name: f"{done[name]}/{of[name]}" for name in names if of[name]}

        return {
            "recall": round(self.recall, 4), "precision": round(self.precision, 4),
            "whole": round(self.whole / max(1, sum(self.values[kind] for kind in KINDS)), 4),
            "kept": shares(self.kept, self.values, (*PARTS, *LANGUAGES, *KINDS)),
            "right": shares(self.right, self.found, (*PARTS, *LANGUAGES, *KINDS)),
            "leaks": [f"{where} {private.kind}" for where, private in self.leaks],
            "wrong": [f"{where} {kind}" for where, kind, _ in self.wrong],
        }


def read_suite(text: str) -> list[Text]:
    """A suite from its YAML: texts under `cases`.

    Raises:
        UserError: it is not YAML, a field is wrong, an id comes twice, or a marked value does not stand in its text.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"the suite is not YAML: {error}. Nothing was measured.") from error
    listed = data.get("cases") if isinstance(data, dict) else None
    if not isinstance(listed, list) or not listed:
        raise UserError("the suite has no list of texts under 'cases'; nothing was measured")
    made: dict[str, Text] = {}
    for raw in listed:
        case = _text(raw)
        if case.id in made:
            raise UserError(f"text {case.id!r} comes twice; give each its own id. Nothing was measured.")
        made[case.id] = case
    return list(made.values())


def score(cases: Sequence[Text], found: Sequence[Sequence[tuple[str, int, int]]]) -> Scores:
    """How well what was found (kind, start, end) in each text covers what is marked there.

    A value leaks where it still stands in the text with everything found taken out: letters and digits alone, escapes
    resolved, full width as half, so that no separator hides it. What is found is right where it lies on a marked value.
    """
    kept, values, right, all_found = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    leaks: list[tuple[str, Private]] = []
    wrong: list[tuple[str, str, str]] = []
    whole = 0
    for case, entities in zip(cases, found, strict=True):
        spans = [(start, end) for _, start, end in entities]
        out = plain(masked(case.text, spans))
        marked = [span for private in case.values for span in _places(case.text, private.value)]
        spared = [span for value in case.either for span in _places(case.text, value)]
        for private in case.values:
            values.update((private.kind, case.lang, case.part))
            if plain(private.value) in out:
                leaks.append((case.id, private))
            else:
                kept.update((private.kind, case.lang, case.part))
            whole += all(_covered(case.text, place, spans) for place in _places(case.text, private.value))
        for kind, start, end in entities:
            if _on(marked, start, end):
                right.update((kind, case.lang, case.part))
            elif _on(spared, start, end):
                continue
            else:
                wrong.append((case.id, kind, case.text[start:end]))
            all_found.update((kind, case.lang, case.part))
    return Scores(kept, values, right, all_found, whole, tuple(leaks), tuple(wrong))


def masked(text: str, spans: Iterable[Span]) -> str:
    """The text with one mask for each stretch that the spans cover."""
    made, at = [], 0
    for start, end in sorted(spans):
        if end > at:
            made += [text[at:start], MASK] if start >= at else [MASK]
            at = end
    return "".join((*made, text[at:]))


def plain(text: str) -> str:
    """Its letters, digits and masks alone: without escapes, width, case and separators."""
    text = unquote(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum() or char == MASK)


def _places(text: str, value: str) -> list[Span]:
    places, at = [], text.find(value)
    while at >= 0:
        places.append((at, at + len(value)))
        at = text.find(value, at + 1)
    return places


def _on(marked: Iterable[Span], start: int, end: int) -> bool:
    return any(start < last and first < end for first, last in marked)


def _covered(text: str, place: Span, spans: Sequence[Span]) -> bool:
    return all(
        not text[at].isalnum() or any(start <= at < end for start, end in spans) for at in range(*place)
    )


def _text(raw: Any) -> Text:
    where = f"text {raw.get('id')!r}" if isinstance(raw, dict) else f"{str(raw)[:40]!r}"
    try:
        values = tuple(Private(each["type"], each["value"]) for each in raw.get("values", ()))
        case = Text(raw["id"], raw["lang"], raw["form"], raw["part"], raw["text"], values, tuple(raw.get("either", ())))
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{where}: {error} is wrong or missing; a text has id, lang, form, part, text") from error
    if not all(isinstance(each, str) for each in (case.id, case.text, *case.either, *(one.value for one in values))):
        raise UserError(f"{where}: its id, its text and every value are text; nothing was measured")
    if case.lang not in LANGUAGES:
        raise UserError(f"{where}: the language {case.lang!r} is none of {', '.join(LANGUAGES)}; nothing was measured")
    if case.part not in PARTS:
        raise UserError(f"{where}: the part {case.part!r} is none of {', '.join(PARTS)}; nothing was measured")
    for private in values:
        if private.kind not in KINDS:
            raise UserError(f"{where}: the kind {private.kind!r} is none of {', '.join(KINDS)}; nothing was measured")
        if private.value not in case.text:
            raise UserError(f"{where}: {private.value!r} does not stand in it; nothing was measured")
    for value in case.either:
        if value not in case.text:
            raise UserError(f"{where}: {value!r} does not stand in it; nothing was measured")
    return case


__all__ = ["KINDS", "LANGUAGES", "PARTS", "Private", "Scores", "Text", "masked", "plain", "read_suite", "score"]
