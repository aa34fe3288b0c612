"""A planner without a language model, to hold ours against: linear models over TF-IDF, and rules for the slots.

Which call a clause asks for, and each choice among few, are softmax regressions over the words, pairs of words, pieces
of words and Chinese characters that retrieval sees too. Names, texts, numbers and lengths of time are put into the
signature's slots in the order in which they are said. This is what one would build without a model: fast, and right
where the wording is one that it has seen.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]

from agentos.kernel.examples import Example
from agentos.kernel.language import CHAT, NONE, parse
from agentos.kernel.retrieval import JOINTS, NAMED, features
from agentos.kernel.spans import SpanFinder
from agentos.registry import Registry
from agentos.types import Json, Plan, Step

_IT = re.compile(r"\b(?:it|that|the (?:result|model|data|job|answer))\b|它|结果|这个", re.I)
_THEN = re.compile(r"\b(?:then|after|afterwards|once|finally|next)\b|然后|再|接着|之后|完|最后", re.I)
_LENGTH = re.compile(
    r"(\d+)\s*(?:(d)ays?|(h)(?:ours?|rs?)?|(m)in(?:ute)?s?|(s)ec(?:ond)?s?|(天)|(?:个)?(小时)|(分钟)|(秒))", re.I
)
_SIZE = re.compile(r"\d+(?:\.\d+)?\s?[kmgt]i?b", re.I)
_UNITS = {"天": "d", "小时": "h", "分钟": "m", "秒": "s"}


class Softmax:
    """Multinomial logistic regression over TF-IDF, with an L2 penalty, by L-BFGS."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str], penalty: float = 1e-3) -> None:
        """Fits it."""
        counts = [features(text) for text in texts]
        spread = Counter(name for count in counts for name in count)
        self._at = {name: at for at, (name, seen) in enumerate(spread.items()) if seen > 1}
        self._weight = np.array([np.log(1 + len(texts) / (1 + spread[name])) for name in self._at])
        self.labels = sorted(set(labels))
        matrix = self._matrix(texts)
        wanted = np.array([self.labels.index(label) for label in labels])
        rows, size = matrix.shape

        def loss(flat: Any) -> tuple[float, Any]:
            table = flat.reshape(size, len(self.labels))
            scores = matrix @ table
            scores -= scores.max(1, keepdims=True)
            chances = np.exp(scores)
            chances /= chances.sum(1, keepdims=True)
            told = -np.log(np.maximum(chances[np.arange(rows), wanted], 1e-12)).mean()
            chances[np.arange(rows), wanted] -= 1
            return told + penalty / 2 * (flat @ flat), (matrix.T @ chances / rows).ravel() + penalty * flat

        start = np.zeros(size * len(self.labels))
        self._table = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x.reshape(size, -1)

    def _matrix(self, texts: Iterable[str]) -> Any:
        rows, columns, values = [], [], []
        listed = list(texts)
        for number, text in enumerate(listed):
            count = {self._at[name]: times for name, times in features(text).items() if name in self._at}
            weights = {at: (1 + np.log(times)) * self._weight[at] for at, times in count.items()}
            norm = np.sqrt(sum(value * value for value in weights.values())) or 1.0
            for at, value in weights.items():
                rows.append(number)
                columns.append(at)
                values.append(value / norm)
        return sparse.csr_matrix((values, (rows, columns)), shape=(len(listed), len(self._at)))

    def __call__(self, text: str) -> tuple[str, float]:
        """The likeliest label and its probability."""
        scores = (self._matrix([text]) @ self._table)[0]
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        best = int(chances.argmax())
        return self.labels[best], float(chances[best])


class Linear:
    """Plans by linear models and rules."""

    def __init__(self, table: Registry, examples: Sequence[Example]) -> None:
        """Fits every model on examples."""
        self._table = table
        self._spans = SpanFinder(table, examples)
        texts, labels = [], []
        chosen: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for example in examples:
            steps = parse(example.answer, table).steps
            if len(steps) > 1:
                continue
            plain = NAMED.sub(" ", example.text)
            texts.append(plain)
            labels.append(steps[0].syscall if steps else example.answer)
            if not steps:
                continue
            for param in table[steps[0].syscall].params:
                if param.choices or param.kind == "bool":
                    value = steps[0].args.get(param.name, "")
                    said = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                    chosen[steps[0].syscall, param.name].append((plain, said))
        self._call = Softmax(texts, labels)
        self._choices = {
            place: Softmax([text for text, _ in told], [said for _, said in told])
            for place, told in chosen.items() if len({said for _, said in told}) > 1
        }

    async def plan(self, sentence: str) -> Plan:
        """The plan for a sentence."""
        parts = [part for part in JOINTS.split(sentence) if part and part.strip()]
        whole, sure = self._call(NAMED.sub(" ", sentence))
        told = [self._call(NAMED.sub(" ", part)) for part in parts]
        calls = [(part, name) for part, (name, chance) in zip(parts, told, strict=True)
                 if name not in (NONE, CHAT) and chance > 0.4]
        if len(calls) < 2 or len({name for _, name in calls}) < 2:
            if whole in (NONE, CHAT) or sure < 0.2:
                return Plan("", (), "no")
            calls = [(sentence, whole)]
        steps: list[Step] = []
        for number, (part, name) in enumerate(calls, 1):
            args = self._slots(part, name, steps)
            if args is None:
                return Plan("", (), "which one?")
            in_order = number > 1 and _THEN.search(sentence) and not any(isinstance(v, dict) for v in args.values())
            steps.append(Step(f"s{number}", name, args, (f"s{number - 1}",) if in_order else ()))
        return Plan("", tuple(steps))

    def _slots(self, part: str, name: str, before: Sequence[Step]) -> dict[str, Json] | None:
        """The arguments that a clause gives; None where a required one is not said."""
        spans = self._spans.find(part)
        names = [one for one in spans.names if not one.isdigit()] + [one for one in spans.names if one.isdigit()]
        lengths, sizes = _LENGTH.findall(part), _SIZE.findall(part)
        numbers = list(spans.numbers)
        args: dict[str, Json] = {}
        for param in self._table[name].params:
            value: Json = None
            if (name, param.name) in self._choices:
                said = self._choices[name, param.name](NAMED.sub(" ", part))[0]
                value = (list(said.split()) if param.many else said) if said else None
            elif param.kind in ("name", "private", "syscall") and param.required:
                if names:
                    value = names.pop(0)
                elif before and _IT.search(part) and param.field in self._table[before[-1].syscall].fields:
                    value = {"$ref": f"{before[-1].id}.{param.field}"}
                else:
                    return None
            elif param.kind == "duration" and lengths:
                number, *units = lengths.pop(0)
                unit = next(one for one in units if one)
                value = f"{number}{_UNITS.get(unit, unit.lower())}"
            elif param.kind == "size" and sizes:
                value = sizes.pop(0)
            elif param.kind == "int" and numbers and not lengths:
                value = int(numbers.pop(0))
            if value is not None:
                args[param.name] = [value] if param.many and not isinstance(value, list) else value
        return args
