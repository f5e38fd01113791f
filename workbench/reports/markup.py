"""Small pieces of HTML for reports: rupees, tables, notes; all text is escaped here and nowhere else.

Invariant: no piece loads anything: no script, no style sheet, no picture from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape


@dataclass(frozen=True, slots=True)
class Html:
    """A piece that a notebook shows as it is."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and whether it is a number, good, bad or a warning (names of style classes)."""

    text: str
    kind: str = ""


def rupees(amount: Decimal, *, sign: bool = False) -> str:
    """Write an amount to the paisa with Indian grouping: ``-₹1,23,456.70``."""
    whole, _, part = f"{abs(amount):.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    while head:
        head, tail = head[:-2], f"{head[-2:]},{tail}"
    lead = "-" if amount < 0 else "+" if sign and amount > 0 else ""
    return f"{lead}₹{tail}.{part}"


def money(amount: Decimal, *, sign: bool = True) -> Cell:
    """Cell of an amount, coloured by its sign."""
    return Cell(rupees(amount, sign=sign), "num " + ("good" if amount > 0 else "bad" if amount < 0 else ""))


def number(text: object) -> Cell:
    """Cell of a price or count."""
    return Cell(str(text), "num")


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, empty: str) -> Html:
    """Make a table; without a row the sentence `empty` stands instead."""
    rows = [list(row) for row in rows]
    body = [
        "<tr>" + "".join(_cell(cell if isinstance(cell, Cell) else Cell(cell)) for cell in row) + "</tr>"
        for row in rows
    ]
    if not body:
        return note(empty)
    numeric = [isinstance(cell, Cell) and cell.kind.startswith("num") for cell in rows[0]]
    head = "".join(_head(name, right) for name, right in zip(columns, numeric, strict=True))
    return Html(
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def facts(rows: Iterable[tuple[str, Cell | str]]) -> Html:
    """Make a list of named facts."""
    body = "".join(
        f"<tr><th>{escape(name)}</th>{_cell(value if isinstance(value, Cell) else Cell(value))}</tr>"
        for name, value in rows
    )
    return Html(f'<table class="facts"><tbody>{body}</tbody></table>')


def note(text: str, kind: str = "note") -> Html:
    """Make a sentence; kinds: note, warn, bad."""
    return Html(f'<p class="{escape(kind)}">{escape(text)}</p>')


def together(*pieces: Html) -> Html:
    """Put pieces one under the other."""
    return Html("\n".join(piece.text for piece in pieces))


def _head(name: str, is_number: bool) -> str:
    return f'<th class="num">{escape(name)}</th>' if is_number else f"<th>{escape(name)}</th>"


def _cell(cell: Cell) -> str:
    kind = f' class="{escape(cell.kind.strip())}"' if cell.kind.strip() else ""
    return f"<td{kind}>{escape(cell.text)}</td>"
