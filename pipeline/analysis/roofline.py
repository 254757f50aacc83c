"""How far from the hardware: a lower bound on the time that a workload takes, by the roofline model.

(Williams, Waterman and Patterson 2009.) What it counts is what no engine can avoid; `bound` lists every assumption.
Held against figures measured on an H100 in tests/analysis/test_roofline.py.
"""

import dataclasses
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from pipeline.analysis.memory import BITS_PER_BYTE, DTYPE_BITS, kv_cache_bytes
from pipeline.analysis.samples import UNKNOWN, Samples
from pipeline.entries import Attention, Footprint, Rates, Scenario, WeightsSource
from pipeline.measures import Roofline
from pipeline.spec import Job, JobModel, Precision

FLOPS_PER_PARAMETER = 2
"""A multiplication and an addition, for each parameter and token."""

Limit = Literal["weights", "kv_cache", "arithmetic"]


@dataclass(frozen=True)
class RequestLength:
    """Tokens of one request: its prompt's, and those generated after it."""

    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class RequestLengths(Sequence[RequestLength]):
    """Of many requests, from two arrays of the same length."""

    prompt_tokens: Sequence[int]
    output_tokens: Sequence[int]

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    @overload
    def __getitem__(self, index: int) -> RequestLength: ...
    @overload
    def __getitem__(self, index: slice) -> "RequestLengths": ...
    def __getitem__(self, index: int | slice) -> "RequestLength | RequestLengths":
        if isinstance(index, slice):
            return RequestLengths(self.prompt_tokens[index], self.output_tokens[index])
        return RequestLength(self.prompt_tokens[index], self.output_tokens[index])


def _generating(lengths: Sequence[RequestLength]) -> RequestLengths:
    """Those that have any output."""
    some = [position for position, item in enumerate(lengths) if item.output_tokens > 0]
    return RequestLengths(
        array("q", (lengths[position].prompt_tokens for position in some)),
        array("q", (lengths[position].output_tokens for position in some)),
    )


def precision(source: WeightsSource, footprint: Footprint, dtype: str) -> Precision | None:
    """The bits that an experiment reads and computes with.

    Of the linear layers: as the weights come, else as the engine quantises them while it loads them, else the dtype's.
    Of the output layer: the dtype's, unless the weights' files have it quantised too. None for an unknown dtype.
    """
    whole = DTYPE_BITS.get(dtype)
    if whole is None:
        return None
    return Precision(
        weight_bits=source.bits or footprint.weight_bits or whole,
        output_bits=source.output_bits or whole,
        kv_bits=footprint.kv_bits or whole,
        arithmetic_bits=footprint.arithmetic_bits,
    )


def bound(
    lengths: Sequence[RequestLength],
    model: JobModel,
    precision: Precision,
    rates: Rates,
    scenario: Scenario,
    memory_bytes: int | None = None,
) -> Roofline | None:
    """The least time, in seconds, that these requests take; None where the model's shape isn't known, or of no request.

    It is the sum of two phases, each the larger of what its memory traffic and its arithmetic take at the rates:

    - Prefill reads the prompts. Arithmetic: 2 operations a parameter, of the linear layers for each token and of the
      output layer at one position of each prompt, which gives the first output token. Traffic: the weights, once.
    - Decode adds the other tokens, one a step and request, each from the token before it. Arithmetic: 2 operations a
      parameter, linear and output layers, a token. Traffic: the weights once a step, and each request's keys and values
      so far; a layer with a window reads no more than its window.

    single: each request goes through both phases by itself. offline: all prompts are read in one pass, and each step
    serves all unfinished requests, so that there are as many steps as the longest output needs. Where their keys and
    values don't fit beside the weights in memory_bytes (None: they fit), there are as many more steps as it takes to
    read all that is to be read, a memory full at a time: the ideal of waves without a gap.

    So that it stays a lower bound, whatever could be avoided is left out: attention's own arithmetic, activations,
    embeddings and norms, writing keys and values, padding, launching kernels, tokenisation, everything on the host; the
    output layer's products count at the linear layers' rate. Nothing stays in the device's caches between two steps,
    which holds for weights much larger than these. Each token takes a step: speculative decoding, and caching of common
    prefixes, could do better. The phases don't overlap: an engine that hides the traffic of decoding behind the
    arithmetic of other requests' prompts could do better by the smaller of the two at most.
    Products in 8 bits run at the rate for 8 bits; on listed hardware without one, at that of the dtype. Where a rate
    wasn't measured, arithmetic is left out.
    """
    requests = lengths if all(item.output_tokens > 0 for item in lengths) else _generating(lengths)
    linear, output, attention = model.linear_parameters, model.output_parameters, model.attention
    if linear is None or output is None or attention is None or not requests:
        return None
    weights = (linear * precision.weight_bits + output * precision.output_bits) / BITS_PER_BYTE
    groups: Iterable[Sequence[RequestLength]] = (
        ([request] for request in requests) if scenario == "single" else [requests]
    )
    total = _Phase(0.0, 0.0, 0.0)
    sums = {"prefill": 0.0, "decode": 0.0}
    decided: dict[Limit, float] = {"weights": 0.0, "kv_cache": 0.0, "arithmetic": 0.0}
    flops_per_s = _flops_per_s(rates, precision)
    for group in groups:
        for name, work in (
            ("prefill", _prefill(group, linear, output, weights)),
            ("decode", _decode(group, linear + output, weights, attention, precision.kv_bits, memory_bytes)),
        ):
            phase = work.seconds(rates.bandwidth_bytes_per_s, flops_per_s)
            total = total.plus(phase)
            sums[name] += phase.bound_s
            for limit, seconds in phase.decided.items():
                decided[limit] += seconds
    return Roofline(
        rates=rates,
        bound_s=sums["prefill"] + sums["decode"],
        prefill_s=sums["prefill"],
        decode_s=sums["decode"],
        weights_s=total.weights_s,
        kv_cache_s=total.kv_cache_s,
        arithmetic_s=total.arithmetic_s if flops_per_s is not None else None,
        step_weights_s=weights / rates.bandwidth_bytes_per_s,
        bound_by=max(decided, key=lambda limit: decided[limit]),
    )


def for_documents(
    job: Job,
    documents: Samples,
    rates: Rates | None,
    memory_bytes: int | None,
    generate_s: float | None,
) -> Roofline | None:
    """The bound for what a job generated, with its fraction of generate_s.

    rates, memory_bytes: of one device; of several the bound takes as many times each, as if what they tell each other
    took no time. None without rates, without a model of a known shape, or where a completed document's
    tokens weren't counted.
    """
    counted = UNKNOWN not in documents.prompt_tokens and UNKNOWN not in documents.output_tokens
    if rates is None or job.model is None or job.precision is None or not counted:
        return None
    lengths = RequestLengths(documents.prompt_tokens, documents.output_tokens)
    several, all_memory = _together(rates, job.gpus), memory_bytes and memory_bytes * max(1, job.gpus)
    found = bound(lengths, job.model, job.precision, several, job.scenario, all_memory)
    if found is None or not generate_s:
        return found
    return dataclasses.replace(found, fraction=found.bound_s / generate_s)


def _together(rates: Rates, devices: int) -> Rates:
    if devices < 2:
        return rates
    flops, flops8 = rates.flops_per_s, rates.flops8_per_s
    return dataclasses.replace(
        rates,
        bandwidth_bytes_per_s=rates.bandwidth_bytes_per_s * devices,
        flops_per_s=flops and flops * devices,
        flops8_per_s=flops8 and flops8 * devices,
    )


@dataclass(frozen=True)
class _Phase:
    """Seconds that each part of a phase's work takes by itself."""

    weights_s: float
    kv_cache_s: float
    arithmetic_s: float

    @property
    def bound_s(self) -> float:
        return max(self.weights_s + self.kv_cache_s, self.arithmetic_s)

    @property
    def decided(self) -> dict[Limit, float]:
        """The seconds of what decides the bound."""
        if self.arithmetic_s > self.weights_s + self.kv_cache_s:
            return {"arithmetic": self.arithmetic_s}
        return {"weights": self.weights_s, "kv_cache": self.kv_cache_s}

    def plus(self, other: "_Phase") -> "_Phase":
        return _Phase(
            self.weights_s + other.weights_s,
            self.kv_cache_s + other.kv_cache_s,
            self.arithmetic_s + other.arithmetic_s,
        )


@dataclass(frozen=True)
class _Work:
    """What a phase has to read, in bytes, and to compute, in operations."""

    weights_bytes: float
    kv_cache_bytes: float
    operations: float

    def seconds(self, bandwidth_bytes_per_s: float, flops_per_s: float | None) -> _Phase:
        arithmetic_s = self.operations / flops_per_s if flops_per_s is not None else 0.0
        return _Phase(
            self.weights_bytes / bandwidth_bytes_per_s, self.kv_cache_bytes / bandwidth_bytes_per_s, arithmetic_s
        )


def _flops_per_s(rates: Rates, precision: Precision) -> float | None:
    if precision.arithmetic_bits == 8 and (rates.flops8_per_s is not None or rates.kind == "measured"):
        return rates.flops8_per_s
    return rates.flops_per_s


def _prefill(requests: Sequence[RequestLength], linear: int, output: int, weights: float) -> _Work:
    tokens = sum(request.prompt_tokens for request in requests)
    return _Work(weights, 0.0, FLOPS_PER_PARAMETER * (tokens * linear + len(requests) * output))


def _decode(
    requests: Sequence[RequestLength],
    parameters: int,
    weights: float,
    attention: Attention,
    kv_bits: float,
    memory_bytes: int | None,
) -> _Work:
    read = math.fsum(_kv_cache_read(request, attention, kv_bits) for request in requests)
    steps = float(max(request.output_tokens for request in requests) - 1)
    if memory_bytes is not None and read:
        # what did run had room for its longest request, whatever the sizes say
        largest = max(_tokens_kept(request) for request in requests)
        room = max(memory_bytes - weights, kv_cache_bytes(attention, largest, kv_bits))
        steps = max(steps, read / room)
    tokens = sum(request.output_tokens - 1 for request in requests)
    return _Work(steps * weights, read, FLOPS_PER_PARAMETER * tokens * parameters)


def _tokens_kept(request: RequestLength) -> int:
    return request.prompt_tokens + request.output_tokens - 1


def _kv_cache_read(request: RequestLength, attention: Attention, kv_bits: float) -> float:
    """Bytes of one request's keys and values over all its decode steps, each of which reads those before it."""
    steps, prompt = request.output_tokens - 1, request.prompt_tokens
    whole = _sum_of_steps(prompt, steps)
    growing = min(steps, max(0, attention.window - prompt))  # steps in which a window isn't full yet
    windowed = _sum_of_steps(prompt, growing) + (steps - growing) * attention.window
    full_layers = attention.layers - attention.windowed_layers
    values = 2 * attention.kv_heads * attention.head_dim * (full_layers * whole + attention.windowed_layers * windowed)
    return values * kv_bits / BITS_PER_BYTE


def _sum_of_steps(start: int, steps: int) -> int:
    """start + (start + 1) + …, so many terms."""
    return steps * start + steps * (steps - 1) // 2
