"""One redactor in a process of its own: `PYTHON -I bench_redact_worker.py agentos|presidio|argus`.

A line of JSON on its input asks, a line on its output answers; a call may bring many texts. A peer's interpreter need
not have agentos, so nothing but the standard library is imported before a redactor is chosen. Found is what its
redactor calls one of the suite's kinds; what a peer finds besides (dates, names, links) is neither asked for nor
counted.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

Found = list[tuple[str, int, int]]
"""Kind, start and end in code points."""
Redact = Callable[[str], Found]
Ways = dict[str, Callable[[], Redact]]
"""Configurations by name, each made when it is asked for."""

PRESIDIO = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "BANK_CARD", "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP_ADDRESS", "US_SSN": "SSN", "US_PASSPORT": "PASSPORT", "UK_PASSPORT": "PASSPORT",
    "DE_PASSPORT": "PASSPORT",
}
ELSEWHERE = {
    **{f"{code}_PASSPORT": "PASSPORT" for code in ("ES", "IN", "IT", "KR", "PH", "ZA")},
    "UK_VEHICLE_REGISTRATION": "LICENSE_PLATE", "IN_VEHICLE_REGISTRATION": "LICENSE_PLATE", "DE_KFZ": "LICENSE_PLATE",
    "NG_VEHICLE_REGISTRATION": "LICENSE_PLATE", "TR_LICENSE_PLATE": "LICENSE_PLATE",
    "ZA_LICENSE_PLATE": "LICENSE_PLATE",
}
REGIONS = ("CN", "HK", "MO", "TW", "US", "GB", "DE", "FR", "IE", "JP", "IN", "CH", "DK", "LU", "TR")
"""Countries whose telephone numbers the texts hold."""
THRESHOLDS = (0.0, 0.2, 0.35, 0.45, 0.55, 0.65)
ARGUS = {
    "email": "EMAIL", "phone": "PHONE", "phone_landline": "PHONE", "id_number": "ID_CARD", "ssn": "SSN",
    "bank_card": "BANK_CARD", "credit_card": "BANK_CARD", "iban": "IBAN", "ip_address": "IP_ADDRESS",
    "passport": "PASSPORT", "us_passport": "PASSPORT", "license_plate": "LICENSE_PLATE", "url_token": "API_KEY",
    "jwt": "API_KEY", "openai_api_key": "API_KEY", "anthropic_api_key": "API_KEY", "aws_access_key": "API_KEY",
    "github_token": "API_KEY", "ssh_private_key": "API_KEY",
}


def main(name: str) -> None:
    """Answers until its input ends."""
    version, ways = {"agentos": _agentos, "presidio": _presidio, "argus": _argus}[name]()
    made: dict[str, Redact] = {}
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        answer: dict[str, Any] = {}
        if asked["do"] == "about":
            _pin()
            answer = {"version": version, "ways": list(ways)}
        else:
            way = asked["way"]
            if way not in made:
                made[way] = ways[way]()
            answer = _FUNCTIONS[asked["do"]](made[way], asked["texts"], asked.get("limit_s", 0.0))
        print(json.dumps(answer), flush=True)


def _find(redact: Redact, texts: list[str], _limit: float) -> dict[str, Any]:
    return {"found": [redact(text) for text in texts]}


def _speed(redact: Redact, texts: list[str], limit: float) -> dict[str, Any]:
    """Bytes that were gone through before the texts or the seconds ran out, and the seconds that took."""
    done = 0
    begun = time.perf_counter()
    for text in texts:
        redact(text)
        done += len(text.encode())
        if time.perf_counter() - begun > limit:
            break
    return {"bytes": done, "seconds": time.perf_counter() - begun}


_FUNCTIONS = {"find": _find, "speed": _speed}


def _pin() -> None:
    """One core for the process and its threads, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _agentos() -> tuple[str, Ways]:
    whole = importlib.import_module("agentos.redact")

    def redact(text: str) -> Found:
        """As `agentos redact --batch` does it, the answer's text included."""
        found = whole.find(text)
        redactor = whole.Redactor()
        redactor.reserve(text)
        redactor.replace(text, found)
        return [(each.kind, each.start, each.end) for each in found]

    return metadata.version("llm-agentos"), {"": lambda: redact}


def _presidio() -> tuple[str, Ways]:
    """Pattern recognisers over a tokeniser without a model; a token's lemma is itself in lower case."""
    analyzer = importlib.import_module("presidio_analyzer")
    recognizers = importlib.import_module("presidio_analyzer.predefined_recognizers")
    nlp = importlib.import_module("presidio_analyzer.nlp_engine")
    enhancers = importlib.import_module("presidio_analyzer.context_aware_enhancers")
    spacy = importlib.import_module("spacy")
    tld: Any = importlib.import_module("tldextract")
    tld.extract = tld.TLDExtract(suffix_list_urls=())  # its own list, and none of the network's

    def lemmas(doc: Any) -> Any:
        for token in doc:
            token.lemma_ = token.lower_
        return doc

    spacy.Language.component("lower_lemmas", func=lemmas)

    def way(kinds: dict[str, str], context: bool, threshold: float) -> Redact:
        blank = spacy.blank("en")
        blank.max_length = 1 << 24
        blank.add_pipe("lower_lemmas")
        engine = nlp.SpacyNlpEngine()
        engine.nlp = {"en": blank}
        registry = analyzer.RecognizerRegistry(recognizers=[], supported_languages=["en"])
        for kind in vars(recognizers).values():
            if not (isinstance(kind, type) and issubclass(kind, analyzer.LocalRecognizer)):
                continue
            if kind.__name__ == "PhoneRecognizer":
                registry.add_recognizer(kind(supported_regions=REGIONS))
            elif issubclass(kind, analyzer.PatternRecognizer) and kind is not analyzer.PatternRecognizer:
                one = kind(supported_language="en")
                if {*one.supported_entities} & {*kinds}:
                    registry.add_recognizer(one)
        enhancer = None if context else enhancers.LemmaContextAwareEnhancer(0.0, 0.0)
        whole = analyzer.AnalyzerEngine(registry, engine, context_aware_enhancer=enhancer)

        def redact(text: str) -> Found:
            results = whole.analyze(text, language="en", entities=[*kinds], score_threshold=threshold)
            kept: Found = []
            for each in sorted(results, key=lambda one: (-one.score, one.start - one.end)):
                if not any(start <= each.start and each.end <= end for _, start, end in kept):  # as its anonymizer does
                    kept.append((kinds[each.entity_type], each.start, each.end))
            return kept

        return redact

    ways: Ways = {}
    for where, kinds in (("the texts' countries", PRESIDIO), ("all countries", {**PRESIDIO, **ELSEWHERE})):
        for context in (True, False):
            for threshold in THRESHOLDS:
                name = f"{where}, {'with' if context else 'no'} context, threshold {threshold}"
                ways[name] = lambda k=kinds, c=context, t=threshold: way(k, c, t)  # type: ignore[misc]
    return metadata.version("presidio-analyzer"), ways


def _argus() -> tuple[str, Ways]:
    whole = importlib.import_module("argus_redact")

    def way(langs: list[str], types: list[str] | None) -> Redact:
        def redact(text: str) -> Found:
            report = whole.redact(text, lang=langs, mode="fast", report=True, types=types)
            return [(ARGUS[each["type"]], each["start"], each["end"])
                    for each in report.entities if each["type"] in ARGUS]

        return redact

    ways: Ways = {}
    for langs in (["zh", "en"], ["en", "zh"], ["zh", "en", "de"], ["zh", "en", "de", "uk", "in", "ja"]):
        for types in (None, [*ARGUS]):
            name = f"fast, {'+'.join(langs)}, {'types of the suite' if types else 'all types'}"
            ways[name] = lambda g=langs, t=types: way(g, t)  # type: ignore[misc]
    return metadata.version("argus-redact"), ways


if __name__ == "__main__":
    main(sys.argv[1])
