"""From raw per-document samples to the figures of result.json."""

import math
from collections.abc import Iterable, Sequence

from pipeline.measures import Distribution, DocumentResult, Metrics


def mean(values: Sequence[float]) -> float | None:
    """The plain mean, summed without rounding error; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value at `fraction` (0 to 1) of ascending values, by linear interpolation (numpy's default method)."""
    position = (len(ordered) - 1) * fraction
    below = math.floor(position)
    above = math.ceil(position)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def distribution(values: Iterable[float | None]) -> Distribution | None:
    """Mean and percentiles of the known values; None where none is known."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return Distribution(
        mean=math.fsum(ordered) / len(ordered),
        p50=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
    )


def derive(
    documents: Sequence[DocumentResult],
    generate_s: float | None,
    *,
    peak_memory_bytes: int | None = None,
    weights_bytes: int | None = None,
    kv_cache_bytes: int | None = None,
    energy_j: float | None = None,
) -> Metrics:
    """All figures of a job over its completed documents; those too long for the model count nowhere.

    generate_s: None or 0 where speed is not known; all rates are then None. A rate of tokens needs the token counts
    of every completed document.
    """
    done = [document for document in documents if document.finish_reason != "too_long"]
    prompt_tokens = [document.prompt_tokens for document in done if document.prompt_tokens is not None]
    output_tokens = [document.output_tokens for document in done if document.output_tokens is not None]
    return Metrics(
        docs=len(done),
        docs_per_s=_rate(len(done), generate_s),
        output_tokens_per_s=_rate(sum(output_tokens), generate_s) if len(output_tokens) == len(done) else None,
        prompt_tokens_mean=mean(prompt_tokens),
        output_tokens_mean=mean(output_tokens),
        latency_s=distribution(document.latency_s for document in done),
        ttft_s=distribution(document.ttft_s for document in done),
        tpot_s=distribution(document.tpot_s for document in done),
        peak_memory_bytes=peak_memory_bytes,
        weights_bytes=weights_bytes,
        kv_cache_bytes=kv_cache_bytes,
        energy_j=energy_j,
        docs_too_long=len(documents) - len(done),
    )


def _rate(count: int, seconds: float | None) -> float | None:
    """None, not 0, where nothing was done: the time then says nothing about speed."""
    return count / seconds if count and seconds else None
