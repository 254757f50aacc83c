"""--explain-speed's parts, and the Markdown document that they make."""

from collections.abc import Callable, Sequence

from pipeline.comparison.speed_configuration import FIELDS, Configuration, Thing
from pipeline.comparison.speed_factors import Factor, Measured, Row, Step
from pipeline.report import figures
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.markup import Column, escape
from pipeline.report.section import Section, as_markdown
from pipeline.report.speed import A_FILE, SpeedReport
from pipeline.report.speed_answer import product
from pipeline.report.speed_rows import label

LONGEST_OPTIONS = 40
"""Characters of what a cell shows of an experiment's other options; experiments.yaml has all of them."""

HOW_TO_READ = (
    "A factor is the docs/s of one row over another's that differs from it in one thing alone. Factors multiply; the "
    "share is the factor's logarithm over the whole's, so that shares add up to 100%, and one below 0% slows down.",
    "What a thing is worth depends on what is switched on already: the same thing at another place of the way, or at "
    "another batch size, has another factor. The pairs below the way show how far.",
    "batching: documents a step. compilation: torch.compile with CUDA graphs. scheduling: continuous batching over a "
    "paged cache instead of an engine's usual way. weight and cache precision: as the engine calls what it computes "
    "from and caches. engine: all else that is an engine's own, its attention kernel and scheduling among it; compared "
    "at equal precision, batch size and compilation.",
    "Rows may be over different numbers of documents, slow ones over few. Documents in common are those that both "
    "rows' choices hold; a ratio over different ones is the rougher the more these differ in length.",
    "An interval needs five launches of both rows (--launches 5). The range over repeats is that of the ratios of "
    "single repeats within launches, which misses what launches differ by.",
    f"{UNKNOWN} means not known or not measured; it never means 0.",
)


def sections(report: SpeedReport) -> list[Section]:
    """All parts below the answer."""
    way = report.way
    commands = [item.command for item in report.missing]
    found = [
        Section("Factor by factor", STEPS, way.steps, [product(way)]) if way.steps else None,
        Section("To measure", sentences=[_to_measure(report)], commands=commands) if commands else None,
        Section("Other pairs that differ in one thing", PAIRS, report.others) if report.others else None,
        Section("Rows", ROWS, report.rows, document_only=True),
        Section("Left out", entries=[f"{item.row}: {item.why}" for item in report.left_out])
        if report.left_out
        else None,
        Section("Notes", entries=[note.text for note in report.notes]) if report.notes else None,
        Section("How to read this", entries=HOW_TO_READ, document_only=True),
        Section("Made by", commands=[report.command], document_only=True),
    ]
    return [section for section in found if section]


def document(report: SpeedReport) -> str:
    """The whole as Markdown, complete by itself and the same for the same results: it holds no date."""
    title = f"# Where the speed comes from: {escape(report.run)}"
    lead = [title, f"**{escape(report.answer)}**", f"{escape(holds_for(report))}"]
    return "\n\n".join([*lead, *map(as_markdown, sections(report))]) + "\n"


def holds_for(report: SpeedReport) -> str:
    """What the numbers hold for."""
    prompts = _range([row.prompt_tokens_mean for row in report.rows])
    outputs = _range([row.output_tokens_mean for row in report.rows])
    facts = [f"{name} {figures.one_line(value, 80)}" for name, value in report.ground]
    return f"It holds for: {'; '.join(facts)}; {prompts} prompt tokens and {outputs} new tokens a document, on average."


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not known"
    low, high = number(min(known), 0), number(max(known), 0)
    return low if low == high else f"{low} to {high} (by row)"


def _to_measure(report: SpeedReport) -> str:
    rows = ", ".join(label(item.row) for item in report.missing)
    unnamed = any(A_FILE in item.command.split() for item in report.missing)
    file = f"; {A_FILE} is the one that the run's documents came from" if unnamed else ""
    return f"Rows that close the gaps of the way: {rows}{file}."


def _change(thing: Thing, before: Row, after: Row) -> str:
    return f"{_value(thing, before.configuration)} → {_value(thing, after.configuration)}"


def _value(thing: Thing, found: Configuration) -> str:
    value = getattr(found, FIELDS[thing])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return figures.one_line(str(value or "none"), LONGEST_OPTIONS)


def _rate(row: Row) -> str:
    return figures.speed(row.docs_per_s.value) if isinstance(row, Measured) else UNKNOWN


def _documents(factor: Factor) -> str:
    """Such as "100", or "8 → 100, 8 in common"."""
    before, after = factor.before.documents, factor.after.documents
    if factor.shared == before == after:
        return str(before)
    common = "not known which are in common" if factor.shared is None else f"{factor.shared} in common"
    return f"{before} → {after}, {common}"


def _over_repeats(factor: Factor) -> str:
    before, after = factor.before.spread, factor.after.spread
    if before is None or after is None:
        return UNKNOWN
    return f"{number(after[0] / before[1], 2)} to {number(after[1] / before[0], 2)}"


def _versions(factor: Factor) -> str:
    return "the engines'" if factor.thing == "engine" else ", ".join(factor.software) or "none"


def _counts(one: int, other: int) -> str:
    return str(one) if one == other else f"{one} → {other}"


def _of_factor(cell: Callable[[Factor], str]) -> Callable[[Step], str]:
    return lambda step: cell(step.factor) if step.factor else UNKNOWN


_FIGURES: tuple[Column[Factor], ...] = (
    Column("factor", lambda one: figures.times(one.ratio)),
    Column("95% interval", lambda one: figures.ends(one.ratio.interval, 2)),
    Column("over repeats", _over_repeats),
    Column("documents", _documents),
    Column("launches", lambda one: _counts(len(one.before.launches), len(one.after.launches))),
    Column("repeats", lambda one: _counts(one.before.repeats, one.after.repeats)),
    Column("versions that differ", _versions, text=True),
)

STEPS: tuple[Column[Step], ...] = (
    Column("what changes", lambda step: step.thing, text=True),
    Column("how", lambda step: _change(step.thing, step.before, step.after), text=True),
    Column("from row", lambda step: label(step.before), text=True),
    Column("to row", lambda step: label(step.after), text=True),
    Column("docs/s before", lambda step: _rate(step.before)),
    Column("docs/s after", lambda step: _rate(step.after)),
    Column("factor", _of_factor(_FIGURES[0].cell)),
    Column("share", lambda step: UNKNOWN if step.share is None else f"{number(step.share * 100, 0)}%"),
    *(Column(column.header, _of_factor(column.cell), column.text) for column in _FIGURES[1:]),
)

PAIRS: tuple[Column[Factor], ...] = (
    Column("what changes", lambda one: one.thing, text=True),
    Column("how", lambda one: _change(one.thing, one.before, one.after), text=True),
    Column("from row", lambda one: label(one.before), text=True),
    Column("to row", lambda one: label(one.after), text=True),
    Column("docs/s before", lambda one: _rate(one.before)),
    Column("docs/s after", lambda one: _rate(one.after)),
    *_FIGURES,
)


def _setting(thing: Thing) -> Column[Measured]:
    return Column(thing, lambda row: _value(thing, row.configuration), text=True)


ROWS: tuple[Column[Measured], ...] = (
    Column("row", label, text=True),
    Column("docs/s", _rate),
    Column("docs/s, 95% interval", lambda row: figures.ends(row.docs_per_s.interval)),
    Column("docs/s of single repeats", lambda row: " to ".join(map(figures.speed, row.spread or ())) or UNKNOWN),
    Column("scenario", lambda row: row.scenario, text=True),
    Column("documents", lambda row: str(row.documents)),
    Column("launches", lambda row: str(len(row.launches))),
    Column("repeats", lambda row: str(row.repeats)),
    *(_setting(thing) for thing in FIELDS),
    Column("prompt tokens, mean", lambda row: number(row.prompt_tokens_mean, 1)),
    Column("new tokens, mean", lambda row: number(row.output_tokens_mean, 1)),
    Column("software", lambda row: ", ".join(f"{n} {v}" for n, v in row.software.items()) or UNKNOWN, text=True),
)
