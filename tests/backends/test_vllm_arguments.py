"""What the vllm adapter asks its engine for; the engine itself is not needed here."""

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.entries import Sampling
from pipeline.errors import UsageError
from pipeline.worker.backend import Setup
from pipeline.worker.backends.vllm import adapter as vllm


def make_setup(
    options: Mapping[str, Any] | None = None, batch_size: int | None = None, weights: Path | None = Path("weights")
) -> Setup:
    return Setup(weights, "cpu", "float32", options or {}, batch_size, max_length=512, eos_ids=(1,), seed=7)


def test_setup_reaches_the_engine() -> None:
    arguments = vllm.engine_arguments(make_setup())
    asked = {name: arguments[name] for name in ("model", "max_model_len", "dtype", "seed")}
    assert asked == {"model": "weights", "max_model_len": 512, "dtype": "float32", "seed": 7}


def test_the_engine_batches_as_it_likes_without_a_batch_size() -> None:
    assert "max_num_seqs" not in vllm.engine_arguments(make_setup())


def test_a_batch_size_limits_the_requests_of_a_step() -> None:
    assert vllm.engine_arguments(make_setup(batch_size=8))["max_num_seqs"] == 8


def test_options_replace_defaults_and_are_passed_through() -> None:
    arguments = vllm.engine_arguments(make_setup({"dtype": "float16", "enforce_eager": True}))
    assert (arguments["dtype"], arguments["enforce_eager"]) == ("float16", True)


@pytest.mark.parametrize("name", ["enable_prefix_caching", "generation_config", "model", "trust_remote_code"])
def test_an_option_that_would_make_rows_incomparable_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        vllm.engine_arguments(make_setup({name: True}))


def test_a_request_that_is_drawn_has_its_own_seed_and_a_greedy_one_none() -> None:
    drawn = vllm.sampling_arguments(Sampling("sample", temperature=0.7, top_p=0.9), seed=5)
    assert drawn == {"temperature": 0.7, "top_p": 0.9, "top_k": 0, "seed": 5}
    assert vllm.sampling_arguments(Sampling(), seed=5) == {"temperature": 0.0}


@pytest.mark.parametrize(("mode", "seconds"), [("VLLM_COMPILE", 42.5), ("NONE", 0.0), ("STOCK_TORCH_COMPILE", None)])
def test_compile_seconds_are_known_where_vllm_counts_them_or_does_not_compile(mode: str, seconds: float | None) -> None:
    config = SimpleNamespace(mode=SimpleNamespace(name=mode), compilation_time=42.0, encoder_compilation_time=0.5)
    assert vllm.compile_seconds(config) == seconds


def test_weights_are_required() -> None:
    with pytest.raises(UsageError, match="weights"):
        vllm.create(make_setup(weights=None))


def test_the_worker_can_find_the_report_by_the_name_it_is_given() -> None:
    module, _, name = vllm.engine_arguments(make_setup())["worker_extension_cls"].rpartition(".")
    found = importlib.util.find_spec(module)
    # what it imports is in vLLM's environments alone
    assert found is not None and found.origin is not None
    assert any(
        isinstance(part, ast.ClassDef) and part.name == name for part in ast.parse(Path(found.origin).read_text()).body
    )


def test_closing_before_loading_and_twice_is_harmless() -> None:
    backend = vllm.create(make_setup())
    backend.close()
    backend.close()


def test_the_memory_of_all_workers_is_the_engines() -> None:
    reports = [{"device": "cuda", "weights_bytes": 3, "kv_cache_bytes": 5}] * 2
    assert vllm.of_all_workers(reports) == {"device": "cuda", "weights_bytes": 6, "kv_cache_bytes": 10}


def test_what_one_worker_cannot_tell_is_not_known_of_all() -> None:
    reports = [{"weights_bytes": 3, "kv_cache_bytes": 5}, {"weights_bytes": None, "kv_cache_bytes": 5}]
    assert vllm.of_all_workers(reports)["weights_bytes"] is None
