"""Rounding to nearest and the AWQ layout, on small random matrices."""

import numpy as np
import pytest

from pipeline.worker.convert import awq_layout, int4

GROUP = 16


def random_weight(columns: int = 24, rows: int = 64) -> np.ndarray:
    return np.random.default_rng(7).normal(scale=0.02, size=(columns, rows)).astype(np.float32)


def test_unpacking_gives_back_what_was_packed() -> None:
    values = np.random.default_rng(1).integers(0, 16, size=(5, 32), dtype=np.uint8)

    assert np.array_equal(int4.unpack(int4.pack(values, awq_layout.COLUMNS), awq_layout.COLUMNS), values)


def test_packing_interleaves_columns_as_awq_does() -> None:
    # The word of AWQ's own kernels for columns 0 to 7: even columns in the low half, odd ones in the high half.
    packed = int4.pack(np.arange(8, dtype=np.uint8).reshape(1, 8), awq_layout.COLUMNS)

    assert packed.dtype == np.int32
    assert packed.view(np.uint32)[0, 0] == 0x75316420


def test_a_checkpoint_read_back_is_exactly_the_rounded_weight() -> None:
    weight = random_weight(rows=2 * int4.GROUP)

    read = awq_layout.from_parts(awq_layout.to_parts(weight))
    assert np.array_equal(read, awq_layout.quantize(weight, int4.GROUP).dequantize())


def test_shapes_are_those_of_an_awq_checkpoint() -> None:
    parts = awq_layout.to_parts(random_weight(24, 2 * int4.GROUP))

    assert {name: part.shape for name, part in parts.items()} == {
        "qweight": (2 * int4.GROUP, 24 // 8),
        "qzeros": (2, 24 // 8),
        "scales": (2, 24),
    }
    assert parts["scales"].dtype == np.float16


def test_rounding_errs_by_about_half_a_step_at_most() -> None:
    weight = random_weight()
    rounded = awq_layout.quantize(weight, GROUP)

    steps = np.repeat(rounded.scales.astype(np.float32), GROUP, axis=0).T
    # Half a step for rounding, and up to one more at a range's ends: the zero point and the scale are rounded too.
    assert np.all(np.abs(rounded.dequantize() - weight) <= 1.01 * steps)
    assert np.median(np.abs(rounded.dequantize() - weight) / steps) < 0.3


def test_scales_are_the_same_number_in_bfloat16_and_float16() -> None:
    scales = awq_layout.quantize(random_weight(), GROUP).scales.astype(np.float32)

    assert not np.any(scales.view(np.uint32) & 0xFFFF)


def test_groups_of_one_sign_and_of_zeros_survive() -> None:
    weight = np.repeat(np.array([[0], [0.5], [-0.5]], dtype=np.float32), [8, 8, 8], axis=0).repeat(GROUP, axis=1)

    assert np.allclose(awq_layout.quantize(weight, GROUP).dequantize(), weight, atol=0.002)


def test_a_width_that_is_no_multiple_of_the_group_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        awq_layout.quantize(random_weight(24, 60), GROUP)
