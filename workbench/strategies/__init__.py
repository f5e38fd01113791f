"""Strategies, one a file, and the registry that finds them by name. Pure: no broker, no clock, no wire."""

from workbench.strategies.registry import build, code_hash, get, load_file, names

__all__ = ["build", "code_hash", "get", "load_file", "names"]
