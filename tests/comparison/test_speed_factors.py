"""From rows that differ in one thing each to the way that leads to the fastest, over rows made for it."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.comparison.speed_candidates import Surroundings, candidates, expected
from pipeline.comparison.speed_configuration import Configuration, configuration, difference
from pipeline.comparison.speed_factors import Measured, Unmeasured, Way, find_way, other_factors
from pipeline.entries import Experiment
from tests.builders import make_result

PLAIN = Configuration("transformers", False, "sdpa", "the engine's own", "bfloat16", "bfloat16", 1)
VLLM = replace(PLAIN, engine="vllm", compiled=True, attention="FLASH_ATTN")
NONE = Experiment("none", "none", "", "transformers", "transformers", "hf", {"attention": "sdpa"})
COMPILED = replace(NONE, name="compiled", options={"attention": "sdpa", "compile": {"fullgraph": True}})
ENGINE = replace(NONE, name="vllm", backend="vllm", image="vllm", options={})
ENGINE_FP8 = replace(ENGINE, name="vllm-fp8", options={"quantization": "fp8"})
ENGINE_BOTH = replace(ENGINE, name="vllm-fp8-kv8", options={"quantization": "fp8", "kv_cache_dtype": "fp8"})


def row(name: str, docs_per_s: float, base: Configuration = PLAIN, documents: int = 100, **changed: Any) -> Measured:
    return Measured(name, replace(base, **changed), {1: docs_per_s}, documents, chosen_from="articles, seed 0")


SERIAL = row("none", 0.05, documents=8)
BATCHED = row("none", 2.0, batch=100)
COMPILED_ROW = row("compiled", 6.0, batch=100, compiled=True)
VLLM_ROW = row("vllm", 18.0, VLLM, batch=100)
FP8_ROW = row("vllm-fp8", 21.6, VLLM, batch=100, weights="fp8")


def told(way: Way) -> list[tuple[str, str]]:
    return [(step.thing, step.after.experiment) for step in way.steps]


def settled(backend: str = "transformers", experiment: Experiment = NONE, **fields: Any) -> Configuration:
    usual = {"dtype": "bfloat16", "engine_args": {"device": "cuda:0"}, "gpu": "h200"}
    found = configuration(make_result("none", 1.0, backend=backend, **(usual | fields)), experiment)
    assert found is not None
    return found


def test_a_row_is_told_by_what_its_engine_reported() -> None:
    assert settled(batch_size_used=8) == replace(PLAIN, batch=8)
    arguments = {"enforce_eager": False, "kv_cache_dtype": "fp8", "max_num_seqs": 1024}
    found = settled("vllm", ENGINE_BOTH, engine_args=arguments, quantization="fp8", attention="FLASH_ATTN")
    assert found == replace(VLLM, weights="fp8", cache="fp8", batch=8)


@pytest.mark.parametrize(
    ("arguments", "compiled"),
    [
        ({"compile": {"fullgraph": True}}, True),
        ({"compile": None}, False),
        ({"device": "cuda:0"}, False),
        ({"enforce_eager": False}, True),
        ({"enforce_eager": True}, False),
    ],
)
def test_compilation_is_told_by_what_was_asked_for_or_left_out(arguments: dict[str, Any], compiled: bool) -> None:
    assert settled(engine_args=arguments).compiled is compiled


def test_one_document_at_a_time_is_a_batch_of_one_whatever_the_engine_says() -> None:
    assert settled(scenario="single", batch_size_used=None).batch == 1


@pytest.mark.parametrize(("arguments", "size"), [({"max_num_seqs": 4}, 4), ({"max_num_seqs": 256}, 10), ({"v": 1}, 10)])
def test_an_engine_that_batches_by_itself_steps_what_was_handed_over_up_to_its_limit(
    arguments: dict[str, Any], size: int
) -> None:
    assert settled(batch_size_used=None, engine_args=arguments).batch == size


def test_a_paged_cache_is_scheduling_and_leaves_the_attention_kernel_as_it_is() -> None:
    found = settled(engine_args={"paged": {"use_cuda_graph": False}}, attention="paged|sdpa", batch_size_used=1)
    assert difference(PLAIN, found) == "scheduling"


def test_cuda_graphs_of_a_paged_cache_are_named() -> None:
    plain, graphs = (settled(engine_args={"paged": {"use_cuda_graph": used}}) for used in (False, (True, True)))
    assert (plain.scheduling, graphs.scheduling) == (
        "continuous, paged cache",
        "continuous, paged cache, CUDA graphs",
    )


def test_options_that_no_other_thing_stands_for_are_a_thing_of_their_own() -> None:
    guessing = replace(ENGINE, options={"speculative_config": {"method": "ngram"}})
    assert difference(settled(), settled(experiment=guessing)) == "other options"


def test_what_an_engine_did_not_report_is_not_guessed() -> None:
    assert configuration(make_result("none", 1.0, engine_args={}), NONE) is None


def test_two_differences_are_no_factor() -> None:
    assert difference(PLAIN, replace(PLAIN, batch=8, weights="fp8")) is None


def test_between_two_engines_compilation_has_to_be_equal_and_attention_and_scheduling_are_theirs() -> None:
    assert difference(PLAIN, VLLM) is None
    assert difference(replace(PLAIN, compiled=True, scheduling="continuous, paged cache"), VLLM) == "engine"


def test_the_way_goes_through_rows_that_differ_in_one_thing_each_and_its_factors_make_the_whole() -> None:
    way = find_way(SERIAL, [SERIAL, BATCHED, COMPILED_ROW, VLLM_ROW, FP8_ROW], [])
    steps = [("batching", "none"), ("compilation", "compiled"), ("engine", "vllm"), ("weight precision", "vllm-fp8")]
    assert told(way) == steps
    assert way.total is not None
    assert way.explained == pytest.approx(way.total.value) == pytest.approx(432)
    assert math.fsum(step.share or 0 for step in way.steps) == pytest.approx(1)
    assert [step.factor.ratio.value for step in way.steps if step.factor] == pytest.approx([40, 3, 3, 1.2])


def test_of_ways_of_as_many_steps_the_one_over_the_most_documents_is_taken() -> None:
    """Compiling at one document a time or in a batch: 8 documents or 100."""
    early = row("compiled", 0.3, documents=8, compiled=True)
    way = find_way(SERIAL, [SERIAL, early, BATCHED, COMPILED_ROW], [])
    assert told(way) == [("batching", "none"), ("compilation", "compiled")]


def test_of_ways_over_as_many_documents_the_first_by_name_is_taken() -> None:
    early = row("compiled", 0.3, compiled=True)
    for rows in ([SERIAL, BATCHED, early, COMPILED_ROW], [COMPILED_ROW, early, BATCHED, SERIAL]):
        assert told(find_way(SERIAL, rows, []))[0] == ("compilation", "compiled")


def test_a_step_that_slows_down_has_a_share_below_nothing() -> None:
    slower = row("4-bit", 1.0, batch=100, weights="nf4")
    faster = row("4-bit compiled", 3.0, batch=100, weights="nf4", compiled=True)
    way = find_way(SERIAL, [SERIAL, BATCHED, slower, faster], [])
    assert [step.share is not None and step.share < 0 for step in way.steps] == [False, True, False]


def test_where_a_row_is_missing_the_way_names_it_and_knows_the_other_factors() -> None:
    gap = Unmeasured("compiled", COMPILED_ROW.configuration, 100)
    way = find_way(SERIAL, [SERIAL, BATCHED, VLLM_ROW], [gap])
    assert way.missing == (gap,)
    assert [step.factor and step.factor.ratio.value for step in way.steps] == [pytest.approx(40), None, None]
    assert way.explained == pytest.approx(40)


def test_a_longer_way_over_measured_rows_goes_before_a_shorter_one_over_a_row_to_measure() -> None:
    goal = row("both", 4.0, batch=100, weights="fp8", cache="fp8")
    between = [row("weights", 2.5, batch=100, weights="fp8")]
    short = Unmeasured("short", replace(goal.configuration, batch=1), 8)
    assert find_way(SERIAL, [SERIAL, BATCHED, *between, goal], [short]).missing == ()


def test_where_nothing_leads_to_the_fastest_row_the_way_ends_at_the_fastest_that_is_reached() -> None:
    way = find_way(SERIAL, [SERIAL, BATCHED, VLLM_ROW], [])
    assert way.reached is BATCHED
    assert way.fastest is VLLM_ROW
    assert way.total is not None and way.total.value == pytest.approx(360)


def test_without_the_baselines_row_the_whole_is_not_known() -> None:
    start = Unmeasured("none", PLAIN, 8)
    way = find_way(start, [BATCHED, COMPILED_ROW], [])
    assert (way.total, way.missing) == (None, (start,))
    assert [step.share for step in way.steps] == [None, None]


def test_five_launches_of_both_rows_give_a_factor_an_interval() -> None:
    launches = {number: 1 + number / 100 for number in range(1, 6)}
    before = replace(SERIAL, launches=launches)
    after = replace(BATCHED, launches={number: 2 * rate for number, rate in launches.items()})
    [step] = find_way(before, [before, after], []).steps
    assert step.factor is not None and step.factor.ratio.interval is not None
    assert step.factor.ratio.interval.low == pytest.approx(2)


def test_documents_in_common_are_the_smaller_choice_of_the_same_dataset_and_seed() -> None:
    [step] = find_way(SERIAL, [SERIAL, BATCHED], []).steps
    assert step.factor is not None and step.factor.shared == 8
    [step] = find_way(SERIAL, [SERIAL, replace(BATCHED, chosen_from="articles, seed 1")], []).steps
    assert step.factor is not None and step.factor.shared is None


def test_versions_that_differ_are_told_within_an_engine() -> None:
    before, after = replace(SERIAL, software={"torch": "2.10.0"}), replace(BATCHED, software={"torch": "2.11.0"})
    [step] = find_way(before, [before, after], []).steps
    assert step.factor is not None and step.factor.software == ("torch 2.10.0 to 2.11.0",)


def test_other_pairs_are_grouped_by_thing_and_begin_at_what_the_baseline_has() -> None:
    quantised = row("4-bit", 1.5, batch=100, weights="nf4")
    flash = row("flash", 2.2, batch=100, attention="flash_attention_2")
    found = other_factors(PLAIN, [quantised, flash, BATCHED], [])
    assert [(one.thing, one.before.experiment, one.after.experiment) for one in found] == [
        ("attention kernel", "none", "flash"),
        ("weight precision", "none", "4-bit"),
    ]
    assert found[1].ratio.value == pytest.approx(0.75)


def test_of_batch_sizes_only_neighbours_are_paired() -> None:
    rows = [row("none", size * 0.05, batch=size) for size in (1, 8, 32, 100)]
    sizes = [(one.before.configuration.batch, one.after.configuration.batch) for one in other_factors(PLAIN, rows, [])]
    assert sizes == [(1, 8), (8, 32), (32, 100)]


def test_pairs_of_the_way_are_not_told_again() -> None:
    way = find_way(SERIAL, [SERIAL, BATCHED], [])
    assert other_factors(PLAIN, [SERIAL, BATCHED], way.steps) == ()


def around(*rows: Measured, **changed: Any) -> Surroundings:
    known = [NONE, COMPILED, ENGINE, ENGINE_FP8, ENGINE_BOTH]
    usual = Surroundings(load_catalog().models["llama-2-7b-chat"], True, "bfloat16", False, 9.0, known, rows)
    return replace(usual, **changed)


def test_a_row_at_another_batch_size_would_run_with_the_same() -> None:
    found = candidates(around(BATCHED))
    assert Unmeasured("none", PLAIN, 100) in found


def test_an_experiment_without_a_row_would_run_with_what_its_options_and_its_engines_rows_say() -> None:
    both = replace(VLLM, batch=100, weights="fp8", cache="fp8")
    known = around(VLLM_ROW, replace(FP8_ROW, experiment="vllm-fp8-kv8", configuration=both))
    assert expected(ENGINE_FP8, known) == replace(VLLM, weights="fp8")
    assert expected(COMPILED, known) == replace(PLAIN, compiled=True)


def test_what_an_engine_without_a_row_does_of_itself_is_not_guessed() -> None:
    assert expected(ENGINE, around(BATCHED)) is None


def test_what_was_tried_or_can_not_run_here_is_not_proposed() -> None:
    def names(known: Surroundings) -> set[str]:
        return {found.experiment for found in candidates(known)}

    needy = replace(COMPILED, needs=replace(COMPILED.needs, device="cuda", compute_capability=9.0))
    assert "compiled" in names(around(BATCHED))
    assert "compiled" not in names(around(BATCHED, tried={("compiled", None)}))
    assert "compiled" not in names(around(BATCHED, experiments=[NONE, needy], compute_capability=8.0))
    assert "compiled" not in names(around(BATCHED, model=None))
