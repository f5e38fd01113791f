"""How a symbol is written, in the store and on the disk.

Invariant: every symbol has one spelling and one folder name, and the folder name is taken by every file system.
"""

from urllib.parse import quote, unquote

from workbench.core.errors import BadInput

_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})


def symbol_name(symbol: str) -> str:
    """Give the one spelling of a symbol: without blanks around it, in capitals.

    Raises
    ------
    BadInput
        Nothing, too long, or with control characters.
    """
    name = symbol.strip().upper()
    if not name or len(name) > 100 or any(ord(letter) < 32 for letter in name):
        raise BadInput(f"{symbol!r} cannot name a symbol")
    return name


def folder_name(symbol: str) -> str:
    """Give a folder name that every system takes: ``NSE_FNO:NIFTY`` has a colon, a stock is called CON somewhere."""
    name = quote(symbol, safe=" ").replace(".", "%2E").replace("~", "%7E")
    return f"%{ord(name[0]):02X}{name[1:]}" if name in _RESERVED else name


def symbol_of_folder(folder: str) -> str:
    """Read a folder name back."""
    return unquote(folder)
