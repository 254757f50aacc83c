"""The outcome in one sentence: what is fastest, by how much, at what quality, and what could not run.

On random weights it is of speed alone, says so first and has no word on quality.
"""

from collections.abc import Sequence

from pipeline.comparison.estimates import ROUGE
from pipeline.hardware import CPU
from pipeline.report import figures
from pipeline.report.model import Row, Table
from pipeline.report.telling import work_apart

NAMED = 3
"""How many experiments that did not come through are named before the others are counted."""
LONGEST_REASON = 140
ALPHA = 0.05
"""A difference with a smaller p-value counts as measured."""


def answer_of(table: Table, baseline: str) -> str:
    """One table's outcome. baseline: the experiment that rows are held against, whether it ran or not."""
    ranked = [row for row in table.rows if row.standing == "ranked" and row.docs_per_s]
    parts = [_outcome(table, ranked, baseline), *_faster_below(table, ranked), *_absent(table)]
    return "; ".join(parts) + "."


def overall_answer(tables: Sequence[Table], imported: int = 0) -> str:
    """The only table's answer, or the fastest of each table. imported: how many rows of old files there are beside."""
    if not tables:
        rows = figures.plural(imported, "imported result")
        return f"Nothing was measured here: {rows}, never ranked." if imported else "No results."
    if len(tables) == 1:
        return tables[0].answer
    works = zip(tables, work_apart(tables), strict=True)
    return f"The fastest is {'; '.join(_fastest(table, tables, work) for table, work in works)}."


def _fastest(table: Table, tables: Sequence[Table], work: Sequence[str]) -> str:
    """As "vllm-awq with 4.3 documents a second (a100, offline)", by what tells the tables apart."""
    told: dict[str, set[object]] = {
        _place(table): {other.gpu for other in tables},
        table.model or "no model": {other.model for other in tables},
        table.scenario: {other.scenario for other in tables},
    }
    telling = ", ".join([*(words for words, kinds in told.items() if len(kinds) > 1), *work])
    best = next((row for row in table.rows if row.standing == "ranked" and row.docs_per_s), None)
    if best is None or best.docs_per_s is None:
        return f"nothing that is ranked ({telling})"
    return f"{figures.name(best.experiment)} with {figures.about(best.docs_per_s.value)} documents a second ({telling})"


def _place(table: Table) -> str:
    return "this CPU" if table.gpu == CPU else figures.name(table.gpu)


def _on(table: Table) -> str:
    """How every outcome begins."""
    return f"{'Speed only, on random weights: on' if table.synthetic else 'On'} {_place(table)}"


def _outcome(table: Table, ranked: Sequence[Row], baseline: str) -> str:
    if not ranked:
        return _nothing_ranked(table)
    best = ranked[0]
    assert best.docs_per_s is not None
    name = figures.name(best.experiment)
    rate = f"{'does' if table.synthetic else 'summarises'} {figures.about(best.docs_per_s.value)} documents a second"
    if best.experiment == table.baseline:
        return f"{_on(table)}, the baseline {name} {rate}{_followed_by(ranked)}"
    said = f"{_on(table)}, {name} {rate}"
    base = next((row for row in table.rows if row.experiment == table.baseline), None)
    if base is None or best.speed_ratio is None:
        return f"{said}{_without_baseline(table, len(ranked), baseline)}"
    return ", ".join([said, _ratio(best, base), *([] if table.synthetic else [_quality(best)])])


def _nothing_ranked(table: Table) -> str:
    done = [row for row in table.rows if row.status == "ok"]
    if not done:
        return f"{_on(table)}, nothing came through"
    names = _listed([figures.name(row.experiment) for row in done])
    if all(row.standing == "reference" for row in done):
        return f"{_on(table)}, only {names} ran, for reference and without a model"
    if all(row.standing in ("reference", "unranked") for row in done):
        return f"{_on(table)}, {names} ran in published settings, which are not ranked"
    return f"{_on(table)}, {names} ran, and nothing of it can be ranked"


def _followed_by(ranked: Sequence[Row]) -> str:
    """What comes after a baseline that is fastest itself."""
    if len(ranked) == 1:
        return ", and nothing else ran that could be ranked beside it"
    second = ranked[1]
    if second.speed_ratio is None:
        return ", more than anything else that is ranked"
    name, ratio = figures.name(second.experiment), second.speed_ratio
    if ratio.interval and ratio.interval.high >= 1:
        return f"; nothing that is ranked is measurably faster, and {name} comes closest"
    return f"; nothing that is ranked is faster, and {name} comes closest with {figures.about(ratio.value)} times that"


def _without_baseline(table: Table, ranked: int, baseline: str) -> str:
    alone = "the only one that is ranked" if ranked == 1 else f"the most of {ranked}"
    why = "can't be compared" if table.baseline else _why_no_baseline(table, baseline)
    return f", {alone}; there is no ratio, since the baseline {figures.name(baseline)} {why}"


def _why_no_baseline(table: Table, baseline: str) -> str:
    tried = [row for row in table.rows if row.experiment == baseline or row.experiment.startswith(f"{baseline} (")]
    if any(row.status == "ok" for row in tried):
        return "is not ranked"
    return "did not come through" if tried else "was not run"


def _ratio(row: Row, base: Row) -> str:
    ratio = row.speed_ratio
    assert ratio is not None
    times, batches = f"{figures.about(ratio.value)} times", _batches(row, base)
    if ratio.interval is None:
        measured = "one launch" if ratio.n == 1 else f"{ratio.n} launches"
        return f"{times} the baseline{batches} (over {measured}, too few for an interval)"
    low, high = figures.about(ratio.interval.low), figures.about(ratio.interval.high)
    within = f"{ratio.interval.level:.0%} interval {low} to {high}"
    if ratio.interval.low <= 1 <= ratio.interval.high:
        return f"not measurably faster than the baseline{batches} ({times} its speed, {within})"
    return f"{times} the baseline{batches} ({within})"


def _batches(row: Row, base: Row) -> str:
    if row.batch_size is None or base.batch_size is None:
        return ""
    if row.batch_size != base.batch_size:
        return f" at batch size {row.batch_size} against {base.batch_size}"
    return "" if row.batch_size == "auto" else " at the same batch"


def _quality(row: Row) -> str:
    """Never more than the gate decided."""
    gate = row.gate
    if gate is None:
        return "with its quality not compared"
    if gate.verdict == "pass":
        lost = any(
            score in ROUGE and found.difference.value < 0 and found.p_adjusted is not None and found.p_adjusted < ALPHA
            for score, found in row.differences.items()
        )
        return "at a loss of quality within the margin" if lost else "at no measurable loss of quality"
    needed = "" if gate.docs_needed is None else f" (about {figures.plural(gate.docs_needed, 'document')} would decide)"
    return f"while it is undecided whether it keeps the baseline's quality{needed}"


def _faster_below(table: Table, ranked: Sequence[Row]) -> list[str]:
    """What is faster than the fastest that is ranked, and why it is not."""
    limit = ranked[0].docs_per_s.value if ranked and ranked[0].docs_per_s else 0.0
    found = [row for row in table.rows if row.standing == "below" and row.docs_per_s and row.docs_per_s.value > limit]
    return [
        f"{figures.name(row.experiment)} is faster and not ranked: {_short(row.below_because)}" for row in found[:1]
    ]


def _absent(table: Table) -> list[str]:
    """What failed or could not run, those of the same reason together."""
    reasons: dict[str, list[str]] = {}
    for row in table.rows:
        if row.standing == "failed" and row.failure:
            what = f"failed with {figures.one_line(row.failure.class_)} during {row.failure.phase}"
            reasons.setdefault(what, []).append(figures.name(row.experiment))
        elif row.standing == "skipped":
            why = _short(row.failure.message if row.failure else None)
            reasons.setdefault(f"could not run: {why}", []).append(figures.name(row.experiment))
    told = [f"{_listed(names)} {what}" for what, names in list(reasons.items())[:NAMED]]
    rest = sum(len(names) for names in list(reasons.values())[NAMED:])
    return [*told, *([f"{rest} more did not come through"] if rest else [])]


def _short(text: str | None) -> str:
    return figures.one_line(text or "no reason recorded", LONGEST_REASON)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
