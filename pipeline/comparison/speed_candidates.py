"""Rows that could be measured beside those of a run, with what they would run with, as far as that can be told."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.catalog import SYNTHETIC
from pipeline.comparison.speed_configuration import OWN_SCHEDULING, Configuration, options_on, other_options
from pipeline.comparison.speed_factors import Measured, Unmeasured
from pipeline.entries import Experiment, Model


@dataclass(frozen=True)
class Surroundings:
    """What all rows of a run have in common, and what they were measured over.

    synthetic: the weights are random. compute_capability: of the GPU; None on a CPU and where it isn't known. tried:
    experiments and batch sizes that did not come through here, the latter None for whatever batch size.
    """

    model: Model | None
    synthetic: bool
    dtype: str
    cpu: bool
    compute_capability: float | None
    experiments: Sequence[Experiment]
    measured: Sequence[Measured]
    tried: Collection[tuple[str, int | None]] = ()


def candidates(known: Surroundings) -> list[Unmeasured]:
    """Each experiment that this model and machine can run, at each batch size of the run and at one document a step,
    where no row is of it and what it would run with can be told."""
    sizes = sorted({1, *(row.configuration.batch for row in known.measured)})
    there = {row.configuration for row in known.measured}
    found = []
    for experiment in known.experiments:
        usual = expected(experiment, known) if _can_run(experiment, known) else None
        for configuration in (replace(usual, batch=size) for size in sizes) if usual else ():
            size = configuration.batch
            if configuration not in there and (experiment.name, size) not in known.tried:
                found.append(Unmeasured(experiment.name, configuration, _documents(size, known)))
    return found


def expected(experiment: Experiment, known: Surroundings) -> Configuration | None:
    """What the experiment would run with, at one document a step; None where that can't be told.

    As a row of it did; else by its options, and what those leave to the engine as the engine's other rows have it. How
    an engine schedules on demand shows in a row alone.
    """
    own = next((row for row in known.measured if row.experiment == experiment.name), None)
    if own is not None:
        return replace(own.configuration, batch=1)
    options = options_on(experiment, known.cpu)
    weights = _weights(experiment, known)
    attention = options.get("attention") or next(_attentions_of_itself(experiment, known), None)
    if weights is None or attention is None or "paged" in options or options.get("dtype", known.dtype) != known.dtype:
        return None
    by_itself = any(row.configuration.compiled for row in _left_alone("compile", experiment, known))
    return Configuration(
        engine=experiment.backend,
        compiled=options.get("compile") is not None or (by_itself and not options.get("enforce_eager")),
        attention=attention,
        scheduling=OWN_SCHEDULING,
        weights=weights,
        cache=str(options.get("kv_cache_dtype", known.dtype)),
        batch=1,
        options=other_options(options),
    )


def _weights(experiment: Experiment, known: Surroundings) -> str | None:
    """As another experiment's row calls them that reads the same and quantises alike, else by the option itself."""
    asked = options_on(experiment, known.cpu).get("quantization")
    by_name = {item.name: item for item in known.experiments}
    for row in known.measured:
        other = by_name[row.experiment]
        if (other.weights, options_on(other, known.cpu).get("quantization")) == (experiment.weights, asked):
            return row.configuration.weights
    source = known.model.weights.get(experiment.weights) if known.model and experiment.weights else None
    if asked is None:
        return known.dtype if source is not None and source.bits is None else None
    return asked if isinstance(asked, str) else None


def _attentions_of_itself(experiment: Experiment, known: Surroundings) -> Iterator[str]:
    rows = _left_alone("attention", experiment, known)
    return (row.configuration.attention for row in rows if row.configuration.attention)


def _left_alone(option: str, experiment: Experiment, known: Surroundings) -> list[Measured]:
    """Rows of the same engine whose options leave that to it."""
    alike = [item for item in known.experiments if item.backend == experiment.backend]
    names = {item.name for item in alike if options_on(item, known.cpu).get(option) is None}
    return [row for row in known.measured if row.experiment in names]


def _can_run(experiment: Experiment, known: Surroundings) -> bool:
    """Whether it competes, there are weights of the model for it, and the hardware has what it needs."""
    needs, form = experiment.needs, experiment.weights
    if form is None or not experiment.ranked or (experiment.name, None) in known.tried:
        return False
    if needs.device not in (None, "cpu" if known.cpu else "cuda") or (needs.real_weights and known.synthetic):
        return False
    lacking = not known.cpu and (needs.compute_capability or 0) > (known.compute_capability or 0)
    formats = known.model.weights if known.model else {}
    return not lacking and (f"{SYNTHETIC}-{form}" if known.synthetic else form) in formats


def _documents(size: int, known: Surroundings) -> int:
    """As many as the rows at that batch size have, else as the run has at most."""
    alike = [row.documents for row in known.measured if row.configuration.batch == size]
    return max(alike or [row.documents for row in known.measured])
