"""What of a sentence may become a value: told apart by the language of the table's own examples.

A word that the examples use as ordinary language and never as a value (`load`, `the`, `模型`) is no
name, so a sentence that has nothing else lacks its argument. What stands in quotes may always be one,
and so may the names of things that exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from agentos.kernel.examples import Example
from agentos.kernel.language import MOST_STEPS, Spans, chunks
from agentos.registry import Registry
from agentos.types.units import seconds

_QUOTED = re.compile(r"""["'“‘「『`]([^"'”’」』`]{1,200})["'”’」』`]""")
_PATH = re.compile(r"""(?:~|\.{1,2})?/[^\s"'“”‘’「」『』`，。；：、！？,;()（）]+""")
"""A path is one name whatever letters it has: a Chinese file name within it is no word of the sentence's."""
_MIXED = re.compile(r"(?<![^\s,，。；、！？:：])[\w.-]{2,40}(?=[\s,，。；、！？]|$)")
"""A word between spaces, which may be a name of Chinese characters and others (`评价_2023`)."""
_STEPS = re.compile(
    r"\b(?:then|after|afterwards|and|also|plus|once|when|while|before|beforehand|meanwhile|but|both|"
    r"as well as)\b|[,;&]|[.!?](?=\s)|"
    r"->|=>|→|(?<=\s)\+(?=\s)|[，；。！？、]|一(?=[^，。]{1,16}就)|重(?=[启载跑])|然后|接着|跟|与|之后|以后|同时|顺便|顺带|并且|并|再|和|另外|还有|完了|完成|(?<!最)后(?![台面缀端来])",
    re.I,
)
"""What may stand between two requests."""
LONGEST = 6
"""Most characters of a Chinese name that stands without quotes."""
_UNSAID = ("0", "1")
_WHOLE = 8
"""Most characters of a Chinese name between spaces, of which ordinary words may be a part."""
LITERAL, TOLD = 0.7, 6
"""Share of a parameter's examples that must say its value as it is, and how many there must be to tell."""
_WORDS = 3
"""Most words of a name that stands without quotes."""
_HAN = re.compile(r"[\u3400-\u9fff]+")
_FIGURE = re.compile(r"(?<![A-Za-z0-9_./\\-])\d+(?:[.,:]?\d+)*")
"""A number in figures: digits within a name, as in `rev2` or `gpt-4`, are none."""
_WORDED = re.compile(
    r"[一二两俩仨三四五六七八九十百半]|永|一直|[常长]驻|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|"
    r"twenty|thirty|forty|fifty|sixty|ninety|hundred|thousand|half|quarter|couple|dozen|an? (?:hour|minute|day|week)|"
    r"forever|always|never|indefinitely|twice|thrice|pair|single|tenth|"
    r"permanently)\b",
    re.I,
)
_LASTING = re.compile(
    r"\d\s*[smhdw](?![A-Za-z])|hour|hr|min|sec|day|week|fortnight|forever|always|indefinitely|[分秒天周]|小时|钟头|星期|"
    r"永|一直|刻", re.I,
)
"""What a duration is said with."""
_BEGINS = re.compile(r"\d|[一二两俩仨三四五六七八九十百半永零]|(?:an?|half|quarter)$", re.I)
MOST_PIECES = 13
"""Of which a duration is made, at most: `an hour and a half` has nine."""
_STEPS_OF_TIME = (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SHAPED = re.compile(r"(?=.*[A-Za-z])(?:.*[0-9_./:-].*)")


class SpanFinder:
    """Finds the spans of a sentence."""

    def __init__(self, table: Registry, examples: Iterable[Example]) -> None:
        """Learns ordinary language from the examples."""
        self._table, self._seen = table, -1
        self._follow()
        params = [param for entry in table.own() for param in entry.params if param.kind == "choice"]
        self._choices = {choice.lower() for param in params for choice in param.choices}
        self._words: set[str] = set()
        self._pairs: set[str] = set()
        values: set[str] = set()
        for example in examples:
            said = set(re.findall(r'"((?:[^"\\]|\\.)*)"', example.answer))
            values |= {value.lower() for value in said}
            rest = example.text
            for value in sorted(said, key=len, reverse=True):
                rest = rest.replace(value, " \x00 ")
            self._words |= {piece.lower() for piece in chunks(rest) if piece.strip()}
            for run in _HAN.findall(rest):
                self._pairs |= {run[i : i + 2] for i in range(len(run) - 1)}
        self._words -= values
        self._literal = _said_literally(table)

    def find(self, sentence: str, known: Iterable[str] = ()) -> Spans:
        """The spans of a sentence; `known` are names of things that exist."""
        self._follow()
        pieces = chunks(sentence)
        names: dict[str, None] = dict.fromkeys(match.strip() for match in _QUOTED.findall(sentence))
        names |= dict.fromkeys(path.rstrip(".,:;!?") for path in _PATH.findall(sentence))
        mixed = (run for run in _MIXED.findall(sentence) if _HAN.search(run) and re.search(r"[A-Za-z0-9]", run))
        names |= dict.fromkeys(mixed)
        lowered = sentence.lower()
        words = {piece.lower() for piece in pieces}
        names |= dict.fromkeys(_as_written(sentence, name) for name in known if name.lower() in lowered)
        single = [self._named(piece) for piece in pieces]
        names |= dict.fromkeys(piece for piece, named in zip(pieces, single, strict=True) if named)
        names |= dict.fromkeys(_together(pieces, single))
        for run in _HAN.findall(sentence):
            unusual = self._unusual(run)
            apart = re.search(rf"(?<!\S){run}(?=[\s,，。；、！？]|$)", sentence)
            if unusual and apart and len(run) <= _WHOLE:
                names[run] = None  # set off by spaces, as a name is: `评论数据` beside `评论`
            names |= dict.fromkeys(unusual)
        topics = tuple(sorted(name for name in self._known if name in words))
        chosen = {place: tuple(c for c in choices if c.lower() in lowered) for place, choices in self._literal.items()}
        return Spans(
            tuple(pieces), tuple(name for name in names if name and name.lower() not in self._known), self._syscalls,
            topics, counted(sentence), chosen, min(MOST_STEPS, len(_STEPS.findall(sentence)) + 1), whole(sentence),
            durations(pieces),
        )

    def _follow(self) -> None:
        """Takes in how syscalls are called, those of mounted servers too."""
        if self._seen != self._table.version:
            self._seen = self._table.version
            self._syscalls = tuple(entry.name for entry in self._table)
            self._known = {*self._syscalls, *(entry.family for entry in self._table)}

    def _named(self, piece: str) -> bool:
        """Whether a piece of a sentence may be a name by itself."""
        if _HAN.search(piece) or not re.search(r"\w", piece) or (len(piece) == 1 and not piece.isdigit()):
            return False
        if piece.lower() in self._choices or piece.lower() in self._known:
            return False
        return piece.isdigit() or bool(_SHAPED.match(piece)) or piece.lower() not in self._words

    def _unusual(self, run: str) -> list[str]:
        """The parts of a Chinese run that no example uses as ordinary language, two characters or more.

        A word of one character beside a name (`给王丽华`) is told from it by nothing, so that parts of parts count too.
        """
        usual = [False] * len(run)
        for place in range(len(run) - 1):
            if run[place : place + 2] in self._pairs:
                usual[place] = usual[place + 1] = True
        parts = "".join(" " if plain else char for char, plain in zip(run, usual, strict=True)).split()
        return [
            part[start : start + size] for part in parts
            for size in range(min(LONGEST, len(part)), 1, -1) for start in range(len(part) - size + 1)
        ]


def _together(pieces: Sequence[str], named: Sequence[bool]) -> list[str]:
    """Words side by side that may be one name: `Tom Abara`, `copper soap`."""
    found = []
    for first, begins in enumerate(named):
        for last in range(first + 2, min(len(pieces), first + 2 * _WORDS - 1), 2):
            if not begins or not named[last] or pieces[last - 1] != " " or pieces[last].isdigit():
                break
            found.append("".join(pieces[first : last + 1]))
    return found


def _said_literally(table: Registry) -> dict[tuple[str, str], tuple[str, ...]]:
    """Parameters with choices whose value the examples nearly always say as it is (`gpu`), and the choices."""
    found = {}
    for entry in table:
        for param in entry.params:
            said = [
                str(args[param.name]).lower() in text.lower()
                for text, args in entry.examples.items() if param.kind == "choice" and param.name in args
            ]
            if len(said) >= TOLD and sum(said) >= LITERAL * len(said):
                found[entry.name, param.name] = param.choices
    return found


def counted(sentence: str) -> bool:
    """Whether the sentence says a number or a duration, in figures or words."""
    return bool(_FIGURE.search(sentence) or _WORDED.search(sentence))


def whole(sentence: str) -> tuple[str, ...]:
    """The whole numbers that a sentence says in figures, and the two that it may mean without (`no more`, `the last`).

    None where it may say others, in words or with a unit.
    """
    found = _FIGURE.findall(sentence)
    said = _WORDED.search(sentence) or re.search(r"\d\s*[kKwW万千百]", sentence)
    if not found or said or not all(re.fullmatch(r"\d{1,7}", one) for one in found):
        return ()
    return tuple(dict.fromkeys([*found, *_UNSAID]))


def durations(pieces: Sequence[str]) -> tuple[str, ...]:
    """The durations that a sentence in pieces says, each in all ways of writing it; none where no one can be read."""
    if not _LASTING.search("".join(pieces)):
        return ()
    found: dict[str, None] = {}
    done = 0
    for first, piece in enumerate(pieces):
        if first < done or not (_BEGINS.match(piece) or _WORDED.fullmatch(piece)):
            continue
        for last in range(min(len(pieces), first + MOST_PIECES), first, -1):
            window = "".join(pieces[first:last])
            if window != window.strip() or not _LASTING.search(window):
                continue
            try:
                amount = seconds(window)
            except ValueError:
                continue
            found |= dict.fromkeys(["forever"] if amount is None else _written(amount))
            done = last
            break
    return tuple(found)


def _written(amount: float) -> list[str]:
    """5400 -> `5400s`, `90m`, `1h30m`."""
    if amount != int(amount) or amount <= 0:
        return []
    whole, ways = int(amount), []
    for place, (unit, factor) in enumerate(_STEPS_OF_TIME):
        if whole < factor:
            continue
        said, rest = f"{whole // factor}{unit}", whole % factor
        for small, less in _STEPS_OF_TIME[place + 1 :]:
            if rest and rest >= less:
                said, rest = f"{said}{rest // less}{small}", rest % less
        if whole // factor < 10_000:
            ways.append(said)
    return ways


def _as_written(sentence: str, name: str) -> str:
    start = sentence.lower().index(name.lower())
    return sentence[start : start + len(name)]


def without_repeats(args: Mapping[str, object], required: Iterable[str]) -> set[str]:
    """Optional arguments whose value another argument has already: one span fills one argument."""
    needed = set(required)
    seen = {repr(args[name]) for name in args if name in needed}
    dropped = set()
    for name, value in args.items():
        if name in needed:
            continue
        if isinstance(value, str) and repr(value) in seen:
            dropped.add(name)
        seen.add(repr(value))
    return dropped


