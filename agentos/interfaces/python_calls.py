"""The syscalls as attributes of a client: `client.models.load`. Their signatures are in python_calls.pyi, made of the
table by `python -m agentos.interfaces.docs`; at run time they come from the table itself.
"""

from __future__ import annotations

from agentos.interfaces.python_families import Families

Calls = AsyncCalls = Families
