"""How values read wherever people meet them: figures, names and text that came from models or logs."""

import re

UNKNOWN = "\N{EN DASH}"
GIB = 1024**3

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)|[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def number(value: float | None, decimals: int) -> str:
    """A figure with so many decimals; what would round to 0 but is not 0 says so ("<0.01")."""
    if value is None:
        return UNKNOWN
    text = f"{value:,.{decimals}f}"
    return text if value == 0 or float(text.replace(",", "")) != 0 else f"<{10**-decimals:.{decimals}f}"


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
    line = " ".join(_CONTROL.sub("", text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"
