"""Random weights of a model's true shape in 16 bits, as a transformers folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.entries import Model
from pipeline.worker.convert import Conversion, random_weights
from pipeline.worker.convert.random_weights import Shape, Tensors

MADE_BY = f"random numbers, normal with deviation {random_weights.DEVIATION}, in {random_weights.DTYPE}"


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """See Converter and random_weights.write; texts are not used."""
    random_weights.write(source, target, model, _as_they_are, {})
    return Conversion(MADE_BY)


def _as_they_are(name: str, shape: Shape) -> Tensors:
    return {name: partial(random_weights.matrix, name, shape)}
