"""4-bit weights in the layout of compressed-tensors ("pack-quantized", symmetric): rounding, packing, both ways back.

A linear layer's weight W [out, in] is stored in groups of inputs that share a scale: weight_packed int32 [out, in/8],
the lowest bits first, weight_scale [out, in/group] in the model's own floating-point type, and weight_shape, the two
numbers out and in, with W[o, i] = (q[o, i] - 8) * scale[o, i // group].

NumPy alone, so that it can be tested without an engine.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.worker.convert import int4

PARTS: tuple[str, ...] = ("weight_packed", "weight_scale", "weight_shape")
QUANTIZATION: Mapping[str, Any] = {
    "quant_method": "compressed-tensors",
    "quantization_status": "compressed",
    "format": "pack-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": int4.BITS,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": int4.GROUP,
            },
        }
    },
    "ignore": ["lm_head"],
}
ZERO = 2 ** (int4.BITS - 1)
"""The code that stands for 0."""
ORDER = range(int4.PER_WORD)


def to_parts(weight: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
    """See int4.Layout. The scales are float16."""
    int4.require_divisible(weight, int4.GROUP)
    grouped = weight.reshape(len(weight), -1, int4.GROUP)
    # as llm-compressor spreads its levels: the largest number lies half a step within
    scales = int4.round_scale(np.abs(grouped).max(axis=2) * 2 / int4.LEVELS)
    codes = np.clip(np.rint(grouped / scales[:, :, None]) + ZERO, 0, int4.LEVELS).astype(np.uint8)
    shape: NDArray[np.int64] = np.array(weight.shape, dtype=np.int64)
    packed = int4.pack(codes.reshape(weight.shape), ORDER)
    return dict(zip(PARTS, (packed, scales.astype(np.float16), shape), strict=True))


def from_parts(parts: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """See int4.Layout. A ValueError for a weight of another shape than it says, or in groups of another size."""
    packed, scales, shape = (parts[name] for name in PARTS)
    codes = int4.unpack(packed, ORDER)
    groups = scales.shape[1]
    if codes.shape != tuple(shape) or codes.shape[1] != groups * int4.GROUP:
        raise ValueError(f"weight {codes.shape} in {groups} groups of {int4.GROUP}, said to be {tuple(shape.tolist())}")
    signed = codes.astype(np.float32).reshape(len(codes), groups, int4.GROUP) - ZERO
    weight: NDArray[np.float32] = (signed * scales.astype(np.float32)[:, :, None]).reshape(codes.shape)
    return weight
