"""What a row ran with, thing by thing, so that two rows can be told to differ in exactly one of them.

Read from what an engine reported of itself and from its experiment's options, by their keys: no names of experiments
or engines are known here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.entries import Experiment
from pipeline.results import Result

Thing = Literal[
    "batching",
    "compilation",
    "attention kernel",
    "scheduling",
    "weight precision",
    "cache precision",
    "engine",
    "other options",
]

FIELDS: Mapping[Thing, str] = {
    "batching": "batch",
    "compilation": "compiled",
    "attention kernel": "attention",
    "scheduling": "scheduling",
    "weight precision": "weights",
    "cache precision": "cache",
    "engine": "engine",
    "other options": "options",
}
"""The field of a Configuration that each thing is, in the order in which they are told."""

_OF_AN_ENGINE: frozenset[Thing] = frozenset({"attention kernel", "scheduling"})
"""What comes with an engine: between two of them it is a part of the difference."""

_CACHE_TYPES = ("kv_cache_dtype", "cache_type_k", "cache_type_v")
_TOLD_BY_SETTINGS = frozenset(
    ("attention", "quantization", "compile", "paged", "enforce_eager", "dtype", "max_num_seqs", *_CACHE_TYPES)
)
"""Options that the other fields of a Configuration stand for."""

OWN_SCHEDULING = "the engine's own"
CONTINUOUS = "continuous, paged cache"
WITH_GRAPHS = "continuous, paged cache, CUDA graphs"


@dataclass(frozen=True)
class Configuration:
    """A row as a vector.

    weights, cache: of the linear layers' weights and of cached keys and values, as the engine calls what it made of
    them, else the dtype. batch: documents a step. compiled: torch.compile with CUDA graphs, where the engine says so.
    options: the experiment's other options, as JSON; empty without any.
    """

    engine: str
    compiled: bool
    attention: str | None
    scheduling: str
    weights: str
    cache: str
    batch: int
    options: str = ""


def configuration(result: Result, experiment: Experiment) -> Configuration | None:
    """The vector of a result that is ok; None where its engine told neither its dtype nor its arguments."""
    settings = result.settings
    if settings.dtype is None or not settings.engine_args:
        return None
    paged = settings.engine_args.get("paged")
    return Configuration(
        engine=result.job.backend,
        compiled=_compiled(settings.engine_args),
        # transformers names an attention after the cache that it reads: the kernel is what stands behind the bar
        attention=settings.attention.removeprefix("paged|") if settings.attention else None,
        scheduling=OWN_SCHEDULING if paged is None else _continuous(paged),
        weights=settings.quantization or settings.dtype,
        cache=_cache(settings.engine_args) or settings.dtype,
        batch=batch(result),
        options=other_options(options_on(experiment, result.job.gpu == "cpu")),
    )


def batch(result: Result) -> int:
    """Documents a step: one in `single`, else as many as the job ended at; of an engine that batches by itself and
    didn't tell, those that were handed over, up to the limit that it reports."""
    if result.job.scenario == "single":
        return 1
    used = result.settings.batch_size_used
    if used is not None:
        return used
    docs = result.metrics.docs if result.metrics else result.job.workload.docs
    most = result.settings.engine_args.get("max_num_seqs")
    return min(most, docs) if isinstance(most, int) else docs


def options_on(experiment: Experiment, cpu: bool) -> Mapping[str, Any]:
    """The experiment's options on that device."""
    return {**experiment.options, **experiment.cpu_options} if cpu else experiment.options


def other_options(options: Mapping[str, Any]) -> str:
    """What of the options no other field of a Configuration stands for, as JSON."""
    rest = {name: value for name, value in options.items() if name not in _TOLD_BY_SETTINGS}
    return json.dumps(rest, sort_keys=True) if rest else ""


def difference(one: Configuration, other: Configuration) -> Thing | None:
    """The one thing that two rows differ in; None where it is none or more than one.

    Attention and scheduling belong to the engine, and are compared within one alone; all else has to be equal between
    two engines, compilation too.
    """
    found = differences(one, other)
    return found[0] if len(found) == 1 else None


def differences(one: Configuration, other: Configuration) -> tuple[Thing, ...]:
    """All things that two rows differ in; see difference."""
    found = [thing for thing, name in FIELDS.items() if getattr(one, name) != getattr(other, name)]
    if one.engine != other.engine:
        found = [thing for thing in found if thing not in _OF_AN_ENGINE]
    return tuple(found)


def _compiled(engine_args: Mapping[str, Any]) -> bool:
    """An engine that compiles unless told not to reports enforce_eager, one that does so on demand reports compile."""
    eager = engine_args.get("enforce_eager")
    return engine_args.get("compile") is not None if eager is None else not eager


def _continuous(paged: Mapping[str, Any]) -> str:
    """With or without CUDA graphs, of which the engine has one kind or several."""
    graphs = paged.get("use_cuda_graph")
    return WITH_GRAPHS if (any(graphs) if isinstance(graphs, (list, tuple)) else graphs) else CONTINUOUS


def _cache(engine_args: Mapping[str, Any]) -> str:
    """The cache's type, of keys and values where they differ; empty where it is left to the dtype."""
    told = [engine_args.get(name) for name in _CACHE_TYPES]
    return "/".join(dict.fromkeys(str(kind) for kind in told if kind not in (None, "auto")))
