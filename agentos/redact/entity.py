"""What is found in a text, and the placeholder that stands for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "URL_CREDENTIALS", "API_KEY", "EMAIL", "IBAN", "ID_CARD", "BANK_CARD", "IP_ADDRESS", "SSN", "PHONE", "PASSPORT",
    "LICENSE_PLATE", "PASSWORD",
]
"""Keys, tokens and private keys are all `API_KEY`; what a person types to prove who they are is `PASSWORD`."""
KINDS: tuple[Kind, ...] = get_args(Kind)
PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]{1,30})_([1-9][0-9]{0,8})>")
"""`<EMAIL_1>`: the kind, and which of its values."""


@dataclass(frozen=True)
class Entity:
    """One private value in a text."""

    kind: Kind
    start: int
    """In code points of the text as it was given."""
    end: int
    """One past its last code point."""
    confidence: float
    """Above 0.9: the shape admits little else or a checksum holds; below 0.7: words around it decided."""


@dataclass(frozen=True)
class Hit:
    """A value in the bytes of a shadow, as a rule sees it."""

    kind: Kind
    start: int
    end: int
    confidence: float
