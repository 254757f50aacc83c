"""Random weights of a model's true shape in the layout of AWQ checkpoints: any codes, with the scales of real ones."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.entries import Model
from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion, awq_layout, calibration, random_weights
from pipeline.worker.convert.checkpoint import is_linear
from pipeline.worker.convert.int4 import BITS, GROUP, PER_WORD
from pipeline.worker.convert.random_weights import DEVIATION, Shape, Tensors

MADE_BY = f"random codes of {BITS} bits, group {GROUP}, in AWQ layout"
MIDDLE = 2 ** (BITS - 1)
SCALE = DEVIATION / math.sqrt((4**BITS - 1) / 12)
"""So that codes of equal probability spread as far as the weights that they stand for."""


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """See Converter and random_weights.write; texts are not used. Raises BenchmarkError for widths without groups."""
    reason = calibration.uneven(dict(model.architecture or {}))
    if reason is not None:
        raise BenchmarkError(f"the AWQ layout can't hold {model.name}: {reason}")
    random_weights.write(source, target, model, _packed, {"quantization_config": awq_layout.QUANTIZATION})
    return Conversion(MADE_BY)


def _packed(name: str, shape: Shape) -> Tensors:
    layer = name.removesuffix(".weight")
    if not is_linear(layer):
        return {name: partial(random_weights.matrix, name, shape)}
    columns, rows = shape
    made = (
        partial(_codes, name, (rows, columns // PER_WORD)),
        partial(_zeros, (rows // GROUP, columns // PER_WORD)),
        partial(_scales, (rows // GROUP, columns)),
    )
    return {f"{layer}.{part}": make for part, make in zip(awq_layout.PARTS, made, strict=True)}


def _codes(name: str, shape: Shape) -> Any:
    import torch

    return torch.from_numpy(random_weights.random_words(name, shape))


def _zeros(shape: Shape) -> Any:
    import torch

    word = sum(MIDDLE << shift for shift in range(0, 32, BITS))
    return torch.full(shape, word - 2**32, dtype=torch.int32)


def _scales(shape: Shape) -> Any:
    import torch

    return torch.full(shape, SCALE, dtype=torch.float16)
