"""Which old files belong together, and what their names say."""

import pytest

from pipeline.legacy.pairs import PairName, pair_up

KNOWN = ("none", "4-bit", "8-bit", "flash-attn", "vllm-awq", "vllm-awq-serial")


@pytest.mark.parametrize(
    ("name", "experiment", "batch_size"),
    [
        ("default_batchsize-2", "none", 2),
        ("none", "none", None),
        ("4bit", "4-bit", None),
        ("8-bit", "8-bit", None),
        ("flash_attn_batchsize-10", "flash-attn", 10),
        ("vllm_awq", "vllm-awq", None),
        ("vllm-awq_1000docs", "vllm-awq_1000docs", None),
        ("1k_vllm_awq", "vllm-awq", None),
        ("vllm_serial", "vllm-awq-serial", None),
        ("deepspeed", "deepspeed", None),
        ("batchsize-4", "batchsize-4", 4),
        ("default_batchsize-0", "default_batchsize-0", None),
    ],
)
def test_a_name_is_mapped_only_where_it_spells_one_experiment(
    name: str, experiment: str, batch_size: int | None
) -> None:
    pair = PairName("10", "a100", name)
    assert (pair.experiment(KNOWN), pair.batch_size) == (experiment, batch_size)


def test_a_name_that_could_be_two_experiments_stays_as_it_stands() -> None:
    assert PairName("1", "t4", "4bit").experiment(("4-bit", "4_bit")) == "4bit"


def test_any_id_and_gpu_are_taken() -> None:
    names = ["data_7b_mi300x_default_x.json", "results_7b_mi300x_default_x.json", "notes.txt", "README.md"]
    assert pair_up(names) == ([PairName("7b", "mi300x", "default_x")], [])


def test_a_file_without_its_other_half_is_named_with_the_missing_one() -> None:
    pairs, faults = pair_up(["data_1_t4_none.json", "results_2_t4_none.json", "data_2_t4_none.json"])
    assert pairs == [PairName("2", "t4", "none")]
    assert faults == ["data_1_t4_none.json: results_1_t4_none.json is missing; put it beside, or take this away"]


def test_a_file_of_the_same_id_under_another_name_is_pointed_to() -> None:
    _, faults = pair_up(["data_21_vllm_awq.json", "results_21_t4_vllm_awq.json"])
    assert faults == [
        "data_21_vllm_awq.json: results_21_vllm_awq.json is missing; if results_21_t4_vllm_awq.json is it, give both "
        "one name",
        "results_21_t4_vllm_awq.json: data_21_t4_vllm_awq.json is missing; if data_21_vllm_awq.json is it, give both "
        "one name",
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("data_1.json", "the name doesn't say what it is of; call a pair data_<id>_<gpu>_<name>.json"),
        ("results_1_t4_none (1).json", "can't be used; use letters, digits, dots, dashes and underscores"),
    ],
)
def test_a_name_that_fits_no_pair_is_told_with_the_mend(name: str, fault: str) -> None:
    pairs, [told] = pair_up([name])
    assert pairs == []
    assert told.startswith(f"{name}: ") and fault in told


def test_pairs_that_differ_by_capitals_alone_are_not_both_taken() -> None:
    names = [f"{kind}_1_{gpu}_none.json" for kind in ("data", "results") for gpu in ("T4", "t4")]
    pairs, [fault] = pair_up(names)
    assert pairs == [PairName("1", "T4", "none")]
    assert fault == "data_1_t4_none.json: differs from data_1_T4_none.json by capitals alone; rename the pair"
