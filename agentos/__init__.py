"""An operating system whose kernel is a language model."""

__version__ = "0.1.0"
