"""An operating system whose kernel is a language model."""

from agentos.interfaces.python import Client as Client
from agentos.interfaces.python_async import AsyncClient as AsyncClient

__version__: str
