"""4-bit weights in the layout of AWQ checkpoints (version "gemm"): rounding, packing, and both ways back.

A linear layer's weight W [out, in] is stored transposed, in groups of rows that share a scale and a zero point:
qweight int32 [in, out/8], qzeros int32 [in/group, out/8], scales float16 [in/group, out], with
W[o, i] = (q[i, o] - zero[i // group, o]) * scale[i // group, o].

NumPy alone, so that it can be tested without an engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.worker.convert import int4

PARTS: tuple[str, ...] = ("qweight", "qzeros", "scales")
QUANTIZATION: Mapping[str, Any] = {
    "quant_method": "awq",
    "version": "gemm",
    "bits": int4.BITS,
    "group_size": int4.GROUP,
    "zero_point": True,
    "modules_to_not_convert": ["lm_head"],
}
COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""AWQ's interleaved order of columns in a word."""


@dataclass(frozen=True)
class Quantized:
    """codes: uint8 [in, out], 0 to 15. zeros: uint8 [in/group, out]. scales: float16 [in/group, out]."""

    codes: NDArray[np.uint8]
    zeros: NDArray[np.uint8]
    scales: NDArray[np.float16]

    def dequantize(self) -> NDArray[np.float32]:
        """The weight that an engine computes with, float32 [out, in]."""
        groups, columns = self.scales.shape
        codes = self.codes.reshape(groups, -1, columns).astype(np.float32)
        weight = (codes - self.zeros[:, None, :]) * self.scales[:, None, :].astype(np.float32)
        return np.ascontiguousarray(weight.reshape(-1, columns).T)


def to_parts(weight: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
    """See int4.Layout."""
    rounded = quantize(weight, int4.GROUP)
    packed = (int4.pack(values, COLUMNS) for values in (rounded.codes, rounded.zeros))
    return dict(zip(PARTS, (*packed, rounded.scales), strict=True))


def from_parts(parts: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """See int4.Layout."""
    qweight, qzeros, scales = (parts[name] for name in PARTS)
    codes, zeros = (int4.unpack(packed, COLUMNS) for packed in (qweight, qzeros))
    return Quantized(codes, zeros, scales.astype(np.float16)).dequantize()


def quantize(weight: NDArray[np.float32], group: int) -> Quantized:
    """Round a weight [out, in] to the nearest of 16 levels, spread from minimum to maximum of each `group` inputs.

    in must be a multiple of group, out of 8 (ValueError).
    """
    int4.require_divisible(weight, group)
    columns, rows = weight.shape
    grouped = np.ascontiguousarray(weight.T).reshape(rows // group, group, columns)
    # The range includes 0, so that the zero point is one of the 16 levels.
    low = np.minimum(grouped.min(axis=1), 0)
    high = np.maximum(grouped.max(axis=1), 0)
    scales = int4.round_scale((high - low) / int4.LEVELS)
    zeros = np.clip(np.rint(-low / scales), 0, int4.LEVELS)
    codes = np.clip(np.rint(grouped / scales[:, None, :]) + zeros[:, None, :], 0, int4.LEVELS)
    return Quantized(codes.reshape(rows, columns).astype(np.uint8), zeros.astype(np.uint8), scales.astype(np.float16))
