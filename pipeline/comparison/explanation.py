"""What bounds a row, and why one with smaller weights is no faster than its baseline: in words, from their own figures.

A step is what an engine does to give each document of its batch one more token.
"""

import math
from dataclasses import dataclass

from pipeline.measures import Roofline
from pipeline.results import Result

LIMITS = {"weights": "memory: weights", "kv_cache": "memory: KV cache", "arithmetic": "arithmetic"}
OVERHEAD = "overhead"
MUCH_LONGER = 2.0
"""Above that many times what memory traffic and arithmetic need, a step is bound by neither."""
NO_FASTER = 1.1
"""Less than that many times its baseline's speed is worth an explanation."""
SMALLER = 0.9
LARGER_PREFILL = 0.05
"""Of the baseline's whole time: what reading the prompts must take longer to be an explanation."""


def bounded_by(result: Result) -> str | None:
    """What bounds a row as it ran, with its own batch: "memory: weights", "memory: KV cache", "arithmetic", or
    "overhead" where it takes more than twice what memory traffic and arithmetic need at the least. The phase that took
    longer tells, where both are known.

    Where its steps weren't seen, what decides the bound. None without a roofline, and where more than its memory
    traffic takes the time, but the rate of its arithmetic isn't known.
    """
    roofline = _roofline(result)
    if roofline is None:
        return None
    prefill_s, decode_s = result.timing.prefill_s, result.timing.decode_s
    if prefill_s is not None and decode_s is not None and prefill_s > decode_s:
        if prefill_s > MUCH_LONGER * max(roofline.prefill_s, _prompts_weights_s(roofline, result)):
            return OVERHEAD if roofline.arithmetic_s is not None else None
        return LIMITS["arithmetic" if _prefill_is_arithmetic(roofline, result) else "weights"]
    step = _step(result)
    if step is None:
        return LIMITS[roofline.bound_by]
    if step.seconds > MUCH_LONGER * step.least_s:
        return OVERHEAD if step.arithmetic_s is not None else None
    return LIMITS[step.limit]


def explain(result: Result, baseline: Result) -> str | None:
    """Why a row with smaller weights is not faster than its baseline, with the figures that show it.

    None where it is (by a tenth or more), where its weights aren't smaller, where the two can't be compared (scenario,
    model, workload, GPU), or where the figures don't tell.
    """
    mine, its = _roofline(result), _roofline(baseline)
    if mine is None or its is None or mine.rates.kind != its.rates.kind or not _comparable(result, baseline):
        return None
    if mine.step_weights_s > SMALLER * its.step_weights_s or not _no_faster(result, baseline):
        return None
    batch, its_batch = result.settings.batch_size_used, baseline.settings.batch_size_used
    if batch is not None and its_batch is not None and batch != its_batch:
        return _batches(batch, its_batch) if batch < its_batch else None
    step, its_step = _step(result), _step(baseline)
    return _prompts(result, baseline, its) or (_steps(step, its_step, result) if step and its_step else None)


@dataclass(frozen=True)
class _Step:
    """A mean decode step of a row: how long it took, and what its parts take at least, all in seconds.

    weights_s, kv_cache_s: memory traffic. arithmetic_s: None where its rate isn't known.
    """

    batch: int
    seconds: float
    weights_s: float
    kv_cache_s: float
    arithmetic_s: float | None

    @property
    def memory_s(self) -> float:
        return self.weights_s + self.kv_cache_s

    @property
    def least_s(self) -> float:
        return max(self.memory_s, self.arithmetic_s or 0.0)

    @property
    def limit(self) -> str:
        if self.least_s > self.memory_s:
            return "arithmetic"
        return "weights" if self.weights_s >= self.kv_cache_s else "kv_cache"


def _step(result: Result) -> _Step | None:
    """None where tokens weren't seen or nothing is known of the batch."""
    roofline, metrics = _roofline(result), result.metrics
    batch = 1 if result.job.scenario == "single" else result.settings.batch_size_used
    if roofline is None or metrics is None or metrics.tpot_s is None or batch is None:
        return None
    tokens = metrics.docs * ((metrics.output_tokens_mean or 0.0) - 1)
    if tokens <= 0:
        return None
    rows = min(batch, metrics.docs)
    # what the prompts' arithmetic takes is the bound of their phase, unless they are too short for it to matter
    decode_s = None if roofline.arithmetic_s is None else max(0.0, roofline.arithmetic_s - roofline.prefill_s)
    return _Step(
        batch=rows,
        seconds=metrics.tpot_s.p50,
        weights_s=roofline.step_weights_s,
        kv_cache_s=rows * roofline.kv_cache_s / tokens,
        arithmetic_s=None if decode_s is None else rows * decode_s / tokens,
    )


def _roofline(result: Result) -> Roofline | None:
    return result.roofline or result.roofline_measured


def _comparable(result: Result, baseline: Result) -> bool:
    mine, its = result.job, baseline.job
    return (mine.scenario, mine.model, mine.workload, mine.gpu) == (its.scenario, its.model, its.workload, its.gpu)


def _no_faster(result: Result, baseline: Result) -> bool:
    mine = result.metrics.docs_per_s if result.metrics else None
    its = baseline.metrics.docs_per_s if baseline.metrics else None
    return mine is not None and its is not None and mine < NO_FASTER * its


def _prefill_is_arithmetic(roofline: Roofline, result: Result) -> bool:
    # a sum of what is bound by the weights, document by document, may come out a little above their product
    return roofline.prefill_s > (1 + 1e-9) * _prompts_weights_s(roofline, result)


def _prompts_weights_s(roofline: Roofline, result: Result) -> float:
    """What the weights' traffic takes while prompts are read, once a batch; once for all where that isn't known."""
    docs = result.metrics.docs if result.metrics else 1
    batch = 1 if result.job.scenario == "single" else result.settings.batch_size_used or docs
    return math.ceil(docs / batch) * roofline.step_weights_s


def _batches(batch: int, its_batch: int) -> str:
    return f"It ran with a batch of {batch}, the baseline with {its_batch}: each step served fewer documents."


def _prompts(result: Result, baseline: Result, roofline: Roofline) -> str | None:
    """Where more is lost in reading the prompts than in the steps after, and arithmetic is what that needs."""
    mine, its = result.timing, baseline.timing
    if mine.prefill_s is None or its.prefill_s is None or mine.decode_s is None or its.decode_s is None:
        return None
    lost_s = mine.prefill_s - its.prefill_s
    enough = LARGER_PREFILL * (its.prefill_s + its.decode_s)
    if lost_s < max(enough, mine.decode_s - its.decode_s) or not _prefill_is_arithmetic(roofline, baseline):
        return None
    return (
        f"Reading the prompts took {_seconds(mine.prefill_s)}, the baseline {_seconds(its.prefill_s)}. Arithmetic "
        f"bounds that ({_seconds(roofline.prefill_s)} at least for the baseline), which smaller weights don't lessen, "
        "and their format costs work of its own."
    )


def _steps(step: _Step, its: _Step, result: Result) -> str | None:
    saved_s = its.weights_s - step.weights_s
    if its.arithmetic_s is not None and its.seconds > MUCH_LONGER * its.least_s:
        rest = "launching kernels and the host's work" if result.environment.gpu_name else "the kernels themselves"
        text = (
            f"At a batch of {its.batch} a step of the baseline takes {_seconds(its.seconds)}, where memory traffic and "
            f"arithmetic need {_seconds(its.least_s)}. The rest is {rest}: smaller weights save at most "
            f"{_seconds(saved_s)} of a step"
        )
        longer_s = step.seconds - its.seconds
        return f"{text}, and their format makes it {_seconds(longer_s)} longer." if longer_s > saved_s else f"{text}."
    if its.limit == "arithmetic":
        return (
            f"At a batch of {its.batch} the products of a step need {_seconds(its.least_s)}, its memory traffic "
            f"{_seconds(its.memory_s)}: smaller weights lessen only the latter."
        )
    if its.limit == "kv_cache":
        return (
            f"At a batch of {its.batch} a step reads KV cache for {_seconds(its.kv_cache_s)} and weights for "
            f"{_seconds(its.weights_s)}: smaller weights save at most {_seconds(saved_s)} of its "
            f"{_seconds(its.seconds)}."
        )
    if step.seconds > MUCH_LONGER * step.least_s:
        return (
            f"At a batch of {step.batch} reading its weights and the KV cache needs {_seconds(step.memory_s)} a step, "
            f"yet a step takes {_seconds(step.seconds)}, the baseline's {_seconds(its.seconds)}: the time goes into "
            "its kernels for this format, and not into memory traffic."
        )
    return None


def _seconds(value: float) -> str:
    """Two digits, in a unit that suits them: "62 ms", "3.9 ms", "5.2 s"."""
    scaled, unit = (value, "s") if value >= 1 else (value * 1e3, "ms") if value >= 1e-3 else (value * 1e6, "µs")
    return f"{scaled:,.0f} {unit}" if scaled >= 10 else f"{scaled:.1f} {unit}"
