"""Every private value in a text."""

from __future__ import annotations

from collections.abc import Container, Iterable

from agentos.redact import cards, commands, documents, keys, network, passwords, phones, tables
from agentos.redact.entity import KINDS, PLACEHOLDER, Entity, Hit
from agentos.redact.rules import Finds
from agentos.redact.shadow import Shadow

RULES: tuple[Finds, ...] = (
    *keys.RULES, *network.RULES, *cards.RULES, *documents.RULES, *phones.RULES, *passwords.RULES,
    *commands.RULES, *tables.RULES,
)
_RANK = {kind: place for place, kind in enumerate(KINDS)}


def find(text: str, kinds: Container[str] = KINDS) -> list[Entity]:
    """Every private value of these kinds in a text, in order and apart from each other; linear in the text."""
    shadow = Shadow(text)
    data = shadow.data
    hits = [hit for rule in RULES if rule.kind in kinds and rule.suits(data) for hit in rule.hits(data)]
    if not hits:
        return []
    taken = [match.span() for match in PLACEHOLDER.finditer(text)]
    apart = _apart(hits)
    places = shadow.origins((hit.start, hit.end) for hit in apart)
    found = [
        Entity(hit.kind, start, end, hit.confidence) for hit, (start, end) in zip(apart, places, strict=True)
    ]
    return _outside(found, taken) if taken else found


def _apart(hits: Iterable[Hit]) -> list[Hit]:
    """Where values overlap, the more specific kind stays; of one kind they become one, so that no end is left bare."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda each: (each.start, -each.end, _RANK[each.kind])):
        made = hit
        while kept and kept[-1].end > made.start and (kept[-1].kind == made.kind or _better(made, kept[-1])):
            last = kept.pop()
            if last.kind == made.kind:
                made = _joined(last, made)
        if not kept or kept[-1].end <= made.start:
            kept.append(made)
    return kept


def _joined(one: Hit, other: Hit) -> Hit:
    return Hit(one.kind, min(one.start, other.start), max(one.end, other.end), max(one.confidence, other.confidence))


def _better(one: Hit, other: Hit) -> bool:
    return (_RANK[one.kind], -(one.end - one.start), -one.confidence) < (
        _RANK[other.kind], -(other.end - other.start), -other.confidence,
    )


def _outside(found: list[Entity], taken: list[tuple[int, int]]) -> list[Entity]:
    """Those that touch no placeholder."""
    kept = []
    at = 0
    for entity in found:
        while at < len(taken) and taken[at][1] <= entity.start:
            at += 1
        if at == len(taken) or taken[at][0] >= entity.end:
            kept.append(entity)
    return kept
