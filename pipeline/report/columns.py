"""The columns of a report's tables in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.comparison.estimates import LENGTHS, Difference
from pipeline.report import figures
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.markup import Column
from pipeline.report.model import Across, PublishedRow, Row, Table

SCORES = {
    "rouge1_f1": "ROUGE-1 F1",
    "rouge2_f1": "ROUGE-2 F1",
    "rougeL_f1": "ROUGE-L F1",
    "rougeLsum_f1": "ROUGE-Lsum F1",
    "bertscore_f1": "BERTScore F1",
    "output_tokens": "output tokens",
    "output_words": "output words",
}


SHARDS: Column[Row] = Column("shards", figures.shards)


def ranking(baseline: str | None, currency: str | None) -> tuple[Column[Row], ...]:
    """The published format first (experiment, optimisation, docs/s, GPU, ROUGE-1 F1), then what it lacked."""
    return (
        Column("experiment", lambda row: row.experiment, text=True),
        Column("optimisation", lambda row: row.optimization, text=True),
        Column("docs/s", lambda row: figures.speed(figures.value(row.docs_per_s))),
        Column("GPU", lambda row: row.gpu, text=True),
        Column("ROUGE-1 F1", lambda row: number(row.score("rouge1_f1"), 3), quality=True),
        Column("docs/s, 95% interval", lambda row: figures.ends(figures.interval(row.docs_per_s))),
        Column(f"× {baseline or 'baseline'}", lambda row: figures.times(row.speed_ratio)),
        Column("×, 95% interval", lambda row: figures.ends(figures.interval(row.speed_ratio), 2)),
        Column("slowdown found with 80% power from", figures.slowdown),
        Column("quality gate", figures.verdict, text=True, quality=True),
        Column("documents", figures.documents),
        Column("launches", figures.launches),
        SHARDS,
        Column("dtype", lambda row: figures.name(row.dtype), text=True),
        Column("batch size", lambda row: figures.name(row.batch_size)),
        Column("peak memory, GiB", lambda row: figures.gib(row.memory.peak)),
        Column("energy, J/doc", lambda row: number(row.energy_per_doc_j, 1)),
        Column(f"cost of 1,000{f', {currency}' if currency else ''}", lambda row: number(row.cost_per_1000, 3)),
        Column("of the limit, and what bounds it", figures.of_limit),
        Column("generate, s", lambda row: number(row.time.generate, 1)),
        Column("load, s", lambda row: number(row.time.load, 1)),
        Column("status", figures.status, text=True),
    )


QUALITY: tuple[Column[Row], ...] = (
    Column("experiment", lambda row: row.experiment, text=True),
    Column("ROUGE-1 F1", lambda row: number(row.score("rouge1_f1"), 4), quality=True),
    Column(
        "ROUGE-1 F1, 95% interval",
        lambda row: figures.ends(figures.interval(row.scores.get("rouge1_f1")), 4),
        quality=True,
    ),
    Column("ROUGE-2 F1", lambda row: number(row.score("rouge2_f1"), 4), quality=True),
    Column("ROUGE-L F1", lambda row: number(row.score("rougeL_f1"), 4), quality=True),
    Column("ROUGE-Lsum F1", lambda row: number(row.score("rougeLsum_f1"), 4), quality=True),
    Column("BERTScore F1", lambda row: number(row.score("bertscore_f1"), 4), quality=True),
    Column("words, mean", lambda row: number(row.output_words_mean, 1), quality=True),
    Column("prompt tokens, mean", lambda row: number(row.prompt_tokens_mean, 1)),
    Column("output tokens, mean", lambda row: number(row.output_tokens_mean, 1)),
    Column("empty", lambda row: figures.name(row.empty_outputs), quality=True),
    Column("cut at the limit", lambda row: figures.name(row.hit_limit), quality=True),
    Column("copies", lambda row: figures.name(row.copied_outputs), quality=True),
    Column("coverage", lambda row: number(row.coverage_mean, 2), quality=True),
    Column("density", lambda row: number(row.density_mean, 1), quality=True),
    Column("repetition", lambda row: number(row.repetition_mean, 2), quality=True),
)

TIME: tuple[Column[Row], ...] = (
    Column("experiment", lambda row: row.experiment, text=True),
    Column("output tokens/s", lambda row: number(row.output_tokens_per_s, 1)),
    Column("latency p50, s", lambda row: number(row.latency_s.p50 if row.latency_s else None, 2)),
    Column("latency p90, s", lambda row: number(row.latency_s.p90 if row.latency_s else None, 2)),
    Column("TTFT p50, s", lambda row: number(row.ttft_s.p50 if row.ttft_s else None, 3)),
    Column("TPOT p50, ms", lambda row: number(row.tpot_s.p50 * 1000 if row.tpot_s else None, 1)),
    Column("prefill, s", lambda row: number(row.time.prefill, 1)),
    Column("decode, s", lambda row: number(row.time.decode, 1)),
    Column("compile, s", lambda row: number(row.time.compile, 1)),
    Column("warm-up, s", lambda row: number(row.time.warmup, 1)),
)

RESOURCES: tuple[Column[Row], ...] = (
    Column("experiment", lambda row: row.experiment, text=True),
    Column("peak memory, GiB", lambda row: figures.gib(row.memory.peak)),
    Column("weights, GiB", lambda row: figures.gib(row.memory.weights)),
    Column("KV cache, GiB", lambda row: figures.gib(row.memory.kv_cache)),
    Column("activations, GiB", lambda row: figures.gib(row.memory.activations)),
    Column("overhead, GiB", lambda row: figures.gib(row.memory.overhead)),
    Column("weights", lambda row: figures.name(row.weights_kind), text=True),
    Column("quantisation", lambda row: figures.name(row.quantization), text=True),
    Column("attention", lambda row: figures.name(row.attention), text=True),
)


def of(table: Table, columns: Sequence[Column[Row]]) -> tuple[Column[Row], ...]:
    """The columns that a table can have: none of quality on random weights, nor of shards where none are."""
    sharded = any(row.shards > 1 for row in table.rows)
    return tuple(
        column for column in columns if not (table.synthetic and column.quality) and (sharded or column is not SHARDS)
    )


@dataclass(frozen=True)
class Compared:
    """A row's difference in one score."""

    experiment: str
    difference: Difference


def compared(table: Table) -> list[Compared]:
    """Every difference from the baseline, score by score."""
    return [
        Compared(row.experiment, row.differences[score])
        for score in SCORES
        for row in table.rows
        if score in row.differences
    ]


def _decimals(one: Compared) -> int:
    return 1 if one.difference.score in LENGTHS else 4


DIFFERENCES: tuple[Column[Compared], ...] = (
    Column("score", lambda one: SCORES[one.difference.score], text=True),
    Column("experiment", lambda one: one.experiment, text=True),
    Column("mean", lambda one: number(one.difference.value, _decimals(one))),
    Column("baseline's", lambda one: number(one.difference.baseline_value, _decimals(one))),
    Column("difference", lambda one: number(one.difference.difference.value, _decimals(one))),
    Column("95% interval", lambda one: figures.ends(one.difference.difference.interval, _decimals(one))),
    Column("relative", lambda one: _percent(one.difference.relative)),
    Column("p, corrected", lambda one: number(one.difference.p_adjusted, 3)),
    Column("found with 80% power from", lambda one: number(one.difference.detectable, _decimals(one))),
    Column("documents", lambda one: str(one.difference.n)),
)


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share * 100:+.1f}%"


PUBLISHED: tuple[Column[PublishedRow], ...] = (
    Column("experiment", lambda row: row.experiment, text=True),
    Column("GPU", lambda row: row.gpu, text=True),
    Column("documents", lambda row: str(row.documents)),
    Column("published docs/s", lambda row: figures.speed(row.docs_per_s)),
    Column("docs/s here", lambda row: figures.speed(row.reproduced_docs_per_s)),
    Column("published ROUGE-1", lambda row: number(row.rouge1_f1, 3)),
    Column("ROUGE-1 here", lambda row: number(row.reproduced_rouge1_f1, 3)),
    Column("published with", lambda row: figures.name(row.note), text=True),
    Column("what differs here", lambda row: "; ".join(row.differs) or UNKNOWN, text=True),
)


def across(lines: Sequence[Across]) -> tuple[Column[Across], ...]:
    """Of lines over the same machines: what each machine makes of them, the first machine's speed as the measure."""
    columns: list[Column[Across]] = [Column("experiment", lambda line: line.experiment, text=True)]
    priced = any(cost is not None for line in lines for cost in line.cost_per_1000)
    for place, gpu in enumerate(lines[0].gpus):
        columns.append(Column(f"docs/s, {gpu}", partial(_speed_on, place)))
        columns += [Column(f"×, {gpu}", partial(_over_first, place))] if place else []
        columns += [] if lines[0].synthetic else [Column(f"ROUGE-1 F1, {gpu}", partial(_rouge_on, place))]
        columns += [Column(f"cost of 1,000, {gpu}", partial(_cost_on, place))] if priced else []
    return tuple(columns)


def _speed_on(place: int, line: Across) -> str:
    return figures.speed(figures.value(line.docs_per_s[place]))


def _rouge_on(place: int, line: Across) -> str:
    return number(line.rouge1_f1[place], 3)


def _cost_on(place: int, line: Across) -> str:
    return number(line.cost_per_1000[place], 3)


def _over_first(place: int, line: Across) -> str:
    first, other = line.docs_per_s[0], line.docs_per_s[place]
    return f"{number(other.value / first.value, 2)}×" if first and other else UNKNOWN
