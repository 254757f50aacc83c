"""Where a run's speed comes from, as values: what --explain-speed shows, worked out once, with nothing laid out."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.catalog import Catalog
from pipeline.comparison.speed_candidates import Surroundings, candidates, expected
from pipeline.comparison.speed_configuration import batch
from pipeline.comparison.speed_factors import Factor, Measured, Row, Unmeasured, Way, find_way, other_factors
from pipeline.current import env_of
from pipeline.datasets import load_datasets
from pipeline.errors import UsageError
from pipeline.hardware import CPU
from pipeline.report.model import Note
from pipeline.report.notes import notes_on
from pipeline.report.speed_answer import answer_of
from pipeline.report.speed_rows import Ground, LeftOut, Pair, called_by_its_batch, on_ground, one_of_each, ranked_rows
from pipeline.report.stored import StoredRun
from pipeline.results import Result

A_FILE = "FILE"
"""Stands for a user's file of documents, of which results don't tell where it lies."""


@dataclass(frozen=True)
class Missing:
    """A row that would close a gap of the way, and the command that measures it."""

    row: Unmeasured
    command: str


@dataclass(frozen=True)
class SpeedReport:
    """Everything that --explain-speed says.

    command: that this was made by. ground: what all rows have in common. rows: those that factors are of, fastest
    first. others: pairs that differ in one thing and are no step of the way.
    """

    run: str
    answer: str
    command: str
    ground: Ground
    way: Way
    others: tuple[Factor, ...]
    missing: tuple[Missing, ...]
    rows: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[Note, ...]


def explain_speed(run: StoredRun, catalog: Catalog, baseline: str, command: str) -> SpeedReport:
    """The way from the baseline, an experiment, at one document a time to the fastest row.

    A UsageError where there is no row to explain, or nothing can be told of the baseline.
    """
    pairs, unfit = ranked_rows(run.jobs, baseline, catalog)
    if not pairs:
        reasons = "; ".join(f"{item.row}: {item.why}" for item in unfit)
        raise UsageError(f"{run.name}: there is no ranked row to explain the speed of ({reasons or 'no results'})")
    ground = _common_ground(pairs, baseline)
    comparable, strange = on_ground(pairs, ground)
    kept, doubles = one_of_each(comparable)
    rows = [pair.measured for pair in kept]
    known = _surroundings(kept, [job.result for job in run.jobs], catalog)
    start = _start(baseline, known, catalog)
    way = find_way(start, rows, candidates(known))
    return SpeedReport(
        run=run.name,
        answer=answer_of(way),
        command=command,
        ground=ground,
        way=way,
        others=other_factors(start.configuration, rows, way.steps),
        missing=tuple(Missing(row, _command(row, kept[0].result, catalog)) for row in way.missing),
        rows=tuple(sorted(rows, key=lambda row: -row.docs_per_s.value)),
        left_out=tuple(dict.fromkeys([*unfit, *strange, *doubles])),
        notes=notes_on([called_by_its_batch(pair) for pair in kept]),
    )


def _common_ground(pairs: Sequence[Pair], baseline: str) -> Ground:
    """The baseline's at one document a time where it was measured, of several that of the most rows."""
    counts = Counter(pair.ground for pair in pairs)
    based = {pair.ground for pair in pairs if _is_baseline(pair.measured, baseline)}
    return max(counts, key=lambda ground: (ground in based, counts[ground]))


def _is_baseline(row: Measured, baseline: str) -> bool:
    return row.experiment == baseline and row.configuration.batch == 1


def _start(baseline: str, known: Surroundings, catalog: Catalog) -> Row:
    """The baseline's row at one document a time, measured or not."""
    measured = next((row for row in known.measured if _is_baseline(row, baseline)), None)
    if measured is not None:
        return measured
    experiment = catalog.experiments.get(baseline)
    usual = expected(experiment, known) if experiment else None
    if usual is None:
        raise UsageError(
            f"no row is of {baseline} at one document a time, and what it would run with can't be told; measure it "
            f"with --experiment {baseline} --scenario single, or name another with --baseline"
        )
    return next(
        (row for row in candidates(known) if row.experiment == baseline and row.configuration == usual),
        Unmeasured(baseline, usual, max(row.documents for row in known.measured)),
    )


def _surroundings(pairs: Sequence[Pair], results: Sequence[Result], catalog: Catalog) -> Surroundings:
    result = pairs[0].result
    lost = [one for one in results if one.status != "ok"]
    return Surroundings(
        model=catalog.models.get(result.job.model or ""),
        synthetic=result.job.synthetic,
        dtype=str(result.settings.dtype),
        cpu=result.job.gpu == CPU,
        compute_capability=result.environment.compute_capability,
        experiments=tuple(catalog.experiments.values()),
        measured=[pair.measured for pair in pairs],
        tried={(one.job.experiment, None if one.status == "skipped" else batch(one)) for one in lost},
    )


def _command(row: Unmeasured, like: Result, catalog: Catalog) -> str:
    """What measures the row beside the others, in the run that they are of."""
    job, work, size = like.job, like.job.workload, row.configuration.batch
    model = catalog.models.get(job.model or "")
    parts = ["python", "orchestrator.py", "--gpu", job.gpu, "--launcher", job.launcher]
    parts += ["--env", "current"] if env_of(job.variant) == "current" else []
    parts += ["--weights", "synthetic"] if job.synthetic else []
    parts += ["--model", str(job.model), "--dataset", work.dataset if work.dataset in load_datasets() else A_FILE]
    parts += ["--docs", str(row.documents), "--seed", str(work.seed), "--max-new-tokens", str(work.max_new_tokens)]
    parts += ["--prompt", work.prompt.name] if model is None or model.prompt != work.prompt.name else []
    parts += ["--run", job.run, "--experiment", row.experiment]
    return shlex.join(
        [*parts, *(["--scenario", "single"] if size == 1 else ["--scenario", "offline", "--batch-size", str(size)])]
    )
