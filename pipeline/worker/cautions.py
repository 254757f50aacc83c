"""What has to be known of a result that is ok: its warnings, in words."""

from collections import Counter
from collections.abc import Sequence

from pipeline.analysis.samples import Samples
from pipeline.measures import Roofline
from pipeline.spec import Job
from pipeline.worker.engine_run import EngineRun
from pipeline.worker.generation import Generated
from pipeline.worker.repeats import differing

SYNC_SHARE = 0.01


def cautions(
    job: Job,
    ran: EngineRun | None,
    samples: Samples,
    resumed: int,
    limit: Roofline | None = None,
) -> list[str]:
    """The warnings of a result that is ok. ran, samples, resumed: see outcome.make_result. limit: by measured rates."""
    warnings = list(job.remarks)
    if job.weights and job.weights.pickled:
        warnings.append("the weights were opened from pickles, which can run code (--allow-pickle)")
    if samples.too_long:
        exceed = "document exceeds" if samples.too_long == 1 else "documents exceed"
        were = "was" if samples.too_long == 1 else "were"
        named = f"{samples.first_too_long}{', …' if samples.too_long > 1 else ''}"
        warnings.append(f"{samples.too_long} {exceed} the model's context and {were} not generated: {named}")
    if ran and ran.found and not ran.found.complete:
        warnings.append(f"the search for the batch size ran out of time at {ran.found.size}; a larger one may fit")
    if ran and ran.retreats:
        warnings.append(_halved(ran))
    if resumed:
        warnings.append(_resumed(ran, resumed, len(samples) + samples.too_long))
    elif ran and (first := ran.repeats[0]).sync_s is not None and _worth_telling(job, first.sync_s, first.generate_s):
        warnings.append(
            f"--resume-documents: keeping each document safe on the disk took {first.sync_s:.3f} s "
            f"of generate_s, {first.generate_s:.3f} s"
        )
    if ran and job.sampling.strategy == "greedy" and (count := differing(ran.repeats)):
        warnings.append(
            f"the texts of {count} of {len(ran.repeats[0].samples)} documents differed between repeats of greedy "
            "decoding; quality and documents.jsonl are the first repeat's"
        )
    if ran and (held := _throttled(ran.repeats)):
        warnings.append(f"the driver held the GPU's clocks down in the timed section: {held}; speed is what that left")
    if limit and limit.fraction is not None and limit.fraction > 1:
        warnings.append(
            f"by the rates measured after it, the timed section could not have been so fast ({limit.bound_s:.1f} s at "
            "least): something else used the machine meanwhile, or the device changed its clocks"
        )
    return warnings


def _throttled(repeats: Sequence[Generated]) -> str:
    counts = sum((Counter(repeat.throttled) for repeat in repeats), Counter[str]())
    readings = sum(repeat.readings for repeat in repeats)
    return ", ".join(f"{reason} ({count} of {readings} readings)" for reason, count in counts.items())


def _halved(ran: EngineRun) -> str:
    retreats, repeats = ran.retreats, len(ran.repeats)
    lost_s = sum(retreat.lost_s for retreat in retreats)
    timed_s = sum(retreat.lost_s for retreat in retreats[len(retreats) - ran.timed_retreats :])
    times = "once" if len(retreats) == 1 else f"{len(retreats)} times"
    text = (
        f"out of memory at a batch of {retreats[0].size}: halved {times}, to {ran.settings.batch_size_used}; attempts "
        f"that failed took {lost_s:.1f} s, of which {timed_s / repeats:.1f} s count in generate_s"
    )
    return text if repeats == 1 else f"{text}, the mean of {repeats} repeats"


def _worth_telling(job: Job, sync_s: float, generate_s: float) -> bool:
    """A shard's documents are kept safe unasked, which is told where the time is a hundredth."""
    return job.shard is None or sync_s > SYNC_SHARE * generate_s


def _resumed(ran: EngineRun | None, resumed: int, docs: int) -> str:
    text = f"{resumed} of {docs} documents are an interrupted attempt's, so there is no speed"
    if ran is None:
        return f"{text}; no engine was started, so prompt ids and settings are not known"
    return text
