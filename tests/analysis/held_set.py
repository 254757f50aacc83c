"""Logs that were kept back while the signatures were written, and how well those find their classes.

A folder of logs with an index.yaml: a list of {file, class, thread, what}; thread is where the log comes from.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import codec
from pipeline.analysis.failures import UNKNOWN, Classified, Signature, classify, read_tail

INDEX_FILE = "index.yaml"


@dataclass(frozen=True)
class Held:
    """One log of the index. class_: what it shows, as its author judged. what: in a few words."""

    file: str
    class_: str
    thread: str
    what: str


@dataclass(frozen=True)
class Judged:
    """A log and what the table makes of it."""

    held: Held
    found: Classified

    @property
    def right(self) -> bool:
        return self.held.class_ == self.found.class_


def read_index(folder: Path) -> list[Held]:
    """The index of a folder; an error names the entry at fault."""
    path = folder / INDEX_FILE
    return [
        codec.decode(Held, _renamed(entry), f"{path}: entry {number}")
        for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), start=1)
    ]


def _renamed(entry: dict[str, Any]) -> dict[str, Any]:
    return {"class_" if name == "class" else name: value for name, value in entry.items()}


def judge(folder: Path, table: Sequence[Signature]) -> list[Judged]:
    """Classify every log of the index, as --explain does: by its text alone."""
    return [Judged(held, classify(read_tail(folder / held.file), table)) for held in read_index(folder)]


def accuracy(judged: Sequence[Judged]) -> float:
    """The part of the logs whose class is found."""
    return sum(item.right for item in judged) / len(judged)


def wrong(judged: Sequence[Judged]) -> list[str]:
    """One line for each log whose class is not found."""
    return [
        f"{item.held.file}: {item.held.class_}, found {item.found.class_} ({item.found.line.splitlines()[-1:]})"
        for item in judged
        if not item.right
    ]


def confusion(judged: Sequence[Judged], table: Sequence[Signature]) -> str:
    """A Markdown table: for each group of classes how many logs came out in which group, and with the right class."""
    groups = {entry.class_: str(entry.group) for entry in table} | {UNKNOWN: UNKNOWN}
    pairs = Counter((groups[item.held.class_], groups[item.found.class_]) for item in judged)
    names = [name for name in dict.fromkeys(groups.values()) if any(name in pair for pair in pairs)]
    rows = [["group", "logs", "right class", *names], ["---", *["--:"] * (len(names) + 2)]]
    for name in names:
        of_group = [item for item in judged if groups[item.held.class_] == name]
        counts = [pairs[name, other] for other in names]
        rows.append([name, *map(str, [len(of_group), sum(item.right for item in of_group), *counts])])
    rows.append(["all", *map(str, [len(judged), sum(item.right for item in judged)])])
    rows[-1] += [str(sum(pairs[name, other] for name in names)) for other in names]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
