"""docs/why-images.md: the part of it that is made from the resolver's answers and the locks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.catalog import IMAGES
from pipeline.errors import BenchmarkError

DOCUMENT = IMAGES.parent / "docs" / "why-images.md"
BEGIN = "<!-- made by `python -m images.conflicts`: do not edit -->"
END = "<!-- end of what is made -->"

_PIN = re.compile(r"(?m)^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)")


@dataclass(frozen=True)
class Side:
    """One of two images on one hardware. inputs_sha256: of what its lock was compiled from."""

    image: str
    variant: str
    inputs_sha256: str


@dataclass(frozen=True)
class Pair:
    """Two images that have a variant for the same hardware."""

    first: Side
    second: Side
    hardware: str

    @property
    def images(self) -> tuple[str, str]:
        """Their names."""
        return self.first.image, self.second.image


@dataclass(frozen=True)
class Verdict:
    """The resolver's answer on a pair.

    one_environment: whether one could hold both with every version that their .in files pin; if not, with no version
    pinned but the engines'; or never. pins: what contradicts in the first case, engines: in the second.
    """

    pair: Pair
    one_environment: Literal["as pinned", "with other pins", "never"]
    pins: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()


def with_table(document: str, verdicts: Sequence[Verdict]) -> str:
    """The document with its made part made anew. Raises BenchmarkError where it has no place for it."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{DOCUMENT.name}: expected the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{render(verdicts)}\n{END}{after}"


def render(verdicts: Sequence[Verdict]) -> str:
    """Markdown: a row a pair, the reasons of those that contradict, and the packages in which locks differ.

    Raises BenchmarkError for a pair that is said to contradict though its locks agree in every package: together they
    would be that environment.
    """
    lines = [
        "| images | on | packages in both locks | of other versions | one environment for both? |",
        "|---|---|---|---|---|",
    ]
    details: list[str] = []
    for verdict in verdicts:
        common, differing = compare(verdict.pair)
        if verdict.one_environment != "as pinned" and not differing:
            raise BenchmarkError(f"{_names(verdict.pair)}: said to contradict, but no package differs in their locks")
        lines.append(
            f"| {_names(verdict.pair)} | {verdict.pair.hardware} | {common} | {len(differing)} | {_answer(verdict)} |"
        )
        if differing:
            details += _details(verdict.pair, differing)
    contradicting = [verdict for verdict in verdicts if verdict.one_environment != "as pinned"]
    reasons = [line for verdict in contradicting for line in _reasons(verdict)]
    return "\n".join([*lines, "", *reasons, "### The packages", "", *details])


def compare(pair: Pair) -> tuple[int, list[tuple[str, str, str]]]:
    """How many packages are in both locks; those of them that differ, with their versions."""
    first, second = (_pins(side) for side in (pair.first, pair.second))
    common = sorted(first.keys() & second.keys())
    return len(common), [(name, first[name], second[name]) for name in common if first[name] != second[name]]


def _pins(side: Side) -> dict[str, str]:
    lock = IMAGES / side.image / f"{side.variant}.lock"
    return dict(_PIN.findall(lock.read_text(encoding="utf-8")))


def _names(pair: Pair) -> str:
    return ", ".join(pair.images)


def _answer(verdict: Verdict) -> str:
    return {
        "as pinned": "yes",
        "with other pins": "not with our pins; the engines' metadata would allow one",
        "never": "**no**: the engines contradict each other",
    }[verdict.one_environment]


def _reasons(verdict: Verdict) -> list[str]:
    parts = [("as pinned", verdict.pins), ("with the engines' versions alone", verdict.engines)]
    lines = [f"### {_names(verdict.pair)} ({verdict.pair.hardware})", ""]
    for case, statements in parts:
        if statements:
            lines += [f"What contradicts {case}:", "", *(f"- `{statement}`" for statement in statements), ""]
    return lines


def _details(pair: Pair, differing: Sequence[tuple[str, str, str]]) -> list[str]:
    return [
        f"<details><summary>{_names(pair)} ({pair.hardware}): {len(differing)}</summary>",
        "",
        f"| package | {pair.first.image} | {pair.second.image} |",
        "|---|---|---|",
        *(f"| {name} | {one} | {other} |" for name, one, other in differing),
        "",
        "</details>",
        "",
    ]
