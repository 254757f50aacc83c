"""The columns of the ranked table, in groups that a reader can show and hide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.figures import GIB, number
from pipeline.measures import Distribution
from pipeline.report.html.cells import Cell, difference, estimate, figure, gate, unknown, word
from pipeline.report.model import Report, Row, Table

BOUND_BY = {"weights": "reading weights", "kv_cache": "reading the KV cache", "arithmetic": "arithmetic"}
NOT_TIMED = "not timed"


@dataclass(frozen=True)
class Column:
    """unit: stands under the header. tip: what the figure means. quality: of what was written."""

    header: str
    cell: Callable[[Row], Cell]
    unit: str | None = None
    tip: str | None = None
    text: bool = False
    quality: bool = False


@dataclass(frozen=True)
class Group:
    """Columns that are shown and hidden together. shown: from the start; always: not to be hidden."""

    name: str
    label: str
    columns: tuple[Column, ...]
    shown: bool = False
    always: bool = False


def groups(report: Report, table: Table) -> tuple[Group, ...]:
    """All columns that a table could have: none of quality on random weights."""
    found = (
        Group("published", "Result", _published(table), shown=True, always=True),
        Group("comparison", "Comparison", _comparison(table), shown=True),
        Group("resources", "Resources", _resources(report), shown=True),
        Group("quality", "Quality", _QUALITY),
        Group("outputs", "Outputs", (*_LENGTHS, *_WRITTEN)),
        Group("latency", "Latency", _LATENCY),
        Group("memory", "Memory", _MEMORY),
        Group("time", "Time", _TIME),
        Group("settings", "Settings", _SETTINGS),
    )
    if not table.synthetic:
        return found
    return tuple(replace(one, columns=tuple(column for column in one.columns if not column.quality)) for one in found)


def known(found: Sequence[Group], rows: Sequence[Row]) -> tuple[list[Group], list[str]]:
    """The groups without the columns that have no figure in any row, and the headers of these."""
    kept, left_out = [], []
    for group in found:
        columns = [one for one in group.columns if group.always or any(one.cell(row).known for row in rows)]
        left_out += [one.header for one in group.columns if one not in columns]
        if columns:
            kept.append(Group(group.name, group.label, tuple(columns), group.shown, group.always))
    return kept, left_out


def _published(table: Table) -> tuple[Column, ...]:
    speeds = [row.docs_per_s.value for row in table.rows if row.docs_per_s and row.standing != "reference"]
    fastest = max(speeds, default=0)

    def speed(row: Row) -> Cell:
        if row.docs_per_s is None:
            return unknown(NOT_TIMED)
        value = row.docs_per_s.value
        share = value / fastest if fastest and row.standing != "reference" else None
        return estimate(row.docs_per_s, 3 if value < 100 else 0, "", share=share)

    return (
        Column("Experiment", _experiment, text=True),
        Column(
            "Optimisation",
            lambda row: Cell(row.optimization, row.optimization, row.below_because, prose=True),
            text=True,
        ),
        Column("Speed", speed, "docs/s", "Documents over the time from the first handed over to the last completed."),
        Column("GPU", lambda row: word(row.gpu), text=True),
        Column(
            "ROUGE-1",
            _score("rouge1_f1", 4),
            "F1",
            "Mean over documents, rouge-score without stemming.",
            quality=True,
        ),
    )


def _comparison(table: Table) -> tuple[Column, ...]:
    base = table.baseline
    why = f"this is the baseline, or not compared with {base}" if base else "no baseline ran"
    return (
        Column(
            f"Against {base}" if base else "Ratio",
            lambda row: estimate(row.speed_ratio, 2, _if_timed(row, why), "×"),
            "× speed",
            "Speed as a multiple of the baseline's, launch by launch.",
        ),
        Column(
            "ROUGE-1 change",
            lambda row: difference(row.differences.get("rouge1_f1"), 4, why),
            "F1, paired",
            "The mean of the documents' differences from the baseline, with its 95% interval.",
            quality=True,
        ),
        Column(
            "Gate",
            lambda row: gate(row.gate, why),
            None,
            "Whether quality is kept: every ROUGE and the length of outputs, by their intervals.",
            text=True,
            quality=True,
        ),
    )


def _resources(report: Report) -> tuple[Column, ...]:
    power, price = "the hardware reports no power", "no price was given: --price-per-hour"
    return (
        Column("Peak memory", _memory(lambda row: row.memory.peak), "GiB"),
        Column("Energy", lambda row: figure(row.energy_per_doc_j, 1, _if_timed(row, power)), "J/doc"),
        Column(
            "Cost",
            lambda row: figure(row.cost_per_1000, 3, _if_timed(row, price)),
            f"{report.currency or 'price'}/1,000 docs",
        ),
        Column(
            "Of the limit", _limit, "%", "The least time that the hardware needs for this workload over the time taken."
        ),
    )


def _if_timed(row: Row, why: str) -> str:
    """The reason for a dash, which for a row that was not timed is that alone: a job that resumed has no speed."""
    return NOT_TIMED if row.docs_per_s is None else why


def _experiment(row: Row) -> Cell:
    failed = sum(launch.status != "ok" for launch in row.launches)
    missing = f"{failed} of {len(row.launches)} launches failed" if failed else None
    return Cell(row.experiment, row.experiment, missing)


def _limit(row: Row) -> Cell:
    roofline, measured = row.roofline, row.roofline_measured
    if roofline is None or roofline.fraction is None:
        return unknown(_if_timed(row, "the model's shape or the hardware's rates are not known"))
    by = roofline.rates.kind
    tip = f"at least {number(roofline.bound_s, 2)} s by {by} rates, most of it {BOUND_BY[roofline.bound_by]}"
    if by == "listed" and measured is not None and measured.fraction is not None:
        tip += f"; {number(100 * measured.fraction, 0)}% by measured rates"
    return Cell(
        number(100 * roofline.fraction, 0),
        roofline.fraction,
        row.bounded_by or BOUND_BY[roofline.bound_by],
        tip,
        prose=True,
        share=min(1, roofline.fraction),
    )


def _score(name: str, decimals: int) -> Callable[[Row], Cell]:
    return lambda row: estimate(row.scores.get(name), decimals, "not scored")


def _slowdown(row: Row) -> Cell:
    if row.speed_detectable is not None:
        return figure(100 * (1 - row.speed_detectable), 1)
    too_few = row.speed_ratio.why if row.speed_ratio else None
    return unknown(too_few or "this is the baseline, or not compared with one")


def _change(name: str, decimals: int) -> Callable[[Row], Cell]:
    return lambda row: difference(row.differences.get(name), decimals, "not compared with the baseline")


def _memory(value: Callable[[Row], int | None]) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        found = value(row)
        why = "runs no model" if row.standing == "reference" else _if_timed(row, "the engine doesn't tell")
        return figure(None if found is None else found / GIB, 2, why)

    return cell


def _seconds(value: Callable[[Row], float | None], decimals: int = 1) -> Callable[[Row], Cell]:
    return lambda row: figure(value(row), decimals, "there was none, or it can't be told")


def _spread(value: Callable[[Row], Distribution | None], decimals: int, factor: float = 1) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        found = value(row)
        if found is None:
            return unknown(_if_timed(row, "its tokens can't be observed"))
        p50, p90, p99 = (number(factor * one, decimals) for one in (found.p50, found.p90, found.p99))
        return Cell(p50, found.p50, f"p90 {p90}, p99 {p99}", f"mean {number(factor * found.mean, decimals)}")

    return cell


def _of_quality(*columns: Column) -> tuple[Column, ...]:
    return tuple(replace(column, quality=True) for column in columns)


_QUALITY = _of_quality(
    Column("ROUGE-2", _score("rouge2_f1", 4), "F1"),
    Column("ROUGE-2 change", _change("rouge2_f1", 4), "F1, paired"),
    Column("ROUGE-L", _score("rougeL_f1", 4), "F1"),
    Column("ROUGE-L change", _change("rougeL_f1", 4), "F1, paired"),
    Column("ROUGE-Lsum", _score("rougeLsum_f1", 4), "F1"),
    Column("ROUGE-Lsum change", _change("rougeLsum_f1", 4), "F1, paired"),
    Column("BERTScore", _score("bertscore_f1", 4), "F1"),
    Column("Output length change", _change("output_tokens", 1), "tokens, paired"),
)
_LENGTHS = (
    Column("Documents", lambda row: _documents(row), "completed"),
    Column("Prompt", lambda row: figure(row.prompt_tokens_mean, 1), "tokens, mean"),
    Column("Output", lambda row: figure(row.output_tokens_mean, 1), "tokens, mean"),
)
_WRITTEN = _of_quality(
    Column("Output", lambda row: figure(row.output_words_mean, 1), "words, mean"),
    Column("Empty", lambda row: figure(row.empty_outputs, 0), "outputs"),
    Column("Cut off", lambda row: figure(row.hit_limit, 0), "outputs", "Ended by the limit of new tokens."),
    Column("Copied", lambda row: figure(row.copied_outputs, 0), "outputs", "One passage of the document."),
    Column("Coverage", lambda row: figure(row.coverage_mean, 2), "share", "Of words in passages from the document."),
    Column("Density", lambda row: figure(row.density_mean, 1), "words", "Mean length of the passage a word is in."),
    Column("Repetition", lambda row: figure(row.repetition_mean, 3), "share", "Of 4-grams that occurred before."),
)
_LATENCY = (
    Column("Latency", _spread(lambda row: row.latency_s, 2), "s, median"),
    Column("First token", _spread(lambda row: row.ttft_s, 3), "s, median", "TTFT"),
    Column("Per output token", _spread(lambda row: row.tpot_s, 1, 1000), "ms, median", "TPOT"),
    Column("Output", lambda row: figure(row.output_tokens_per_s, 1), "tokens/s"),
)
_MEMORY = (
    Column("Weights", _memory(lambda row: row.memory.weights), "GiB"),
    Column("KV cache", _memory(lambda row: row.memory.kv_cache), "GiB"),
    Column("Activations", _memory(lambda row: row.memory.activations), "GiB"),
    Column("Overhead", _memory(lambda row: row.memory.overhead), "GiB"),
)
_TIME = (
    Column("Load", _seconds(lambda row: row.time.load), "s"),
    Column("Compile", _seconds(lambda row: row.time.compile), "s"),
    Column("Warm-up", _seconds(lambda row: row.time.warmup), "s"),
    Column("Generate", _seconds(lambda row: row.time.generate), "s"),
    Column("Prefill", _seconds(lambda row: row.time.prefill), "s"),
    Column("Decode", _seconds(lambda row: row.time.decode), "s"),
)
_SETTINGS = (
    Column("dtype", lambda row: word(row.dtype), text=True),
    Column("Quantisation", lambda row: word(row.quantization, "none"), text=True),
    Column("Attention", lambda row: word(row.attention, "the engine's own"), text=True),
    Column("Batch size", lambda row: word(row.batch_size)),
    Column("Weights", lambda row: word(row.weights_kind), text=True),
    Column("Launches", lambda row: figure(len(row.launches) or None, 0)),
    Column("Shards", lambda row: figure(row.shards if row.shards > 1 else None, 0)),
    Column("Slowdown found", _slowdown, "% or more", "The smallest that so many launches find with 80% power."),
    Column("Prompt ids", lambda row: _shortened(row.prompt_ids_sha256), "SHA-256", text=True),
)


def _documents(row: Row) -> Cell:
    cell = figure(row.docs_completed, 0)
    return Cell(cell.text, cell.sort, f"of {row.docs_asked:,}") if row.docs_completed != row.docs_asked else cell


def _shortened(sha256: str | None) -> Cell:
    return unknown("not recorded") if sha256 is None else Cell(sha256[:8], sha256, tip=sha256)
