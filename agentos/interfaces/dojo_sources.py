"""Where the values of a replayed call come from: the person's sentence, a service's own fields, or outside.

A plan of agentos names each value's source itself (`$ref`); a recorded call has only values, so here each is looked up
where it can have come from, in this order:

1. *the table*: true, false, and what a parameter lists as its choices, say nothing of anybody's;
2. *the person*: it stands in their sentence, whole words of it, in any case; a number as a number, a date as a date in
   whichever way it is written (a time of day is the planner's to choose on a day that the person named);
3. *a typed result*: it equals a whole field, of the same type, of an earlier result, that nobody outside can write;
4. *a member's message*, only for what is read: it stands, whole words of it, in text that a member wrote;
5. *outside*: everything else, also what was made of several of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentos.types import Json

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|{'|'.join(name[:3] for name in _MONTHS)})\.?"
_DATES = (
    re.compile(r"\b(?P<year>\d{4})-(?P<number>\d{2})-(?P<day>\d{2})\b"),
    re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year>\d{{4}})\b)?"),
    re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b(?:,?\s+(?P<year>\d{{4}})\b)?"),
)
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")
_LISTED = re.compile(r"(?:^|(?<=[\s:]))\d{1,2}\.(?=\s)")
"""The `1.` of a list, which is no number of anything."""
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\w@.])(?:[a-z0-9-]+\.)+[a-z]{2,24}(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[^\W_])\.(?=[A-Z][a-z])")
"""A full stop with no space after it, which else would belong to the link or the address before it."""
_NUMERAL = re.compile(r"[\d.,]+")


@dataclass(frozen=True)
class Made:
    """What is declared of a tool's results."""

    outside: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    own: Mapping[str, str] = field(default_factory=dict)


class Sources:
    """What a run has said and seen so far."""

    def __init__(self, sentence: str, me: tuple[str, ...] = (), *, members: bool = True) -> None:
        """Starts with the person's sentence.

        Args:
            sentence: What they asked.
            me: The addresses and accounts that are their own.
            members: Whether a member's message may name a link to read.
        """
        self._text = _plain(_SENTENCE_END.sub(". ", sentence))
        self._days = set(_days(self._text))
        self._counted = _without_days(self._text)
        self._numbers = {float(found.replace(",", "")) for found in _NUMBER.findall(self._counted)}
        self._me, self._trusts_members = me, members
        self._typed: set[tuple[type, Json]] = {(str, _plain(name)) for name in me}
        self._members: list[str] = []

    def see(self, made: Made, result: Json) -> None:
        """Takes in what a tool gave."""
        self._walk(made, "", result, own=False)

    def outside(
        self, args: Mapping[str, Json], choices: Mapping[str, tuple[Json, ...]], *, reads: bool
    ) -> dict[str, str]:
        """The arguments that came from outside, and `NAME.link` for those with such a link: as `Call.outside` has them.

        Args:
            args: A call's arguments.
            choices: What parameters list as their values.
            reads: Whether the call only reads.
        """
        found = {}
        for name, value in args.items():
            parts = list(_leaves(value))
            if any(not self._known(part, choices.get(name, ()), reads) for part in parts):
                found[name] = "text from outside"
            if any(not self._known(link, (), reads) for part in parts if isinstance(part, str) for link in links(part)):
                found[f"{name}.link"] = "a link from outside"
        return found

    def _known(self, value: Json, choices: tuple[Json, ...], reads: bool) -> bool:
        if value is None or isinstance(value, bool) or value in choices:
            return True
        if isinstance(value, (int, float)):
            return float(value) in self._numbers or (type(value), value) in self._typed
        text = _plain(str(value))
        if not text or (str, text) in self._typed:
            return True
        if day := _DAY.fullmatch(text):
            year, month, number = map(int, day.groups())
            return (year, month, number) in self._days or (None, month, number) in self._days
        if _stands(text, self._counted if _NUMERAL.fullmatch(text) else self._text):
            return True
        return reads and self._trusts_members and any(_stands(text, message) for message in self._members)

    def _walk(self, made: Made, name: str, value: Json, own: bool) -> None:
        outside = not own and (name in made.outside or "*" in made.outside)
        if isinstance(value, dict):
            own = own or (bool(made.own) and all(self._is(value.get(key), what) for key, what in made.own.items()))
            for key, inner in value.items():
                if not outside or "*" in made.outside:
                    self._typed.add((str, _plain(key)))
                # what is below a field that others write is theirs as well
                self._walk(made, name if outside and "*" not in made.outside else key, inner, own)
        elif isinstance(value, list):
            for inner in value:
                self._walk(made, name, inner, own)
        elif name in made.members and not own:
            self._members.append(_plain(str(value)))
        elif value is not None and not outside:
            self._typed.add((str, _plain(value)) if isinstance(value, str) else (type(value), value))

    def _is(self, value: Json, what: str) -> bool:
        return value in self._me if what == "me" else value == what


def links(text: str) -> list[str]:
    """The links in a text, and the addresses and host names, which many programs make links of."""
    return [found.rstrip(".,;:!?)") for found in _LINK.findall(text)]


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _plain(text: str) -> str:
    """Without case, runs of spaces, and a link's scheme."""
    return re.sub(r"https?://", "", " ".join(text.casefold().split()))


def _stands(text: str, where: str) -> bool:
    """Whether it stands there and is no part of a longer word, address or link."""
    return bool(re.search(rf"(?<![\w@.\-/]){re.escape(text)}(?![\w@\-/]|\.\w)", where))


def _days(text: str) -> Iterator[tuple[int | None, int, int]]:
    for pattern in _DATES:
        for match in pattern.finditer(text):
            named: dict[str, Any] = match.groupdict()
            month = int(named["number"]) if named.get("number") else 1 + next(
                index for index, name in enumerate(_MONTHS) if name.startswith(named["month"][:3])
            )
            yield (int(named["year"]) if named.get("year") else None), month, int(named["day"])


def _without_days(text: str) -> str:
    for pattern in (*_DATES, _LISTED):
        text = pattern.sub(" ", text)
    return text
