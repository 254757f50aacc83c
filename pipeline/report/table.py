"""Results as ranked tables: what the terminal and the reports show, as values.

Two scenarios, models, workloads or launchers never share a table. Within one, docs/s alone decides the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.entries import Scenario
from pipeline.measures import Distribution, Metrics, Quality
from pipeline.report.notes import Note, notes_on
from pipeline.results import Failure, Result, Status
from pipeline.spec import Workload

BASELINE = "none"
"""The experiment that speed ratios are taken against."""


@dataclass(frozen=True)
class Row:
    """One job's figures; None is not known, never 0.

    gpu: as --gpu takes it. batch_size: as used, else as asked; auto where the engine batches by itself.
    weights_kind: None where no model ran. speed_ratio: docs/s over the baseline's, where both completed the same
    documents on the same hardware; ratio_docs: how many.
    """

    key: str
    experiment: str
    optimization: str
    gpu: str
    status: Status
    failure: Failure | None
    ranked: bool
    docs_completed: int | None
    docs_asked: int
    docs_per_s: float | None
    speed_ratio: float | None
    ratio_docs: int | None
    rouge1_f1: float | None
    rouge2_f1: float | None
    rougeL_f1: float | None
    rougeLsum_f1: float | None
    output_words_mean: float | None
    empty_outputs: int | None
    dtype: str | None
    quantization: str | None
    attention: str | None
    batch_size: int | Literal["auto"] | None
    weights_kind: str | None
    peak_memory_bytes: int | None
    weights_bytes: int | None
    kv_cache_bytes: int | None
    energy_j: float | None
    load_s: float | None
    compile_s: float | None
    warmup_s: float | None
    generate_s: float | None
    output_tokens_per_s: float | None
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None
    latency_s: Distribution | None
    ttft_s: Distribution | None
    tpot_s: Distribution | None


@dataclass(frozen=True)
class Table:
    """The jobs of one scenario, model, workload and launcher.

    rows: ranked ones by docs/s, fastest first; then reference lines; then what failed; then what was skipped.
    model: None where nothing but reference lines ran.
    """

    scenario: Scenario
    model: str | None
    workload: Workload
    launcher: str
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Group:
    scenario: Scenario
    model: str | None
    documents_sha256: str
    prompt: str
    max_new_tokens: int
    launcher: str

    @classmethod
    def of(cls, result: Result, model: str | None) -> "_Group":
        job = result.job
        work = job.workload
        return cls(job.scenario, model, work.documents_sha256, work.prompt.template, work.max_new_tokens, job.launcher)


def rank(results: Sequence[Result]) -> list[Table]:
    """One table per scenario, model, workload and launcher, in the order in which these first appear.

    A result without a model (a reference line) stands in every table of its scenario, workload and launcher.
    """
    groups: dict[_Group, list[Result]] = {}
    for result in results:
        if result.job.model is not None:
            groups.setdefault(_Group.of(result, result.job.model), []).append(result)
    models = list(groups)
    for result in results:
        if result.job.model is None:
            joined = [group for group in models if group == _Group.of(result, group.model)]
            for group in joined or [_Group.of(result, None)]:
                groups.setdefault(group, []).append(result)
    return [_table(group, members) for group, members in groups.items()]


def _table(group: _Group, results: Sequence[Result]) -> Table:
    ordered = sorted(results, key=_position)
    return Table(
        scenario=group.scenario,
        model=group.model,
        workload=ordered[0].job.workload,
        launcher=group.launcher,
        rows=tuple(_row(result, _baseline(result, ordered)) for result in ordered),
        notes=notes_on(ordered),
    )


def _position(result: Result) -> tuple[int, float]:
    """Sorts ranked results by speed, those of unknown speed after them, then the other kinds as they came."""
    if result.status == "skipped":
        return 3, 0.0
    if result.status != "ok":
        return 2, 0.0
    if not result.job.ranked:
        return 1, 0.0
    speed = result.metrics.docs_per_s if result.metrics else None
    return 0, -speed if speed is not None else float("inf")


def _baseline(result: Result, results: Sequence[Result]) -> Result | None:
    """The baseline's result of the same launch on the same hardware; None where there is not exactly one."""
    found = [
        other
        for other in results
        if other.job.experiment == BASELINE
        and other.job.launch == result.job.launch
        and (other.job.gpu, other.environment.gpu_name, other.environment.cpu)
        == (result.job.gpu, result.environment.gpu_name, result.environment.cpu)
    ]
    return found[0] if len(found) == 1 else None


def _shared_documents(result: Result, baseline: Result) -> int | None:
    """How many documents both completed, where these are known to be the same ones; else None.

    All of them on both sides; or as many on both sides of the same prompts, since what is left out (too long for the
    model) is decided by the prompts alone.
    """
    if result.metrics is None or baseline.metrics is None or result.metrics.docs != baseline.metrics.docs:
        return None
    same_prompts = result.prompt_ids_sha256 is not None and result.prompt_ids_sha256 == baseline.prompt_ids_sha256
    return result.metrics.docs if same_prompts or result.metrics.docs == result.job.workload.docs else None


def _row(result: Result, baseline: Result | None) -> Row:
    job, settings, timing = result.job, result.settings, result.timing
    metrics = result.metrics or Metrics(docs=0)
    quality = result.quality or Quality(None, None, None, None, None, empty_outputs=0)
    ratio, shared = _ratio(result, baseline)
    return Row(
        key=job.key,
        experiment=job.experiment,
        optimization=job.optimization,
        gpu=job.gpu,
        status=result.status,
        failure=result.failure,
        ranked=job.ranked,
        docs_completed=result.metrics.docs if result.metrics else None,
        docs_asked=job.workload.docs,
        docs_per_s=metrics.docs_per_s,
        speed_ratio=ratio,
        ratio_docs=shared,
        rouge1_f1=quality.rouge1_f1,
        rouge2_f1=quality.rouge2_f1,
        rougeL_f1=quality.rougeL_f1,
        rougeLsum_f1=quality.rougeLsum_f1,
        output_words_mean=quality.output_words_mean,
        empty_outputs=result.quality.empty_outputs if result.quality else None,
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        batch_size=_batch_size(result),
        weights_kind=result.weights.kind if result.weights else None,
        peak_memory_bytes=metrics.peak_memory_bytes,
        weights_bytes=metrics.weights_bytes,
        kv_cache_bytes=metrics.kv_cache_bytes,
        energy_j=metrics.energy_j,
        load_s=timing.load_s,
        compile_s=timing.compile_s,
        warmup_s=timing.warmup_s,
        generate_s=timing.generate_s,
        output_tokens_per_s=metrics.output_tokens_per_s,
        prompt_tokens_mean=metrics.prompt_tokens_mean,
        output_tokens_mean=metrics.output_tokens_mean,
        latency_s=metrics.latency_s,
        ttft_s=metrics.ttft_s,
        tpot_s=metrics.tpot_s,
    )


def _ratio(result: Result, baseline: Result | None) -> tuple[float | None, int | None]:
    """Speed over the baseline's, and over how many documents."""
    if baseline is None or not result.job.ranked or result.status != "ok" or baseline.status != "ok":
        return None, None
    shared = _shared_documents(result, baseline)
    speed = result.metrics.docs_per_s if result.metrics else None
    base = baseline.metrics.docs_per_s if baseline.metrics else None
    return (speed / base, shared) if shared and speed is not None and base else (None, None)


def _batch_size(result: Result) -> int | Literal["auto"] | None:
    settings = result.settings
    size = settings.batch_size_used if settings.batch_size_used is not None else settings.batch_size_asked
    return "auto" if size is None and result.status == "ok" and result.job.model is not None else size
