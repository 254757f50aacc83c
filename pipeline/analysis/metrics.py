"""From raw per-document samples to the figures of result.json."""

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain

from pipeline.analysis.samples import Samples, known_counts, known_times
from pipeline.lazy import put_in_order
from pipeline.measures import Distribution, Metrics


def mean(values: Sequence[float]) -> float | None:
    """The plain mean, summed without rounding error; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The plain mean of those that are known; None where none is."""
    return mean(array("d", (value for value in values if value is not None)))


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
    known = array("d", (value for value in values if value is not None))
    if not known:
        return None
    put_in_order(known)
    return Distribution(
        mean=math.fsum(known) / len(known),
        p50=percentile(known, 0.5),
        p90=percentile(known, 0.9),
        p99=percentile(known, 0.99),
    )


class ExactSum:
    """A sum without rounding error of values that come one at a time, as math.fsum makes of all of them.

    (Shewchuk 1997, as in Python's own recipe for msum: partial sums that don't overlap.)
    """

    def __init__(self) -> None:
        self.count = 0
        self._partials: list[float] = []

    def add(self, value: float | None) -> None:
        """One that is not known doesn't count."""
        if value is None:
            return
        self.count += 1
        kept = 0
        for partial in self._partials:
            large, small = (value, partial) if abs(value) >= abs(partial) else (partial, value)
            value = large + small
            rest = small - (value - large)
            if rest:
                self._partials[kept] = rest
                kept += 1
        self._partials[kept:] = [value]

    @property
    def mean(self) -> float | None:
        """None of nothing."""
        return math.fsum(self._partials) / self.count if self.count else None


def derive(
    documents: Samples,
    generate_s: float | None,
    *,
    again: Sequence[Samples] = (),
    peak_memory_bytes: int | None = None,
    weights_bytes: int | None = None,
    kv_cache_bytes: int | None = None,
    overhead_bytes: int | None = None,
    activations_bytes: int | None = None,
    energy_j: float | None = None,
    docs_resumed: int | None = None,
) -> Metrics:
    """All figures of a job over its completed documents; those too long for the model count nowhere.

    generate_s: the mean of the repeats; None or 0 where speed is not known, and all rates are then None. A rate of
    tokens needs the token counts of every completed document. again: the same documents in further repeats of the timed
    section, which count for speed and times; lengths are those of the first.
    """
    timed = [documents, *again]
    docs = len(documents)
    samples = sum(map(len, timed))
    counted = sum(1 for part in timed for _ in known_counts(part.output_tokens))
    tokens = sum(count for part in timed for count in known_counts(part.output_tokens))
    repeats = samples / docs if docs else 1
    return Metrics(
        docs=docs,
        docs_per_s=_rate(docs, generate_s),
        output_tokens_per_s=_rate(tokens / repeats, generate_s) if counted == samples else None,
        prompt_tokens_mean=mean_of_known(known_counts(documents.prompt_tokens)),
        output_tokens_mean=mean_of_known(known_counts(documents.output_tokens)),
        latency_s=distribution(chain.from_iterable(known_times(part.latency_s) for part in timed)),
        ttft_s=distribution(chain.from_iterable(known_times(part.ttft_s) for part in timed)),
        tpot_s=distribution(chain.from_iterable(known_times(part.tpot_s) for part in timed)),
        peak_memory_bytes=peak_memory_bytes,
        weights_bytes=weights_bytes,
        kv_cache_bytes=kv_cache_bytes,
        overhead_bytes=overhead_bytes,
        activations_bytes=activations_bytes,
        energy_j=energy_j,
        docs_too_long=documents.too_long,
        docs_resumed=docs_resumed,
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
