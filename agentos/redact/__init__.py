"""Private data in texts: found by its structure, replaced by placeholders, and put back."""

from agentos.redact.entity import KINDS, Entity, Kind
from agentos.redact.finder import find
from agentos.redact.redactor import Redactor
from agentos.redact.stream import Restored, Stream

__all__ = ["KINDS", "Entity", "Kind", "Redactor", "Restored", "Stream", "find"]
