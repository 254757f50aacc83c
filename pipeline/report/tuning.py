"""--tune's outcome as parts of a text: the answer, the way to the best, every trial, what the quality gate said."""

from collections.abc import Sequence

from pipeline.comparison.estimates import Gate
from pipeline.report.figures import UNKNOWN, number, speed
from pipeline.report.markup import Column, escape
from pipeline.report.model import Report
from pipeline.report.section import Section, as_markdown
from pipeline.tuning.path import best_of
from pipeline.tuning.record import Judged, Step, Trial, Tuning
from pipeline.tuning.space import in_words, value_in_words

DOCUMENT = "tuning.md"
SECONDS_PER_MINUTE = 60
WHY = {
    "untuned": "as it is",
    "alone": "one setting alone",
    "search": "suggested by the search",
    "path": "on the way to the best",
}
HOW_TO_READ = (
    "Every trial is a job like any other, with its folder and its row in the report. The budget counts from the first "
    "trial; environments and weights are prepared before.",
    "A gain is the docs/s of one step of the way over the step before. What a setting is worth depends on what is set "
    "already. One whose step gains less than 0.5% is left out of the best, since that is what repeats differ by.",
    "The quality gate compares each faster trial's outputs with those of the untuned row, document by document.",
)


def verdicts(report: Report, untuned: str, names: Sequence[str]) -> dict[str, Judged]:
    """What the report's quality gate says of these rows. untuned: the row that it compared them with."""
    rows = {row.experiment: row for table in report.tables if table.baseline == untuned for row in table.rows}
    return {name: _judged(name, rows[name].gate if name in rows else None) for name in names}


def _judged(name: str, gate: Gate | None) -> Judged:
    if gate is None:
        return Judged(name, "unknown", "there is nothing to compare its outputs with")
    return Judged(name, gate.verdict, gate.reason)


def answer(tuning: Tuning) -> str:
    """In a sentence or two."""
    untuned = tuning.untuned
    if untuned is None or untuned.docs_per_s is None:
        failure = f": {untuned.failure}" if untuned and untuned.failure else ""
        return f"{tuning.of} does not run as it is{failure}; there is nothing to tune"
    best = next((trial for trial in tuning.trials if trial.experiment == tuning.best), None) or best_of(tuning.trials)
    if best is None or best.docs_per_s is None or not best.settings:
        as_it_is = f"{tuning.of} as it is, at {speed(untuned.docs_per_s)} docs/s"
        others = len(tuning.trials) - 1
        if not others and tuning.left:
            return f"{as_it_is}: the budget was over before anything else was tried; take a larger --budget"
        return f"{as_it_is}, was not beaten by more than noise in {_trials(others)}"
    factor = best.docs_per_s / untuned.docs_per_s
    told = (
        f"{tuning.of} with {in_words(best.settings)}: {speed(best.docs_per_s)} docs/s, "
        f"{number(factor, 2)} times the untuned {speed(untuned.docs_per_s)}"
    )
    if tuning.kept == best.experiment:
        return f"{told}; kept as {tuning.preset}"
    kept = next((trial for trial in tuning.trials if trial.experiment == tuning.kept), None)
    instead = ""
    if kept:
        instead = f"; {in_words(kept.settings)} at {speed(kept.docs_per_s)} docs/s is kept as {tuning.preset}"
    return f"{told}; not kept: {tuning.why_not}{instead}" if tuning.why_not else told


def searched(tuning: Tuning) -> str:
    """What was searched over and how far."""
    left = "its time was over before it ran out of ideas" if tuning.left else "nothing was left to try"
    failed = sum(trial.docs_per_s is None for trial in tuning.trials)
    broke = f", {failed} of which did not come through" if failed else ""
    where = f"{tuning.model or 'no model'} on {tuning.gpu}, {tuning.docs} documents, {tuning.scenario}"
    return (
        f"{where}: {_trials(len(tuning.trials))}{broke}, {number(tuning.spent_s / SECONDS_PER_MINUTE, 1)} of "
        f"{number(tuning.budget_s / SECONDS_PER_MINUTE, 1)} minutes; {left}."
    )


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def sections(tuning: Tuning) -> list[Section]:
    """All parts below the answer."""
    failed = [trial for trial in tuning.trials if trial.failure]
    found = [
        Section("The way to the best", STEPS, tuning.path) if len(tuning.path) > 1 else None,
        Section("Quality gate", JUDGED, tuning.judged) if tuning.judged else None,
        Section("Trials", TRIALS, sorted(tuning.trials, key=lambda trial: -(trial.docs_per_s or 0.0))),
        Section(
            "Did not come through",
            entries=[f"{t.experiment} ({in_words(t.settings) or 'untuned'}): {t.failure}" for t in failed],
        )
        if failed
        else None,
        Section("How to read this", entries=HOW_TO_READ, document_only=True),
    ]
    return [section for section in found if section]


def document(tuning: Tuning) -> str:
    """The whole as Markdown."""
    lead = [f"# Tuning {escape(tuning.of)}", f"**{escape(answer(tuning))}**", escape(searched(tuning))]
    return "\n\n".join([*lead, *map(as_markdown, sections(tuning))]) + "\n"


def _gain(step: Step) -> str:
    return UNKNOWN if step.gain is None else f"{number(100 * (step.gain - 1), 1)}%"


STEPS: tuple[Column[Step], ...] = (
    Column("setting", lambda step: step.setting or "untuned", text=True),
    Column("value", lambda step: UNKNOWN if step.setting is None else value_in_words(step.value), text=True),
    Column("docs/s", lambda step: speed(step.docs_per_s)),
    Column("gain", _gain),
    Column("row", lambda step: step.experiment, text=True),
)
JUDGED: tuple[Column[Judged], ...] = (
    Column("row", lambda judged: judged.experiment, text=True),
    Column("gate", lambda judged: judged.judgement, text=True),
    Column("because", lambda judged: judged.reason, text=True),
)
TRIALS: tuple[Column[Trial], ...] = (
    Column("row", lambda trial: trial.experiment, text=True),
    Column("docs/s", lambda trial: speed(trial.docs_per_s)),
    Column("settings", lambda trial: in_words(trial.settings) or "untuned", text=True),
    Column("tried", lambda trial: WHY[trial.why], text=True),
    Column("took", lambda trial: f"{number(trial.seconds, 0)} s"),
)
