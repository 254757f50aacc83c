"""What a reader must know before comparing the rows of one table."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.results import Result


@dataclass(frozen=True)
class Note:
    """A sentence below a table. warning: the figures may not be comparable; else it only explains them."""

    text: str
    warning: bool = False


def notes_on(results: Sequence[Result]) -> tuple[Note, ...]:
    """Notes on the results of one table, warnings first."""
    done = [result for result in results if result.status == "ok"]
    notes = [
        *_different_prompts(done),
        *_different_hardware(done),
        *_synthetic_weights(done),
        *_own_warnings(results),
        *_repeated(results),
        *_different_dtypes(done),
        *_rounded_weights(done),
        *_incomplete(done),
        *_below_reference(done),
    ]
    return tuple(dict.fromkeys(notes))


def _different_prompts(results: Sequence[Result]) -> list[Note]:
    groups = _grouped((result.prompt_ids_sha256, result.job.experiment) for result in results)
    if len(groups) < 2:
        return []
    parts = [f"{', '.join(names)} ({str(sha)[:8]})" for sha, names in groups.items()]
    return [Note(f"prompt ids differ, so these rows are not comparable: {' against '.join(parts)}", warning=True)]


def _different_hardware(results: Sequence[Result]) -> list[Note]:
    # A CPU's name tells rows apart only where no GPU did the work.
    groups = _grouped(
        (result.environment.gpu_name or result.environment.cpu, result.job.experiment) for result in results
    )
    if len(groups) < 2:
        return []
    parts = [f"{', '.join(names)} on {name}" for name, names in groups.items()]
    return [Note(f"speeds are from different hardware: {'; '.join(parts)}", warning=True)]


def _own_warnings(results: Sequence[Result]) -> list[Note]:
    return [
        Note(f"{result.job.experiment}: {warning}", warning=True) for result in results for warning in result.warnings
    ]


def _repeated(results: Sequence[Result]) -> list[Note]:
    return [
        Note(f"{result.job.experiment}: attempt {result.attempts}, after a failure that may pass; its log is log-1.txt")
        for result in results
        if result.attempts > 1
    ]


def _different_dtypes(results: Sequence[Result]) -> list[Note]:
    groups = _grouped((result.settings.dtype, result.job.experiment) for result in results if result.job.model)
    if len(groups) < 2:
        return []
    return [Note("dtype differs: " + "; ".join(f"{', '.join(names)} in {dtype}" for dtype, names in groups.items()))]


def _synthetic_weights(results: Sequence[Result]) -> list[Note]:
    return [
        Note(f"{result.job.experiment}: weights are random, so its ROUGE says nothing", warning=True)
        for result in results
        if result.weights and result.weights.kind == "synthetic"
    ]


def _rounded_weights(results: Sequence[Result]) -> list[Note]:
    notes = []
    for result in results:
        weights = result.weights
        if weights is None or weights.kind != "rtn":
            continue
        text = f"{result.job.experiment}: weights quantised by round-to-nearest, not calibrated"
        if weights.perplexity is not None and weights.perplexity_original is not None:
            text += f"; perplexity {weights.perplexity:.1f} against the original's {weights.perplexity_original:.1f}"
        notes.append(Note(text))
    return notes


def _incomplete(results: Sequence[Result]) -> list[Note]:
    notes = []
    for result in results:
        asked = result.job.workload.docs
        if result.metrics is not None and result.metrics.docs < asked:
            text = f"{result.job.experiment}: figures over {result.metrics.docs} of {asked} documents"
            notes.append(Note(f"{text}; the others are too long for the model", warning=True))
    return notes


def _below_reference(results: Sequence[Result]) -> list[Note]:
    """Rows whose ROUGE-1 a reference line reaches, since such a figure shows no skill."""
    notes = []
    for reference in results:
        line = reference.quality.rouge1_f1 if reference.quality and not reference.job.ranked else None
        below = [
            result.job.experiment
            for result in results
            if line is not None
            and result.job.ranked
            and result.quality is not None
            and result.quality.rouge1_f1 is not None
            and result.quality.rouge1_f1 <= line
        ]
        if below:
            name = reference.job.experiment
            notes.append(Note(f"ROUGE-1 no higher than {name}'s ({line:.3f}), which runs no model: {', '.join(below)}"))
    return notes


def _grouped(pairs: Iterable[tuple[Hashable, str]]) -> dict[Hashable, list[str]]:
    """Names by value, unknown values left out."""
    groups: dict[Hashable, list[str]] = {}
    for value, name in pairs:
        if value is not None:
            groups.setdefault(value, []).append(name)
    return groups
