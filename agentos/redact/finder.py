"""Every private value in a text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable

from agentos.redact import (
    calls,
    cards,
    codes,
    commands,
    documents,
    identities,
    keys,
    network,
    numbering,
    passports,
    passwords,
    phones,
    phrases,
    plates,
    scans,
    spoken,
    tables,
    web,
)
from agentos.redact.entity import KINDS, PLACEHOLDER, Entity, Hit
from agentos.redact.rules import Finds, Rule, cued
from agentos.redact.shadow import Shadow

_TOGETHER = 8
"""Rules with cues that one gate lets in."""
_ALL: tuple[Finds, ...] = (
    *keys.RULES, *network.RULES, *cards.RULES, *documents.RULES, *passports.RULES,
    *plates.RULES, *phones.RULES, *numbering.RULES, *spoken.RULES, *commands.RULES,
    *calls.RULES, *web.RULES, *identities.RULES, *tables.RULES,
)
_CUED = [rule for rule in _ALL if isinstance(rule, Rule) and rule.cues]
RULES = tuple(rule for rule in _ALL if rule not in _CUED)
FAMILIES = (
    *(cued(_CUED[at : at + _TOGETHER]) for at in range(0, len(_CUED), _TOGETHER)),
    passwords.NAMED, passwords.KEYS, passwords.LOGINS, codes.DIGITS, spoken.DIGITS, scans.MISREAD, scans.WRAPPED,
    phrases.WORDS,
)
_SHAPED = ("BANK_CARD", "SSN", "PHONE", "PASSPORT", "LICENSE_PLATE")
"""What the numbers of things look like too."""
_RANK = {kind: place for place, kind in enumerate(KINDS)}


def find(text: str, kinds: Container[str] = KINDS) -> list[Entity]:
    """Every private value of these kinds in a text, in order and apart from each other; linear in the text."""
    shadow = Shadow(text)
    data = shadow.data
    rules = [*RULES, *(rule for family in FAMILIES if family.gate.within(data) for rule in family.rules)]
    hits = [hit for rule in rules if rule.suits(data) for hit in rule.hits(data) if hit.kind in kinds]
    if not hits:
        return []
    hits = _unnumbered(data, hits)
    taken = [match.span() for match in PLACEHOLDER.finditer(text)]
    apart = _apart(hits)
    places = shadow.origins((hit.start, hit.end) for hit in apart)
    found = [
        Entity(hit.kind, start, end, hit.confidence) for hit, (start, end) in zip(apart, places, strict=True)
    ]
    return _outside(found, taken) if taken else found


def _unnumbered(data: bytes, hits: list[Hit]) -> list[Hit]:
    """Those that stand in no column of parts, orders or amounts."""
    if b"\n" not in data or not any(hit.kind in _SHAPED for hit in hits):
        return hits
    cells = sorted((cell.start, cell.end) for cell in tables.NUMBERING.hits(data))
    starts = [start for start, _ in cells]

    def inside(hit: Hit) -> bool:
        place = bisect_right(starts, hit.start) - 1
        return place >= 0 and hit.end <= cells[place][1]

    return [hit for hit in hits if hit.kind not in _SHAPED or not inside(hit)] if cells else hits


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
