"""4-bit weights in the layout of AWQ checkpoints (version "gemm"): rounding, packing, and both ways back.

A linear layer's weight W [out, in] is stored transposed, in groups of rows that share a scale and a zero point:
qweight int32 [in, out/8], qzeros int32 [in/group, out/8], scales float16 [in/group, out], with
W[o, i] = (q[i, o] - zero[i // group, o]) * scale[i // group, o].

NumPy alone, so that it can be tested without an engine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 4
LEVELS = 2**BITS - 1
PER_WORD = 32 // BITS
# Nibble n (from the lowest bits) of a 32-bit word holds column COLUMNS[n] of its eight.
COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)


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


def quantize(weight: NDArray[np.float32], group: int) -> Quantized:
    """Round a weight [out, in] to the nearest of 16 levels, spread from minimum to maximum of each `group` inputs.

    in must be a multiple of group, out of 8 (ValueError).
    """
    columns, rows = weight.shape
    if rows % group or columns % PER_WORD:
        raise ValueError(f"weight [{columns}, {rows}]: out must be a multiple of {PER_WORD}, in of {group}")
    grouped = np.ascontiguousarray(weight.T).reshape(rows // group, group, columns)
    # The range includes 0, so that the zero point is one of the 16 levels.
    low = np.minimum(grouped.min(axis=1), 0)
    high = np.maximum(grouped.max(axis=1), 0)
    scales = _round_scale((high - low) / LEVELS)
    zeros = np.clip(np.rint(-low / scales), 0, LEVELS)
    codes = np.clip(np.rint(grouped / scales[:, None, :]) + zeros[:, None, :], 0, LEVELS)
    return Quantized(codes.reshape(rows, columns).astype(np.uint8), zeros.astype(np.uint8), scales.astype(np.float16))


def _round_scale(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest value that both bfloat16 and float16 hold, so that engines computing in either agree; never 0."""
    bits = scale.astype(np.float32).view(np.uint32)
    # To nearest even on the upper 16 bits, which are the bfloat16.
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    smallest = np.finfo(np.float16).smallest_subnormal
    return np.maximum(nearest.astype(np.float16), smallest).astype(np.float32)


def pack(values: NDArray[np.uint8]) -> NDArray[np.int32]:
    """[n, out] values of 4 bits as int32 [n, out/8], in AWQ's interleaved order."""
    nibbles = values.reshape(values.shape[0], -1, PER_WORD)[:, :, COLUMNS].astype(np.uint32)
    shifts: NDArray[np.uint32] = np.arange(0, 32, BITS, dtype=np.uint32)
    return np.bitwise_or.reduce(nibbles << shifts, axis=2).view(np.int32)


def unpack(packed: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The inverse of pack()."""
    shifts: NDArray[np.uint32] = np.arange(0, 32, BITS, dtype=np.uint32)
    nibbles = (packed.view(np.uint32)[:, :, None] >> shifts) & LEVELS
    return nibbles[:, :, np.argsort(COLUMNS)].reshape(packed.shape[0], -1).astype(np.uint8)
