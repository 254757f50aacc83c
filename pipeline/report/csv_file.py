"""report.csv: a line a row of every table with all its figures, and one each imported row."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

from pipeline.comparison.estimates import LENGTHS, Interval
from pipeline.measures import Distribution
from pipeline.report import figures
from pipeline.report.columns import SCORES
from pipeline.report.model import ImportedRow, Report, Row, Table

# What a spreadsheet takes for the start of a formula, also after spaces, and in the wide forms of East Asian scripts.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")

_PLAIN: dict[str, Callable[[Table, Row], Any]] = {
    "run": lambda table, row: ", ".join(dict.fromkeys(launch.run for launch in row.launches)),
    "scenario": lambda table, row: table.scenario,
    "model": lambda table, row: table.model,
    "synthetic": lambda table, row: table.synthetic,
    "dataset": lambda table, row: table.workload.dataset,
    "documents_sha256": lambda table, row: table.workload.documents_sha256,
    "prompt": lambda table, row: table.workload.prompt.name,
    "max_new_tokens": lambda table, row: table.workload.max_new_tokens,
    "launcher": lambda table, row: table.launcher,
    "machine": lambda table, row: table.gpu,
    "gpu": lambda table, row: row.gpu,
    "baseline": lambda table, row: table.baseline,
    "experiment": lambda table, row: row.experiment,
    "optimization": lambda table, row: row.optimization,
    "standing": lambda table, row: row.standing,
    "below_because": lambda table, row: row.below_because,
    "status": lambda table, row: row.status,
    "failure_class": lambda table, row: row.failure.class_ if row.failure else None,
    "failure_phase": lambda table, row: row.failure.phase if row.failure else None,
    "failure_message": lambda table, row: row.failure.message if row.failure else None,
    "launches": lambda table, row: len(row.launches),
    "shards": lambda table, row: row.shards,
    "launches_ok": lambda table, row: sum(launch.status == "ok" for launch in row.launches),
    "docs_asked": lambda table, row: row.docs_asked,
    "docs_completed": lambda table, row: row.docs_completed,
    "docs_per_s": lambda table, row: figures.value(row.docs_per_s),
    "speed_ratio": lambda table, row: figures.value(row.speed_ratio),
    "speed_detectable": lambda table, row: row.speed_detectable,
    "shared_docs": lambda table, row: row.shared_docs,
    "gate": lambda table, row: row.gate.verdict if row.gate else None,
    "gate_reason": lambda table, row: row.gate.reason if row.gate else None,
    "gate_docs_needed": lambda table, row: row.gate.docs_needed if row.gate else None,
    "prompt_tokens_mean": lambda table, row: row.prompt_tokens_mean,
    "output_tokens_mean": lambda table, row: row.output_tokens_mean,
    "output_words_mean": lambda table, row: row.output_words_mean,
    "output_tokens_per_s": lambda table, row: row.output_tokens_per_s,
    "empty_outputs": lambda table, row: row.empty_outputs,
    "hit_limit": lambda table, row: row.hit_limit,
    "copied_outputs": lambda table, row: row.copied_outputs,
    "coverage_mean": lambda table, row: row.coverage_mean,
    "density_mean": lambda table, row: row.density_mean,
    "repetition_mean": lambda table, row: row.repetition_mean,
    "load_s": lambda table, row: row.time.load,
    "compile_s": lambda table, row: row.time.compile,
    "warmup_s": lambda table, row: row.time.warmup,
    "generate_s": lambda table, row: row.time.generate,
    "prefill_s": lambda table, row: row.time.prefill,
    "decode_s": lambda table, row: row.time.decode,
    "peak_memory_bytes": lambda table, row: row.memory.peak,
    "weights_bytes": lambda table, row: row.memory.weights,
    "kv_cache_bytes": lambda table, row: row.memory.kv_cache,
    "activations_bytes": lambda table, row: row.memory.activations,
    "overhead_bytes": lambda table, row: row.memory.overhead,
    "energy_per_doc_j": lambda table, row: row.energy_per_doc_j,
    "cost_per_1000": lambda table, row: row.cost_per_1000,
    "fraction_of_limit": lambda table, row: row.roofline.fraction if row.roofline else None,
    "limit_s": lambda table, row: row.roofline.bound_s if row.roofline else None,
    "limit_rates": lambda table, row: row.roofline.rates.kind if row.roofline else None,
    "fraction_of_measured_limit": lambda table, row: row.roofline_measured.fraction if row.roofline_measured else None,
    "bounded_by": lambda table, row: row.bounded_by,
    "explanation": lambda table, row: row.explanation,
    "dtype": lambda table, row: row.dtype,
    "quantization": lambda table, row: row.quantization,
    "attention": lambda table, row: row.attention,
    "batch_size": lambda table, row: row.batch_size,
    "weights_kind": lambda table, row: row.weights_kind,
    "prompt_ids_sha256": lambda table, row: row.prompt_ids_sha256,
}


def records(report: Report) -> list[dict[str, Any]]:
    """A line's values by their columns, row by row: the same columns for all, None for what is not known."""
    return [_cells(table, row) | {"currency": report.currency} for table in report.tables for row in table.rows]


def render(report: Report) -> str:
    """The whole file, as RFC 4180 has it. Figures are whole, unknown ones empty; text is on one line and no formula."""
    lines = [*records(report), *map(_imported, report.imported)]
    stream = io.StringIO()
    if lines:
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for line in lines for name in line)))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return stream.getvalue()


def _imported(row: ImportedRow) -> dict[str, Any]:
    """A line of an imported row: of the other rows' columns those that are known, and some of its own."""
    return {
        "run": row.run,
        "scenario": row.scenario,
        "gpu": row.gpu,
        "experiment": row.experiment,
        "standing": "imported",
        "docs_completed": row.documents,
        "docs_per_s": row.docs_per_s,
        "output_words_mean": row.output_words_mean,
        "batch_size": row.batch_size,
        "rouge1_f1": row.rouge1_f1,
        "imported_file": row.file,
        "stored_docs_per_s": row.stored_docs_per_s,
        "stored_rouge1_f1": row.stored_rouge1_f1,
        "stored_rouge1_difference": row.score_difference,
        "stored_rouge1_flagged": row.score_flagged,
        "remarks": "; ".join(row.remarks) or None,
    }


def _cells(table: Table, row: Row) -> dict[str, Any]:
    cells = {name: figure(table, row) for name, figure in _PLAIN.items()}
    cells |= _interval("docs_per_s", figures.interval(row.docs_per_s))
    cells |= _interval("speed_ratio", figures.interval(row.speed_ratio))
    for name, spread in (("latency_s", row.latency_s), ("ttft_s", row.ttft_s), ("tpot_s", row.tpot_s)):
        cells |= _distribution(name, spread)
    for score in SCORES:
        found = row.differences.get(score)
        if score not in LENGTHS:
            cells |= {score: row.score(score)} | _interval(score, figures.interval(row.scores.get(score)))
        cells[f"{score}_difference"] = found.difference.value if found else None
        cells |= _interval(f"{score}_difference", found.difference.interval if found else None)
        cells[f"{score}_p_adjusted"] = found.p_adjusted if found else None
    return cells


def _interval(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}


def _distribution(name: str, spread: Distribution | None) -> dict[str, float | None]:
    return {f"{name}_{point}": getattr(spread, point) if spread else None for point in ("mean", "p50", "p90", "p99")}


def _cell(value: Any) -> Any:
    """Figures as Python writes them, so that none is rounded."""
    if not isinstance(value, str):
        return value
    text = figures.one_line(value)
    return f"'{text}" if _FORMULA.match(text) else text
