"""Converters: each module's convert() makes one format of weights from another. models.yaml names them (using)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.entries import Model


@dataclass(frozen=True)
class Conversion:
    """How weights came about, for whoever reads the result.

    perplexity, perplexity_original: of the weights made and of those they were made from; None where not measured.
    """

    made_by: str | None = None
    perplexity: float | None = None
    perplexity_original: float | None = None


class Converter(Protocol):
    """The convert() of a converter's module."""

    def __call__(self, source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
        """Make weights in the existing folder target.

        source: what an engine would open of the format converted from. texts: held-out text to measure on, maybe
        none. model: whose weights they are.
        """
