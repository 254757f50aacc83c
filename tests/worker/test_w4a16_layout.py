"""The layout of compressed-tensors, on small random matrices."""

import numpy as np
import pytest

from pipeline.worker.convert import int4, w4a16_layout

OUT, GROUPS = 16, 2


def random_weight() -> np.ndarray:
    return np.random.default_rng(7).normal(scale=0.02, size=(OUT, GROUPS * int4.GROUP)).astype(np.float32)


def test_the_first_column_of_eight_is_in_the_lowest_bits() -> None:
    packed = int4.pack(np.arange(8, dtype=np.uint8).reshape(1, 8), w4a16_layout.ORDER)

    assert packed.view(np.uint32)[0, 0] == 0x76543210


def test_shapes_are_those_that_compressed_tensors_names() -> None:
    parts = w4a16_layout.to_parts(random_weight())

    assert parts["weight_packed"].shape == (OUT, GROUPS * int4.GROUP // 8)
    assert parts["weight_scale"].shape == (OUT, GROUPS)
    assert parts["weight_shape"].tolist() == [OUT, GROUPS * int4.GROUP]


def test_rounding_errs_by_about_half_a_step_at_most() -> None:
    weight = random_weight()
    parts = w4a16_layout.to_parts(weight)

    steps = np.repeat(parts["weight_scale"].astype(np.float32), int4.GROUP, axis=1)
    # a little more than half where the rounded scale is smaller than what it was rounded from
    assert np.all(np.abs(w4a16_layout.from_parts(parts) - weight) <= 0.54 * steps)


def test_what_is_read_back_is_each_code_less_eight_times_its_scale() -> None:
    parts = w4a16_layout.to_parts(random_weight())

    codes = int4.unpack(parts["weight_packed"], w4a16_layout.ORDER).astype(np.float32)
    scales = np.repeat(parts["weight_scale"].astype(np.float32), int4.GROUP, axis=1)
    assert np.array_equal(w4a16_layout.from_parts(parts), (codes - 8) * scales)


def test_a_group_of_zeros_survives() -> None:
    weight = random_weight()
    weight[:, : int4.GROUP] = 0

    assert not w4a16_layout.from_parts(w4a16_layout.to_parts(weight))[:, : int4.GROUP].any()


def test_scales_are_the_same_number_in_bfloat16_and_float16() -> None:
    scales = w4a16_layout.to_parts(random_weight())["weight_scale"].astype(np.float32)

    assert not np.any(scales.view(np.uint32) & 0xFFFF)


def test_a_weight_in_groups_of_another_size_is_not_read() -> None:
    parts = w4a16_layout.to_parts(random_weight())

    with pytest.raises(ValueError, match="in 1 groups of 128"):
        w4a16_layout.from_parts({**parts, "weight_scale": parts["weight_scale"][:, :1]})


def test_a_weight_of_another_shape_than_it_says_is_not_read() -> None:
    parts = w4a16_layout.to_parts(random_weight())

    with pytest.raises(ValueError, match=r"said to be \(15, 256\)"):
        w4a16_layout.from_parts({**parts, "weight_shape": np.array([15, 256])})


def test_a_width_that_is_no_multiple_of_the_group_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        w4a16_layout.to_parts(random_weight()[:, :60])
