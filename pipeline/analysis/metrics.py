"""From raw per-document samples to the figures of result.json."""

import math
from collections.abc import Iterable, Sequence

from pipeline.measures import Distribution, DocumentResult, Metrics


def mean(values: Sequence[float]) -> float | None:
    """The plain mean, summed without rounding error; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The plain mean of those that are known; None where none is."""
    return mean([value for value in values if value is not None])


def mean_if_known(values: Sequence[float | None]) -> float | None:
    """The plain mean; None where any of the values isn't known."""
    return None if None in values else mean_of_known(values)


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
    again: Sequence[DocumentResult] = (),
    peak_memory_bytes: int | None = None,
    weights_bytes: int | None = None,
    kv_cache_bytes: int | None = None,
    overhead_bytes: int | None = None,
    activations_bytes: int | None = None,
    energy_j: float | None = None,
) -> Metrics:
    """All figures of a job over its completed documents; those too long for the model count nowhere.

    generate_s: the mean of the repeats; None or 0 where speed is not known, and all rates are then None. A rate of
    tokens needs the token counts of every completed document. again: the same documents in further repeats of the timed
    section, which count for speed and times; lengths are those of the first.
    """
    done = [document for document in documents if document.finish_reason != "too_long"]
    prompt_tokens = [document.prompt_tokens for document in done if document.prompt_tokens is not None]
    output_tokens = [document.output_tokens for document in done if document.output_tokens is not None]
    timed = [*done, *again]
    tokens = [document.output_tokens for document in timed if document.output_tokens is not None]
    repeats = len(timed) / len(done) if done else 1
    return Metrics(
        docs=len(done),
        docs_per_s=_rate(len(done), generate_s),
        output_tokens_per_s=_rate(sum(tokens) / repeats, generate_s) if len(tokens) == len(timed) else None,
        prompt_tokens_mean=mean(prompt_tokens),
        output_tokens_mean=mean(output_tokens),
        latency_s=distribution(document.latency_s for document in timed),
        ttft_s=distribution(document.ttft_s for document in timed),
        tpot_s=distribution(document.tpot_s for document in timed),
        peak_memory_bytes=peak_memory_bytes,
        weights_bytes=weights_bytes,
        kv_cache_bytes=kv_cache_bytes,
        overhead_bytes=overhead_bytes,
        activations_bytes=activations_bytes,
        energy_j=energy_j,
        docs_too_long=len(documents) - len(done),
    )


def split_memory(
    peak_bytes: int | None,
    loaded_bytes: int | None,
    weights_bytes: int | None,
    kv_cache_bytes: int | None,
    *,
    kv_cache_grows: bool,
) -> tuple[int | None, int | None]:
    """Overhead and activations as Metrics has them, so that with weights and KV cache they add up to the peak.

    loaded_bytes: in use once the model was loaded, which a cache that grows comes on top of and a reserved one is part
    of. None for what can't be told, and for a difference below 0: readings that don't go together (pages of a reserved
    cache or of the weights that were not touched yet count in no process's memory) are no measurement.
    """
    reserved, grown = (0, kv_cache_bytes) if kv_cache_grows else (kv_cache_bytes, 0)
    return _difference(loaded_bytes, weights_bytes, reserved), _difference(peak_bytes, loaded_bytes, grown)


def _difference(whole: int | None, *parts: int | None) -> int | None:
    known = [part for part in parts if part is not None]
    if whole is None or len(known) < len(parts):
        return None
    rest = whole - sum(known)
    return rest if rest >= 0 else None


def _rate(count: float, seconds: float | None) -> float | None:
    """None, not 0, where nothing was done: the time then says nothing about speed."""
    return count / seconds if count and seconds else None
