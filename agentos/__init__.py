"""An operating system whose kernel is a language model."""

__all__ = ["AsyncClient", "Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The clients, imported at their first use: importing the package itself costs nothing."""
    import importlib

    if name == "Client":
        return importlib.import_module("agentos.interfaces.python").Client
    if name == "AsyncClient":
        return importlib.import_module("agentos.interfaces.python_async").AsyncClient
    raise AttributeError(f"module 'agentos' has no attribute {name!r}")
