"""What the runner relies on, checked for every adapter on the embedded model, each in its own environment."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.analysis.memory import kv_cache_bytes
from pipeline.entries import Experiment
from tests.conformance.observing import DOCS, MODEL, ON_A_CPU, ONE_OF_EACH, Observation
from tests.conformance.probe import NEW_TOKENS

EXPERIMENTS = [experiment.name for experiment in ON_A_CPU if experiment.weights is not None]


@pytest.fixture(params=EXPERIMENTS)
def seen(request: pytest.FixtureRequest, probe: Callable[[str], Observation]) -> Observation:
    """One experiment's observation after another."""
    return probe(request.param)


def experiment_of(request: pytest.FixtureRequest) -> Experiment:
    """The experiment that a test observes."""
    return next(item for item in ON_A_CPU if item.name == request.node.callspec.params["seen"])


def by_id(completions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {completion["id"]: completion for completion in completions}


def test_every_request_is_completed_exactly_once(seen: Observation) -> None:
    ids = sorted(completion["id"] for completion in seen["together"])
    assert ids == sorted(request["id"] for request in seen["requests"])


def test_every_engine_is_fed_the_same_ids(seen: Observation, probe: Callable[[str], Observation]) -> None:
    assert seen["prompt_ids_sha256"] == probe("none")["prompt_ids_sha256"]


def test_prompts_begin_with_one_bos(seen: Observation) -> None:
    for request in seen["requests"]:
        assert request["prompt_ids"][0] == MODEL.bos_id
        assert MODEL.bos_id not in request["prompt_ids"][1:]


def test_outputs_keep_to_the_token_limit(seen: Observation) -> None:
    for completion in seen["together"]:
        assert 0 < len(completion["output_ids"]) <= NEW_TOKENS


def test_length_is_the_reason_just_where_the_limit_was_reached(seen: Observation) -> None:
    for completion in seen["together"]:
        ended = completion["output_ids"][-1] in MODEL.eos_ids
        assert completion["finish_reason"] == ("stop" if ended else "length")
        assert ended or len(completion["output_ids"]) == NEW_TOKENS


def test_each_request_keeps_to_its_own_limit(seen: Observation) -> None:
    uneven = by_id(seen["uneven"])
    for number, request in enumerate(seen["requests"]):
        assert len(uneven[request["id"]]["output_ids"]) <= 2 + number


def test_the_output_is_text_without_special_tokens(seen: Observation) -> None:
    for completion in seen["together"]:
        assert completion["text"].strip()
        assert "<eos>" not in completion["text"]
        assert "<bos>" not in completion["text"]


def test_steps_add_up_to_the_output_tokens(seen: Observation, request: pytest.FixtureRequest) -> None:
    """A step gives a document one token, and where it checks guesses as many more as are right."""
    guesses = experiment_of(request).options.get("speculative_config", {}).get("num_speculative_tokens", 0)
    outputs = {completion["id"]: len(completion["output_ids"]) for completion in seen["together"]}
    assert seen["steps"]["tokens"] == outputs
    assert seen["steps"]["calls"] * (1 + guesses) >= max(outputs.values())


def test_greedy_decoding_repeats_itself(seen: Observation) -> None:
    assert by_id(seen["again"]) == by_id(seen["together"])


def test_a_repeat_reads_every_prompt_again(seen: Observation) -> None:
    """A prefix cache that serves a repeat would make its time that of less work."""
    assert seen["settings"]["cached_prompt_tokens"] == 0


def test_one_at_a_time_begins_like_all_at_once(seen: Observation) -> None:
    """Batched kernels round differently, so texts may part later; a wrong mask or position shows at once."""
    single, together = by_id(seen["single"]), by_id(seen["together"])
    same = [single[key]["output_ids"][0] == together[key]["output_ids"][0] for key in together]
    assert sum(same) >= len(same) - 1


@pytest.mark.parametrize("seen", ONE_OF_EACH, indirect=True)
def test_an_end_of_sequence_id_ends_the_output_and_is_part_of_it(seen: Observation) -> None:
    ended = seen["ended"]
    assert ended["finish_reason"] == "stop"
    assert ended["output_ids"][-1] == seen["eos_id"]
    assert seen["eos_id"] not in ended["output_ids"][:-1]


@pytest.mark.parametrize("seen", ONE_OF_EACH, indirect=True)
def test_drawing_from_the_likeliest_token_alone_is_greedy(seen: Observation) -> None:
    ended = seen["ended"]
    greedy = by_id(seen["together"])[ended["id"]]
    assert ended["output_ids"] == greedy["output_ids"][: len(ended["output_ids"])]


@pytest.mark.parametrize("seen", ONE_OF_EACH, indirect=True)
def test_the_same_seeds_draw_the_same_texts_and_others_draw_others(seen: Observation) -> None:
    drawn = by_id(seen["drawn"])
    assert by_id(seen["drawn_again"]) == drawn
    assert all(other["output_ids"] != drawn[other["id"]]["output_ids"] for other in seen["drawn_otherwise"])


def test_quantised_engines_say_so_and_others_do_not(seen: Observation, request: pytest.FixtureRequest) -> None:
    experiment = experiment_of(request)
    quantised = experiment.weights != "hf" or "quantization" in experiment.options
    assert (seen["settings"]["quantization"] is not None) == quantised


def test_the_batch_size_that_was_used_is_known(seen: Observation) -> None:
    assert seen["settings"]["batch_size_used"] == DOCS


def test_the_size_of_the_weights_is_plausible_or_unknown(seen: Observation) -> None:
    weights_bytes = seen["memory"]["weights_bytes"]
    assert weights_bytes is None or MODEL.parameters / 4 < weights_bytes < MODEL.parameters * 8


def test_the_kv_cache_has_room_for_the_whole_batch(seen: Observation) -> None:
    """At least a batch of the shortest prompt's keys and values in 16 bits."""
    attention = MODEL.attention
    assert attention is not None
    tokens = min(len(request["prompt_ids"]) for request in seen["requests"])
    assert seen["memory"]["kv_cache_bytes"] >= DOCS * kv_cache_bytes(attention, tokens, 16)


def test_a_closed_engine_leaves_no_process(seen: Observation) -> None:
    assert seen["children_left"] == []


def test_without_an_engine_between_them_the_baseline_batches_exactly(probe: Callable[[str], Observation]) -> None:
    """In float32 left padding must not change a text at all."""
    baseline = probe("none")
    assert by_id(baseline["single"]) == by_id(baseline["together"])


def test_the_baselines_attention_makes_no_plan_for_each_length(probe: Callable[[str], Observation]) -> None:
    """cuDNN's does, in the timed section, and then its texts differ from pass to pass."""
    assert probe("none")["settings"]["engine_args"]["cudnn_attention"] is False
