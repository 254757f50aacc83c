"""The documents and their summaries as JSON inside the page, for its script to show one at a time."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.figures import printable
from pipeline.report.model import Document, Output, Report, Table
from pipeline.report.telling import weights_of

SCORES = ("rouge1_f1", "rouge2_f1", "rougeL_f1")


def documents_json(report: Report) -> str:
    """{texts: [[document, reference]], tables: [{name, experiments, baseline, of, documents: [[id, text, [output]]]}]}.

    Tables on random weights are left out, since what was written there means nothing, and all of them in a report
    without texts. of: Table.shown_of. text: a position in texts, since several tables may share their documents.
    output: as _output gives it, in the order of experiments. No markup can begin or end in it, so that no text leaves
    the element that holds it.
    """
    texts: dict[tuple[str | None, str | None], int] = {}
    named = zip(report.tables, table_names(report.tables), strict=True)
    shown = [(table, name) for table, name in named if report.texts and table.documents and not table.synthetic]
    tables = [_table(table, name, texts) for table, name in shown]
    value = {"texts": [[_text(part) for part in pair] for pair in texts], "tables": tables}
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def table_names(tables: Sequence[Table]) -> list[str]:
    """Each table's name among the others: what tells it apart."""
    told = [
        (
            table.scenario,
            table.gpu,
            table.model or "no model",
            weights_of(table),
            f"{table.workload.dataset}, {table.workload.docs:,} documents",
            f"prompt {table.workload.prompt.name}",
            f"{table.workload.max_new_tokens:,} new tokens",
            table.launcher,
        )
        for table in tables
    ]
    telling = [place for place, kinds in enumerate(zip(*told, strict=True)) if len(set(kinds)) > 1]
    return [" · ".join(words[place] for place in telling) or f"Ranking {n}" for n, words in enumerate(told, start=1)]


def _table(table: Table, name: str, texts: dict[tuple[str | None, str | None], int]) -> dict[str, Any]:
    written = {name for document in table.documents for name in document.outputs}
    experiments = [row.experiment for row in table.rows if row.experiment in written]
    return {
        "name": name,
        "experiments": experiments,
        "baseline": table.baseline,
        "of": table.shown_of,
        "documents": [_document(document, experiments, texts) for document in table.documents],
    }


def _document(document: Document, experiments: list[str], texts: dict[tuple[str | None, str | None], int]) -> list[Any]:
    place = texts.setdefault((document.document, document.reference), len(texts))
    return [printable(document.id), place, [_output(document.outputs.get(name)) for name in experiments]]


def _output(output: Output | None) -> list[Any] | None:
    """[text, finish reason, output tokens, latency in seconds, scores in the order of SCORES]; None where there is
    none."""
    if output is None:
        return None
    scores = [_rounded(output.scores.get(name), 4) for name in SCORES]
    return [
        _text(output.text),
        printable(output.finish_reason),
        output.output_tokens,
        _rounded(output.latency_s, 6),
        scores,
    ]


def _text(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
