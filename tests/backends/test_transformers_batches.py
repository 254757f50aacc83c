"""The transformers adapter's pure parts: batches, padding, where a completion ends, shapes, options."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.entries import Sampling
from pipeline.worker.backend import Request, Setup, create_backend, longest_first
from pipeline.worker.backends.transformers import options, rows
from pipeline.worker.backends.transformers.compiled import Shape, shape_of
from pipeline.worker.backends.transformers.paged import paged_arguments
from pipeline.worker.backends.transformers.static import StaticBatches
from pipeline.worker.hand_over import HandOver

EOS = (1, 106)


def request(name: str, prompt_length: int) -> Request:
    return Request(id=name, document="", prompt_ids=(7,) * prompt_length, max_new_tokens=8)


def setup(options: Mapping[str, Any], batch_size: int | None = 2) -> Setup:
    return Setup(
        weights=Path("nowhere"),
        device="cpu",
        dtype="float32",
        options=options,
        batch_size=batch_size,
        max_length=64,
        eos_ids=EOS,
        seed=0,
    )


def test_the_longest_prompts_come_first() -> None:
    requests = [request("short", 2), request("longest", 9), request("middle", 5)]
    assert [item.id for item in longest_first(requests)] == ["longest", "middle", "short"]


def test_padding_stands_left_of_the_prompt_and_is_masked_even_where_the_prompt_holds_the_pad_id() -> None:
    ids, mask = rows.pad_left([(5, 0, 6), (0,)], pad_id=0)
    assert ids == [[5, 0, 6], [0, 0, 0]]
    assert mask == [[1, 1, 1], [0, 0, 1]]


def test_a_completion_ends_with_its_first_end_of_sequence_id() -> None:
    assert rows.cut([5, 106, 1, 0, 0], EOS, max_new_tokens=5) == ((5, 106), "stop")


def test_a_completion_without_an_end_of_sequence_id_ends_at_its_own_limit() -> None:
    assert rows.cut([5, 6, 7, 8], EOS, max_new_tokens=3) == ((5, 6, 7), "length")


def test_an_end_of_sequence_id_after_the_limit_is_not_part_of_the_completion() -> None:
    assert rows.cut([5, 6, 1], EOS, max_new_tokens=2) == ((5, 6), "length")


def test_an_end_of_sequence_id_at_the_limit_is_a_stop() -> None:
    assert rows.cut([5, 1], EOS, max_new_tokens=2) == ((5, 1), "stop")


def test_nothing_of_the_sampling_is_left_to_the_engines_own_defaults() -> None:
    arguments = options.sampling_arguments(Sampling("sample", temperature=0.7))
    assert arguments == {"do_sample": True, "temperature": 0.7, "top_p": 1.0, "top_k": 0}


def test_four_bit_layers_compute_in_the_dtype_of_the_setup_unless_told_otherwise() -> None:
    four_bit = {"quantization": {"load_in_4bit": True}}
    told = {"quantization": {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float16"}}
    assert options.quantization_arguments(four_bit, "bfloat16") == {
        "load_in_4bit": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    assert options.quantization_arguments(told, "bfloat16") == told["quantization"]


def test_without_a_quantization_option_nothing_is_quantised() -> None:
    assert options.quantization_arguments({"attention": "sdpa"}, "bfloat16") is None


def test_the_quantisation_is_named_by_what_the_loaded_model_tells() -> None:
    four_bit = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    eight_bit = {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}
    assert options.quantization_label(four_bit) == "bitsandbytes nf4"
    assert options.quantization_label(eight_bit) == "bitsandbytes int8"
    assert options.quantization_label({"quant_method": "awq"}) == "awq"
    assert options.quantization_label(None) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"atention": "sdpa"}, "'atention' is unknown"),
        ({"attention": "flash"}, "'flash' is unknown"),
        ({"compile": True}, "'compile': expected names and values"),
        ({"compile": {}, "paged": {}}, "'compile' and 'paged' exclude each other"),
    ],
)
def test_an_option_that_the_adapter_does_not_know_is_refused_by_name(options: Mapping[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        create_backend("transformers", setup(options))


def test_the_cache_of_a_batch_has_room_for_its_longest_prompt_and_most_new_tokens_in_whole_steps() -> None:
    assert shape_of([request("long", 500), request("short", 20)]) == Shape(rows=2, length=512)
    assert shape_of([request("longer", 505)]) == Shape(rows=1, length=768)


def test_batches_of_like_length_share_a_shape() -> None:
    assert len({shape_of([request("a", length)]) for length in range(260, 500, 7)}) == 1


def test_continuous_batching_takes_no_prompt_from_an_earlier_requests_cache() -> None:
    assert paged_arguments(setup({"paged": {"num_blocks": 8}}, batch_size=None)) == {
        "allow_block_sharing": False,
        "num_blocks": 8,
    }


def test_a_batch_size_limits_how_many_documents_are_under_way_at_once() -> None:
    assert paged_arguments(setup({"paged": {}}, batch_size=4))["max_requests_per_batch"] == 4


class OneToken(StaticBatches):
    """Writes one token a request, and remembers how many were under way."""

    def __init__(self, over: HandOver) -> None:
        super().__init__(setup({}, batch_size=3))
        self.over = over
        self.under_way: list[int] = []

    def generate_batch(self, batch: Sequence[Request], rows: rows.Rows, *, watched: bool) -> list[list[int]]:
        self.under_way.append(self.over.under_way)
        return [[5] for _ in batch]


def test_a_static_batch_is_taken_when_the_one_before_is_finished() -> None:
    over = HandOver([request(str(number), 2 + number) for number in range(8)])
    batches = OneToken(over)
    for done, _ids in batches.generate(over, None):
        over.complete(done.id)
    assert (batches.under_way, over.completed) == ([3, 3, 2], 8)


def test_rows_that_ended_get_no_more_tokens_and_the_others_do() -> None:
    told: list[Mapping[str, int]] = []
    watched = rows.Rows([request("ends", 2), request("goes on", 2)], EOS, told.append)
    for newest in ((5, 5), (1, 5), (5, 5)):
        watched.take(newest)
    assert told == [{"ends": 1, "goes on": 1}, {"ends": 1, "goes on": 1}, {"goes on": 1}]


def test_a_request_of_full_length_has_no_end_but_its_limit() -> None:
    endless = replace(request("endless", 2), full_length=True)
    watched = rows.Rows([endless], EOS, None)
    for _ in range(7):
        watched.take([1])
    assert not watched.ended
    watched.take([1])
    assert watched.ended


def test_a_batch_that_failed_takes_back_what_it_told() -> None:
    told: list[Mapping[str, int]] = []
    watched = rows.Rows([request("a", 2), request("b", 2)], EOS, told.append)
    watched.take([5, 1])
    watched.take([5, 5])
    watched.take_back()
    assert told[-1] == {"a": -2, "b": -1}


@pytest.mark.parametrize("option", [{}, {"compile": {}}, {"paged": {}}])
def test_closing_an_adapter_that_was_never_loaded_is_harmless(option: Mapping[str, Any]) -> None:
    backend = create_backend("transformers", setup({"attention": "sdpa", **option}))
    backend.close()
    backend.close()
