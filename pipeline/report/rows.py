"""A row's figures from the launches of one experiment, before it is held against any other."""

from collections.abc import Callable, Sequence
from typing import Literal

from pipeline.analysis.metrics import mean_of_known
from pipeline.comparison.cost import cost_per_1000, energy_per_document
from pipeline.comparison.estimates import Estimate
from pipeline.comparison.explanation import bounded_by
from pipeline.comparison.statistics import mean_score, speed
from pipeline.measures import Metrics, Quality, Timing
from pipeline.report.model import Launch, MemorySplit, Row, Standing, TimeSplit
from pipeline.report.stored import StoredJob
from pipeline.results import Result

NOTHING = Quality(None, None, None, None, None, empty_outputs=0)


def make_row(name: str, launches: Sequence[StoredJob], price_per_hour: float | None) -> Row:
    """The row called `name`. launches: in order; figures that are no mean over them are the first's that came through.

    The row is ok where any launch is; what it knows only against others (standing, gate, ratio) is left open.
    """
    done = [job for job in launches if job.result.status == "ok"]
    shown = (done or launches)[0]
    first = shown.result
    job, settings = first.job, first.settings
    metrics, quality = first.metrics or Metrics(docs=0), first.quality or NOTHING
    rate = speed([job.docs_per_s for job in done if job.docs_per_s is not None])
    return Row(
        experiment=name,
        optimization=job.optimization,
        gpu=job.gpu,
        standing=_standing(first),
        below_because=None,
        status=first.status,
        failure=first.failure,
        launches=tuple(map(_launch, launches)),
        docs_completed=first.metrics.docs if first.metrics else None,
        docs_asked=job.workload.docs,
        docs_per_s=rate,
        speed_ratio=None,
        speed_detectable=None,
        shared_docs=None,
        scores=_scores(shown),
        differences={},
        gate=None,
        output_words_mean=quality.output_words_mean,
        prompt_tokens_mean=metrics.prompt_tokens_mean,
        output_tokens_mean=metrics.output_tokens_mean,
        output_tokens_per_s=_mean(done, lambda one: one.metrics.output_tokens_per_s if one.metrics else None),
        empty_outputs=quality.empty_outputs if first.quality else None,
        hit_limit=quality.hit_limit,
        copied_outputs=quality.copied_outputs,
        coverage_mean=quality.coverage_mean,
        density_mean=quality.density_mean,
        repetition_mean=quality.repetition_mean,
        latency_s=metrics.latency_s,
        ttft_s=metrics.ttft_s,
        tpot_s=metrics.tpot_s,
        time=_time(done),
        memory=_memory(done),
        energy_per_doc_j=_mean(done, _energy_per_document),
        cost_per_1000=cost_per_1000(_price_of_all(price_per_hour, first), rate.value if rate else None),
        roofline=first.roofline or first.roofline_measured,
        roofline_measured=first.roofline_measured,
        explanation=None,
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        batch_size=_batch_size(first),
        weights_kind=first.weights.kind if first.weights else None,
        prompt_ids_sha256=first.prompt_ids_sha256,
        bounded_by=bounded_by(first),
        shards=job.shards,
    )


def _price_of_all(price_per_hour: float | None, result: Result) -> float | None:
    """Of all GPUs that a job, or its shards, ran on; None where their number isn't known."""
    devices = result.devices if result.job.shards > 1 else max(1, result.job.gpus)
    return None if price_per_hour is None or devices is None else price_per_hour * devices


def _standing(result: Result) -> Standing:
    if result.status != "ok":
        return "skipped" if result.status == "skipped" else "failed"
    if result.job.model is None:
        return "reference"
    return "ranked" if result.job.ranked and result.job.preset is None else "unranked"


def _launch(job: StoredJob) -> Launch:
    one = job.result.job
    return Launch(
        key=one.key,
        launch=one.launch,
        run=one.run,
        folder=job.folder,
        status=job.result.status,
        docs_per_s=job.docs_per_s,
        repeats=job.result.timing.repeats,
        has_log=job.has_log,
    )


def _mean(jobs: Sequence[StoredJob], figure: Callable[[Result], float | None]) -> float | None:
    """Over the launches that know it."""
    return mean_of_known(figure(job.result) for job in jobs)


def _energy_per_document(result: Result) -> float | None:
    return energy_per_document(result.metrics.energy_j, result.metrics.docs) if result.metrics else None


def _scores(job: StoredJob) -> dict[str, Estimate]:
    """Over the documents that were scored; the job's own means, without an interval, where those can't be read."""
    docs = job.result.metrics.docs if job.result.metrics else 0
    found = job.generated.scores if job.generated else {}
    return {
        name: (mean_score(found[name]) if name in found else None)
        or Estimate(mean_of_all, docs, why="the documents' own scores are not at hand")
        for name, mean_of_all in job.scores.items()
    }


def _time(jobs: Sequence[StoredJob]) -> TimeSplit:
    def over(field: Callable[[Timing], float | None]) -> float | None:
        return _mean(jobs, lambda result: field(result.timing))

    return TimeSplit(
        load=over(lambda timing: timing.load_s),
        compile=over(lambda timing: timing.compile_s),
        warmup=over(lambda timing: timing.warmup_s),
        generate=over(lambda timing: timing.generate_s),
        prefill=over(lambda timing: timing.prefill_s),
        decode=over(lambda timing: timing.decode_s),
    )


def _memory(jobs: Sequence[StoredJob]) -> MemorySplit:
    """Of the launch with the largest peak, so that the parts are those of one peak."""
    known = [job.result.metrics for job in jobs if job.result.metrics]
    largest = max(known, key=lambda metrics: metrics.peak_memory_bytes or 0, default=Metrics(docs=0))
    return MemorySplit(
        peak=largest.peak_memory_bytes,
        weights=largest.weights_bytes,
        kv_cache=largest.kv_cache_bytes,
        activations=largest.activations_bytes,
        overhead=largest.overhead_bytes,
    )


def _batch_size(result: Result) -> int | Literal["auto"] | None:
    settings = result.settings
    size = settings.batch_size_used if settings.batch_size_used is not None else settings.batch_size_asked
    return "auto" if size is None and result.status == "ok" and result.job.model is not None else size
