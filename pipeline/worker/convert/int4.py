"""What the layouts of 4-bit weights share: sizes, packing into 32-bit words and back, and the rounding of scales.

NumPy alone, so that it can be tested without an engine.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BITS = 4
LEVELS = 2**BITS - 1
PER_WORD = 32 // BITS
GROUP = 128
"""So many inputs of a linear layer share a scale in every checkpoint made here."""


class Layout(Protocol):
    """A module of this package: how a checkpoint stores a linear layer's weight [out, in].

    PARTS: the names of its tensors, the packed one first. QUANTIZATION: what config.json then says of it.
    """

    PARTS: tuple[str, ...]
    QUANTIZATION: Mapping[str, Any]

    def to_parts(self, weight: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """The tensors of a weight rounded to the nearest. in: a multiple of GROUP, out: of PER_WORD (ValueError)."""

    def from_parts(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The weight that an engine computes with. parts: as stored, floating-point ones in float32."""


def require_divisible(weight: NDArray[np.float32], group: int) -> None:
    """ValueError for a weight [out, in] whose in is no multiple of the group, or whose out is none of PER_WORD."""
    columns, rows = weight.shape
    if rows % group or columns % PER_WORD:
        raise ValueError(f"weight [{columns}, {rows}]: out must be a multiple of {PER_WORD}, in of {group}")


def pack(values: NDArray[np.uint8], order: Sequence[int]) -> NDArray[np.int32]:
    """[n, m] values of 4 bits as int32 [n, m/8]: nibble k from the lowest bits holds column order[k] of its eight."""
    nibbles = values.reshape(values.shape[0], -1, PER_WORD)[:, :, order].astype(np.uint32)
    shifts: NDArray[np.uint32] = np.arange(0, 32, BITS, dtype=np.uint32)
    return np.bitwise_or.reduce(nibbles << shifts, axis=2).view(np.int32)


def unpack(packed: NDArray[np.int32], order: Sequence[int]) -> NDArray[np.uint8]:
    """The inverse of pack()."""
    shifts: NDArray[np.uint32] = np.arange(0, 32, BITS, dtype=np.uint32)
    nibbles = (packed.view(np.uint32)[:, :, None] >> shifts) & LEVELS
    return nibbles[:, :, np.argsort(order)].reshape(packed.shape[0], -1).astype(np.uint8)


def round_scale(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest value that both bfloat16 and float16 hold, so that engines computing in either agree; never 0."""
    bits = scale.astype(np.float32).view(np.uint32)
    # To nearest even on the upper 16 bits, which are the bfloat16.
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    smallest = np.finfo(np.float16).smallest_subnormal
    return np.maximum(nearest.astype(np.float16), smallest).astype(np.float32)
