"""Where a run's speed comes from, in a sentence or three."""

from pipeline.comparison.estimates import Estimate
from pipeline.comparison.speed_configuration import differences
from pipeline.comparison.speed_factors import Measured, Row, Step, Way
from pipeline.report import figures


def answer_of(way: Way) -> str:
    """How many times as fast the fastest row is as the baseline, and by what; what isn't known is said."""
    if way.fastest is way.baseline:
        return f"Nothing is faster than {_at(way.baseline)}: there is nothing to explain."
    parts = [_whole(way)]
    if way.steps:
        parts[0] += f": {', '.join(map(_told, way.steps))}"
    return " ".join(f"{part}." for part in [*parts, *_gaps(way)])


def _whole(way: Way) -> str:
    fastest, baseline = _at(way.fastest), _at(way.baseline)
    if way.total is None:
        rate = figures.speed(way.fastest.docs_per_s.value)
        return f"{fastest} is the fastest row ({rate} documents a second), and {baseline} was not measured"
    return f"{fastest} is {figures.about(way.total.value)} times as fast as {baseline}{_interval(way.total)}"


def _interval(ratio: Estimate) -> str:
    if ratio.interval is None:
        return ""
    low, high = figures.about(ratio.interval.low), figures.about(ratio.interval.high)
    return f" ({ratio.interval.level:.0%} interval {low} to {high})"


def _told(step: Step) -> str:
    return f"{step.thing} {figures.times(step.factor.ratio) if step.factor else 'not measured'}"


def _gaps(way: Way) -> list[str]:
    """What is not known of the way."""
    gaps = []
    if way.missing:
        known = sum(step.factor is not None for step in way.steps)
        rows = figures.plural(len(way.missing), "row")
        gaps.append(f"{known} of {figures.plural(len(way.steps), 'factor')} known, {rows} to measure for the others")
    if way.reached is not way.fastest:
        apart = differences(way.reached.configuration, way.fastest.configuration)
        gaps.append(
            f"No row, measured or to be measured, leads on from {_at(way.reached)}, which differs from the fastest in "
            f"{' and '.join(apart)}"
        )
    return gaps


def _at(row: Row) -> str:
    """Such as "vllm at 100 documents a step" or "none one document at a time"."""
    size = row.configuration.batch
    how = "one document at a time" if size == 1 else f"at {figures.plural(size, 'document')} a step"
    return f"{figures.name(row.experiment)} {how}"


def product(way: Way) -> str:
    """What the factors that are known come to, beside the whole."""
    known = [step for step in way.steps if step.factor]
    if not known:
        return "No factor of the way is known."
    made = figures.times(Estimate(way.explained, len(known)))
    if way.total is None:
        return f"The factors that are known multiply to {made}; the whole is not known."
    if len(known) == len(way.steps) and isinstance(way.reached, Measured) and way.reached is way.fastest:
        return f"The factors multiply to {made}, which is the whole."
    return f"The factors that are known multiply to {made}, of {figures.times(way.total)} in all."
