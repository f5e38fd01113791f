"""Find a strategy by its name, load a user's own file, and fingerprint the code behind it.

A promotion records the fingerprint and live refuses code whose fingerprint has changed, so it covers all that can
change a signal: the strategy's module, every module of `workbench.strategies` that it imports, and the release of the
indicator library.

Invariants: one name, one class; the fingerprint does not depend on line endings, folders or the order of imports.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from importlib.metadata import version
from pathlib import Path
from types import CodeType, ModuleType

from workbench.core.errors import BadInput, UnknownName
from workbench.core.strategy import Strategy

PACKAGE = "workbench.strategies"
USER_PACKAGE = "workbench_user_strategies"
INDICATOR_LIBRARY = "pandas-ta-classic"

# Names only, so that listing them loads neither pandas nor the strategies.
_SHIPPED = {
    "ema_cross": "EmaCross",
    "opening_range": "OpeningRange",
    "rsi_bands": "RsiBands",
    "scalp_ema_vwap": "ScalpEmaVwap",
    "sma_cross": "SmaCross",
    "supertrend": "SupertrendFlip",
}
_loaded: dict[str, type[Strategy]] = {}


def names() -> tuple[str, ...]:
    """Names of all strategies that :func:`get` knows, sorted."""
    return tuple(sorted({*_SHIPPED, *_loaded}))


def get(name: str) -> type[Strategy]:
    """Give the class of a strategy.

    Raises
    ------
    UnknownName
        No such strategy; the message names the nearest.
    """
    if name in _loaded:
        return _loaded[name]
    if name not in _SHIPPED:
        raise UnknownName("strategy", name, names())
    module = importlib.import_module(f"{PACKAGE}.{name}")
    found: type[Strategy] = getattr(module, _SHIPPED[name])
    return found


def build(name: str, parameters: Mapping[str, object] | None = None) -> Strategy:
    """Build a strategy by name from parameters as they stand in a manifest or on a command line.

    Raises
    ------
    UnknownName
        No such strategy or parameter.
    BadInput
        A value of the wrong type or outside its range.
    """
    return get(name).from_parameters(parameters or {})


def load_file(path: Path) -> tuple[type[Strategy], ...]:
    """Load a user's own strategy file and make its strategies known by their names.

    The file runs as code of this process with all its rights: load only what you wrote or read. Loading a changed file
    again replaces what it brought before.

    Returns
    -------
    tuple of Strategy classes
        Those that the file defines, in its order.

    Raises
    ------
    BadInput
        No such file, it does not load, it defines no strategy, or it takes a name that is already used.
    """
    module = _run(path)
    found = tuple(
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Strategy) and item.__module__ == module.__name__ and item.name
    )
    if not found:
        raise BadInput(f"{path.name} defines no strategy: write a frozen dataclass on Strategy and give it a `name`")
    for strategy in found:
        held = _loaded.get(strategy.name)
        if strategy.name in _SHIPPED or (held is not None and held.__module__ != strategy.__module__):
            raise BadInput(f"{path.name}: the strategy name {strategy.name!r} is already used; choose another")
        strategy.ranges()
    _loaded.update({strategy.name: strategy for strategy in found})
    return found


def code_hash(strategy: type[Strategy]) -> str:
    """Fingerprint the code that makes a strategy's signals.

    Returns
    -------
    str
        SHA-256 in hex over the sources, with Unix line ends, and the indicator library's version.
    """
    sources: dict[str, str] = {}
    _collect(strategy.__module__, sources)
    digest = hashlib.sha256(f"{INDICATOR_LIBRARY} {version(INDICATOR_LIBRARY)}\n{strategy.__qualname__}\n".encode())
    for name in sorted(sources):
        text = sources[name].encode()
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


class _FromSource(SourceFileLoader):
    """Compiles a file each time it is loaded.

    Bytecode that was kept goes by time and size: after an edit of the same size in the same second the old code would
    run under the new fingerprint.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _run(path: Path) -> ModuleType:
    name = f"{USER_PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    if not path.is_file() or path.suffix != ".py" or spec is None or spec.loader is None:
        raise BadInput(f"there is no strategy file {path}; it must be a Python file ending in .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError, AttributeError, TypeError, ValueError, BadInput) as error:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise BadInput(f"strategy file {path.name} does not load: {type(error).__name__}: {error}") from error
    return module


def _collect(module_name: str, sources: dict[str, str]) -> None:
    """Read the source of a module and of all modules of ours that it imports."""
    if module_name in sources:
        return
    file = getattr(importlib.import_module(module_name), "__file__", None)
    if file is None:
        raise BadInput(f"the strategy module {module_name} has no source file to fingerprint; write it into a file")
    text = Path(file).read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n")
    sources[module_name] = text
    for imported in sorted(_imports(text)):
        _collect(imported, sources)


def _imports(source: str) -> set[str]:
    """Modules inside our package that a source imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == PACKAGE:
                found.update(f"{PACKAGE}.{alias.name}" for alias in node.names if _is_module(alias.name))
            elif node.module.startswith(f"{PACKAGE}."):
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith(f"{PACKAGE}."))
    return found


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(f"{PACKAGE}.{name}") is not None
