"""Text and tables as Markdown that nothing in them can break."""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.report import figures
from pipeline.report.figures import UNKNOWN

Item = TypeVar("Item")

# An underscore inside a word is no markup, and names are full of them; a list's mark is one at the start alone.
_MARKUP = re.compile(r"[\\`*\[\]|~#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+](?= )|(?<=^\d)[.)](?= )")


@dataclass(frozen=True)
class Column(Generic[Item]):
    """A column of a table of items. text: set to the left; figures stand to the right. quality: of what was written."""

    header: str
    cell: Callable[[Item], str]
    text: bool = False
    quality: bool = False


def escape(text: str) -> str:
    """Any text as one line of plain Markdown that is safe inside a table cell."""
    line = figures.one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", line)


def fenced(text: str, language: str = "text") -> str:
    """A code block that the text can't end, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{figures.printable(text)}\n{fence}"


def code(text: str) -> str:
    """Text in a line, in the type of code."""
    line = figures.one_line(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def details(summary: str, content: str) -> str:
    """Content that a click shows. summary: any text; content: Markdown."""
    return f"<details><summary>{html.escape(figures.one_line(summary))}</summary>\n\n{content}\n\n</details>"


def grid(columns: Sequence[Column[Item]], items: Sequence[Item], bold: Item | None = None) -> str:
    """A table, its columns padded so that it reads well as plain text too. bold: its first and third cell stand out."""
    lines = [[escape(column.header) for column in columns]]
    for item in items:
        cells = [escape(column.cell(item)) for column in columns]
        lines.append([f"**{cell}**" if item is bold and i in (0, 2) else cell for i, cell in enumerate(cells)])
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(columns))]
    rule = ["-" * width if c.text else "-" * (width - 1) + ":" for c, width in zip(columns, widths, strict=True)]
    padded = [
        [cell.ljust(w) if c.text else cell.rjust(w) for cell, c, w in zip(line, columns, widths, strict=True)]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def known(columns: Sequence[Column[Item]], items: Sequence[Item], bold: Item | None = None) -> str:
    """A table of the columns in which at least one item has a figure; the others are named below it."""
    shown = [column for column in columns if any(column.cell(item) != UNKNOWN for item in items)]
    missing = [column.header for column in columns if column not in shown]
    return grid(shown, items, bold) + (f"\n\nNot known for any row: {'; '.join(missing)}." if missing else "")
