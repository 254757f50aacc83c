"""The figures of a job: what result.json and documents.jsonl say of its settings, time, memory, energy and quality.

A figure that is not known is None, never 0. Times are seconds, memory is bytes, energy is joules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


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
    """generate_s: from handing over the first request to the last completion. repeats: its raw values.

    search_s: of the search for the largest batch. segments: for a job that went on from an interrupted attempt's
    documents, how long it generated after that, instead of generate_s and repeats; the earlier attempt's seconds are
    not known.
    """

    load_s: float | None = None
    compile_s: float | None = None
    search_s: float | None = None
    warmup_s: float | None = None
    generate_s: float | None = None
    score_s: float | None = None
    repeats: tuple[float, ...] = ()
    segments: tuple[float, ...] = ()


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
    energy_j: float | None = None
    docs_too_long: int | None = None


@dataclass(frozen=True)
class Quality:
    """ROUGE F1 as plain means over documents, no stemming; settings says with what they were computed."""

    rouge1_f1: float | None
    rouge2_f1: float | None
    rougeL_f1: float | None
    rougeLsum_f1: float | None
    output_words_mean: float | None
    empty_outputs: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DocumentResult:
    """One line of documents.jsonl.

    latency_s, ttft_s: from hand-over (offline) or from the request's start (single).
    tpot_s: mean time per output token after the first. None where tokens can't be observed.
    finish_reason: stop, length, or too_long (prompt and new tokens exceed the model's context: not generated).
    prompt_sha256: of the prompt's text.
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
