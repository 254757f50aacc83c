"""How values read wherever people meet them: figures, names and text that came from models or logs."""

import re

UNKNOWN = "\N{EN DASH}"
GIB = 1024**3

# Sequences of terminals, control characters but for white space, and what turns the direction of text around.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_BREAK = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")


def number(value: float | None, decimals: int) -> str:
    """A figure with so many decimals; what would round to 0 but is not 0 says so, and on which side ("<0.01",
    ">-0.01")."""
    if value is None:
        return UNKNOWN
    text = f"{value:,.{decimals}f}"
    if value == 0 or float(text.replace(",", "")) != 0:
        return text
    return f"{'<' if value > 0 else '>-'}{10**-decimals:.{decimals}f}"


def speed(docs_per_s: float | None) -> str:
    """Documents a second: three decimals as in the published table, fewer where they would be noise."""
    return number(docs_per_s, 3 if docs_per_s is None or docs_per_s < 100 else 0)


def gib(value: int | None) -> str:
    """Bytes as GiB."""
    return number(None if value is None else value / GIB, 2)


def name(value: str | int | None) -> str:
    """A setting as it is."""
    return UNKNOWN if value is None else one_line(str(value))


def one_line(text: str, limit: int | None = None) -> str:
    """Text without colours, control characters and line ends, shortened to `limit` characters."""
    line = " ".join(printable(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def printable(text: str) -> str:
    """Text that does nothing to a terminal but appear there, its lines kept; half a surrogate pair is replaced."""
    return _HALF_A_PAIR.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", _BREAK.sub("\n", text)))
