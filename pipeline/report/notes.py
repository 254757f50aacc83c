"""What a reader must know before comparing the rows of one table."""

from collections.abc import Callable, Hashable, Iterable, Sequence

from pipeline.comparison.stability import stability
from pipeline.current import env_of
from pipeline.report import figures
from pipeline.report.compare import Entry
from pipeline.report.model import Note
from pipeline.results import Result


def notes_on(entries: Sequence[Entry]) -> tuple[Note, ...]:
    """Notes on the rows of one table, warnings first."""
    done = [entry for entry in entries if entry.row.status == "ok"]
    notes = [
        *_random_weights(done),
        *_incomplete(done),
        *_lost_launches(done),
        *_own_warnings(entries),
        *_unsteady(done),
        *_mixed_software(done),
        *_at_hand(done),
        *_side_by_side(done),
        *_repeated(entries),
        *_different_dtypes(done),
        *_rounded_weights(done),
        *_below_reference(done),
    ]
    return tuple(sorted(dict.fromkeys(notes), key=lambda note: not note.warning))


def _lost_launches(entries: Sequence[Entry]) -> list[Note]:
    notes = []
    for entry in entries:
        lost = [launch for launch in entry.row.launches if launch.status != "ok"]
        classes = dict.fromkeys(job.result.failure.class_ for job in entry.launches if job.result.failure)
        if lost:
            text = f"{entry.row.experiment}: {len(lost)} of {len(entry.row.launches)} launches did not come through"
            notes.append(Note(f"{text} ({', '.join(classes)}); figures are over the others", warning=True))
    return notes


def _own_warnings(entries: Sequence[Entry]) -> list[Note]:
    """Those that the jobs gave."""
    return _warnings(
        (entry.row.experiment, warning)
        for entry in entries
        for job in entry.launches
        for warning in job.result.warnings
    )


def _unsteady(entries: Sequence[Entry]) -> list[Note]:
    """What speaks against trusting the speeds; of reference lines nobody compares it."""
    return _warnings(
        (entry.row.experiment, warning)
        for entry in entries
        if entry.row.standing != "reference"
        for warning in stability(*_samples(entry))
    )


def _samples(entry: Entry) -> tuple[dict[int, Sequence[float]], dict[int, float]]:
    """Seconds of each launch's repeats, and docs/s of each launch, by its place among all of the row."""
    repeats: dict[int, Sequence[float]] = {}
    rates: dict[int, float] = {}
    for place, launch in enumerate(entry.row.launches, start=1):
        if launch.docs_per_s is not None:
            repeats[place], rates[place] = launch.repeats, launch.docs_per_s
    return repeats, rates


def _warnings(told: Iterable[tuple[str, str]]) -> list[Note]:
    """A warning for each text, with all rows that it was told of."""
    rows: dict[str, dict[str, None]] = {}
    for name, text in told:
        rows.setdefault(text, {})[name] = None
    return [Note(f"{', '.join(names)}: {text}", warning=True) for text, names in rows.items()]


def _mixed_software(entries: Sequence[Entry]) -> list[Note]:
    """Rows whose launches did not all run the same code."""

    def code(result: Result) -> Hashable:
        env = result.environment
        return (tuple(sorted(env.packages.items())), env.image_digest, env.git_commit)

    mixed = [
        entry.row.experiment
        for entry in entries
        if len({code(job.result) for job in entry.launches if job.result.status == "ok"}) > 1
    ]
    text = "launches ran with different packages or another version of this benchmark"
    return [Note(f"{', '.join(mixed)}: {text}; --fresh runs all of them again", warning=True)] if mixed else []


def _at_hand(entries: Sequence[Entry]) -> list[Note]:
    names = [item.row.experiment for item in entries if env_of(item.first.result.job.variant) == "current"]
    text = "in the interpreter at hand (--env current), not from a lock; result.json has what was installed there"
    return [Note(f"{', '.join(names)}: {text}")] if names else []


def _side_by_side(entries: Sequence[Entry]) -> list[Note]:
    """Rows whose jobs had company: processor, memory and PCIe are the host's, whoever has which GPU."""
    beside: dict[str, dict[str, None]] = {}
    for entry in entries:
        others = dict.fromkeys(name for job in entry.launches for name in job.result.environment.side_by_side)
        if others:
            beside.setdefault(", ".join(others), {})[entry.row.experiment] = None
    return [
        Note(f"{', '.join(names)}: ran while {others} did, on other GPUs of the host; --exclusive runs one at a time")
        for others, names in beside.items()
    ]


def _repeated(entries: Sequence[Entry]) -> list[Note]:
    return [
        Note(f"{entry.row.experiment}: attempt {job.result.attempts}, after a failure that may pass; see log-1.txt")
        for entry in entries
        for job in entry.launches
        if job.result.attempts > 1
    ]


def _different_dtypes(entries: Sequence[Entry]) -> list[Note]:
    groups = _grouped(entries, lambda result: result.settings.dtype if result.job.model else None)
    if len(groups) < 2:
        return []
    return [Note("dtype differs: " + "; ".join(f"{', '.join(names)} in {dtype}" for dtype, names in groups))]


def _random_weights(entries: Sequence[Entry]) -> list[Note]:
    jobs = [entry.first.result.job for entry in entries if entry.first.result.job.synthetic]
    if not jobs:
        return []
    length = figures.plural(jobs[0].workload.max_new_tokens, "new token")
    text = f"the weights are random, so quality is unknown and every document got all of its {length}"
    return [Note(f"speed only: {text}", warning=True)]


def _rounded_weights(entries: Sequence[Entry]) -> list[Note]:
    notes = []
    for entry in entries:
        weights = entry.first.result.weights
        if weights is None or weights.kind != "rtn":
            continue
        text = f"{entry.row.experiment}: weights quantised by round-to-nearest, not calibrated"
        if weights.perplexity is not None and weights.perplexity_original is not None:
            text += f"; perplexity {weights.perplexity:.1f} against the original's {weights.perplexity_original:.1f}"
        notes.append(Note(text))
    return notes


def _incomplete(entries: Sequence[Entry]) -> list[Note]:
    notes = []
    for entry in entries:
        done, asked = entry.row.docs_completed, entry.row.docs_asked
        if done is not None and done < asked:
            text = f"{entry.row.experiment}: figures over {done} of {asked} documents"
            notes.append(Note(f"{text}; the others are too long for the model", warning=True))
    return notes


def _below_reference(entries: Sequence[Entry]) -> list[Note]:
    """Rows whose ROUGE-1 a reference line reaches, since such a figure shows no skill."""
    notes = []
    for reference in entries:
        line = reference.row.score("rouge1_f1")
        if reference.row.standing != "reference" or line is None:
            continue
        below = [
            entry.row.experiment
            for entry in entries
            if entry.row.standing != "reference"
            and (value := entry.row.score("rouge1_f1")) is not None
            and value <= line
        ]
        if below:
            name = reference.row.experiment
            notes.append(Note(f"ROUGE-1 no higher than {name}'s ({line:.3f}), which runs no model: {', '.join(below)}"))
    return notes


def _grouped(
    entries: Iterable[Entry], value_of: Callable[[Result], Hashable | None]
) -> list[tuple[Hashable, list[str]]]:
    """Rows by a value of their results, unknown values left out."""
    groups: dict[Hashable, list[str]] = {}
    for entry in entries:
        value = value_of(entry.first.result)
        if value is not None:
            groups.setdefault(value, []).append(entry.row.experiment)
    return list(groups.items())
