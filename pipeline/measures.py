"""The figures of a job: what result.json and documents.jsonl say of its time, memory, energy and quality.

A figure that is not known is None, never 0. Times are seconds, memory is bytes, energy is joules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.entries import Rates


@dataclass(frozen=True)
class TriedBatch:
    """One batch of a search for the largest: size documents, each with the full number of new tokens.

    peak_bytes: the most memory seen meanwhile, as Metrics.peak_memory_bytes; None where it can't be told.
    """

    size: int
    fits: bool
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class UsedSettings:
    """batch_size_asked: None where the engine was left to batch by itself, or the largest batch was searched.

    batch_size_used: the one that the job ended at, where batches that ran out of memory were halved. batch_search: the
    sizes that --find-batch-size tried, in order.
    """

    dtype: str | None = None
    quantization: str | None = None
    attention: str | None = None
    batch_size_asked: int | None = None
    batch_size_used: int | None = None
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    batch_search: tuple[TriedBatch, ...] = ()


@dataclass(frozen=True)
class Timing:
    """generate_s: from handing over the first request to the last completion, the mean of the repeats' raw values.

    load_s: of weights and engine, up to being ready for a request, without what the engine says it spent of that on
    compiling the model, or on fetching what a cache had of it: compile_s. For an engine that compiles once it knows its
    requests, compile_s is of that, after load_s. It is None where the engine doesn't tell, and 0 where it doesn't
    compile ahead.
    prefill_s, decode_s: the parts of generate_s in which the engine stepped to at least one document's first token, and
    in which it stepped to further ones alone; a step that did both counts as prefill. Means over the repeats; None
    where the engine's steps can't be observed. What is left of generate_s is neither.
    search_s: of the search for the largest batch. segments: for a job that went on from an interrupted attempt's
    documents, how long it generated after that, instead of generate_s and repeats; the earlier attempt's seconds are
    not known.
    Around them, for where a run's time goes: start_s, from the process's start until its engine could begin to load
    (the interpreter, imports, reading the job and its documents); encode_s, of the prompts; close_s, of the engine;
    rates_s, of measuring the hardware's rates; save_s, of the result, recording the environment included. wall_s: from
    handing the job to its launcher until nothing of it was left; None for an image that was run alone. What wall_s has
    beyond all of these is starting and ending the process, or its container.
    """

    load_s: float | None = None
    compile_s: float | None = None
    search_s: float | None = None
    warmup_s: float | None = None
    generate_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    score_s: float | None = None
    repeats: tuple[float, ...] = ()
    segments: tuple[float, ...] = ()
    start_s: float | None = None
    encode_s: float | None = None
    close_s: float | None = None
    rates_s: float | None = None
    save_s: float | None = None
    wall_s: float | None = None


@dataclass(frozen=True)
class Distribution:
    """Over documents: percentiles by linear interpolation."""

    mean: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Metrics:
    """Derived from documents.jsonl and the telemetry; `docs` counts completed documents.

    docs_too_long: documents that with their new tokens exceed the model's context, and were not generated.
    docs_resumed: of all, those that an interrupted attempt had done.
    peak_memory_bytes is the sum of its parts as far as they are known: weights_bytes; kv_cache_bytes, the pool that the
    engine reserved or the largest that its cache grew to; overhead_bytes, what was in use beside them once the model
    was loaded (context, libraries, captured graphs); activations_bytes, the rest.
    energy_j: of generate_s, the mean of the repeats.
    """

    docs: int
    docs_per_s: float | None = None
    output_tokens_per_s: float | None = None
    prompt_tokens_mean: float | None = None
    output_tokens_mean: float | None = None
    latency_s: Distribution | None = None
    ttft_s: Distribution | None = None
    tpot_s: Distribution | None = None
    peak_memory_bytes: int | None = None
    weights_bytes: int | None = None
    kv_cache_bytes: int | None = None
    overhead_bytes: int | None = None
    activations_bytes: int | None = None
    energy_j: float | None = None
    docs_too_long: int | None = None
    docs_resumed: int | None = None


@dataclass(frozen=True)
class Quality:
    """ROUGE F1 as plain means over documents, no stemming; settings says with what they were computed.

    What tells degenerate output apart: empty_outputs; hit_limit, outputs that the token limit cut; copied_outputs,
    those that are one passage of the document; and means over documents of extractive coverage and density and of
    repetition (see DocumentResult). None in results of before they were counted.
    """

    rouge1_f1: float | None
    rouge2_f1: float | None
    rougeL_f1: float | None
    rougeLsum_f1: float | None
    output_words_mean: float | None
    empty_outputs: int
    hit_limit: int | None = None
    copied_outputs: int | None = None
    coverage_mean: float | None = None
    density_mean: float | None = None
    repetition_mean: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DocumentResult:
    """One line of documents.jsonl.

    latency_s, ttft_s: from hand-over (offline) or from the request's start (single).
    tpot_s: mean time per output token after the first. None where tokens can't be observed.
    finish_reason: stop, length, or too_long (prompt and new tokens exceed the model's context: not generated).
    prompt_sha256: of the prompt's text.
    coverage: the share of the output's words that are in passages it has in common with the document; density: the mean
    over its words of the length of the passage that each is in (Grusky et al. 2018). repetition: the share of its
    4-grams that occurred before in it. None for outputs with no words, or too few.
    """

    id: str
    text: str
    finish_reason: Literal["stop", "length", "too_long"]
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    rouge1_f1: float | None = None
    rouge2_f1: float | None = None
    rougeL_f1: float | None = None
    rougeLsum_f1: float | None = None
    prompt_sha256: str | None = None
    coverage: float | None = None
    density: float | None = None
    repetition: float | None = None


@dataclass(frozen=True)
class RepeatSample:
    """One line of repeats.jsonl: a document in a repeat of the timed section, from the second on; see DocumentResult.

    repeat: from 2; documents.jsonl is the first. same_text: whether the output is the first repeat's.
    """

    repeat: int
    id: str
    same_text: bool
    output_tokens: int | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None


@dataclass(frozen=True)
class Roofline:
    """A lower bound on generate_s for exactly this workload on that hardware; see pipeline/analysis/roofline.py.

    rates: what it was computed with. bound_s = prefill_s + decode_s. weights_s, kv_cache_s, arithmetic_s: what each
    alone would take over the whole workload, the last None where the hardware's rate isn't known and is left out of the
    bound. step_weights_s: what reading the weights takes once. bound_by: the largest part of what decides it. fraction:
    bound_s over the measured generate_s, None where that isn't known.
    """

    rates: Rates
    bound_s: float
    prefill_s: float
    decode_s: float
    weights_s: float
    kv_cache_s: float
    arithmetic_s: float | None
    step_weights_s: float
    bound_by: Literal["weights", "kv_cache", "arithmetic"]
    fraction: float | None = None
