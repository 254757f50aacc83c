"""Imported rows beside measured ones: which stands beside which, what differs, and what is flagged."""

import json
from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console

from pipeline.catalog import load_catalog
from pipeline.legacy.convert import import_pair
from pipeline.legacy.pairs import PairName
from pipeline.report import markdown
from pipeline.report.build import Options, build
from pipeline.report.html.page import render as render_page
from pipeline.report.model import ImportedRow, Report
from pipeline.report.published import read_published
from pipeline.report.stored import StoredImport, StoredRun
from pipeline.report.terminal import render
from pipeline.results import Result
from tests.builders import make_documents, make_result, stored
from tests.legacy.pairs import in_batches, old_documents

EXPERIMENTS = load_catalog().experiments
SINGLE: dict[str, Any] = {"scenario": "single", "gpu": "t4", "batch_size_used": 1}


def old(name: str = "none", totals: dict[str, Any] | None = None, gpu: str = "t4", **fields: Any) -> StoredImport:
    data = json.dumps(old_documents(10, **(fields or {"inference_time": 2.0}))).encode()
    content = json.dumps(totals or {"total_time": 20.0}).encode()
    result, documents = import_pair(PairName("1", gpu, name), data, content, EXPERIMENTS, "old")
    return StoredImport(result, frozenset(item.id for item in documents))


def report(imported: StoredImport, *measured: Result) -> Report:
    runs = [
        StoredRun("old", imported=(imported,)),
        StoredRun("test", jobs=tuple(stored(result, make_documents([0.2] * 10)) for result in measured)),
    ]
    return build(runs, {}, read_published(), Options(), "2026-11-30T12:00:00+00:00")


def row_of(imported: StoredImport, *measured: Result) -> ImportedRow:
    [row] = report(imported, *measured).imported
    return row


def terminal(made: Report) -> str:
    stream = StringIO()
    render(made, Console(file=stream, width=160, color_system=None))
    return stream.getvalue()


def test_the_closest_row_of_the_experiment_stands_beside_it() -> None:
    row = row_of(
        old(), make_result("none", 0.1), make_result("none", 0.7, **SINGLE), make_result("vllm", 9.0, **SINGLE)
    )
    assert (row.closest, row.closest_docs_per_s) == ("none", 0.7)
    assert row.closest_ran == "gemma-3-270m, prompt completion"


def test_other_documents_are_said_to_be_others() -> None:
    assert row_of(old(), make_result("none", **SINGLE)).differs == ("documents: 10 instead of 10, 0 in common",)


def test_the_same_articles_differ_in_nothing() -> None:
    imported = old()
    run = StoredRun("old", imported=(imported,))
    documents = [
        replace(item, id=name) for item, name in zip(make_documents([0.2] * 10), sorted(imported.ids), strict=True)
    ]
    measured = StoredRun("test", jobs=(stored(make_result("none", **SINGLE), documents),))
    [row] = build([run, measured], {}, read_published(), Options(), "now").imported
    assert row.differs == ()


def test_which_articles_old_files_without_addresses_were_over_is_not_known() -> None:
    [differs] = row_of(replace(old(), ids=frozenset()), make_result("none", **SINGLE)).differs
    assert differs == "documents: 10 instead of 10, how many in common is not known"


def test_batches_and_gpus_that_differ_are_named() -> None:
    differs = row_of(old(**in_batches(2), gpu="a100"), make_result("none")).differs
    assert differs[:2] == ("GPU: cpu instead of a100", "batch size: 8 instead of 2")


def test_random_weights_stand_beside_no_imported_row() -> None:
    assert row_of(old(), make_result("none", synthetic=True, **SINGLE)).closest is None


def test_an_experiment_that_nobody_measured_stands_alone() -> None:
    row = row_of(old("deepspeed"), make_result("none"))
    assert (row.experiment, row.closest, row.differs) == ("deepspeed", None, ())


def test_no_imported_row_is_in_a_table_or_ranked() -> None:
    made = report(old(), make_result("none", 0.5), make_result("vllm", 1.0))
    assert [row.experiment for table in made.tables for row in table.rows] == ["vllm", "none"]
    assert made.answer == report(old("8-bit"), make_result("none", 0.5), make_result("vllm", 1.0)).answer


def test_a_score_that_differs_by_more_than_a_bootstrap_explains_is_flagged_everywhere() -> None:
    made = report(old(totals={"pred_score": 0.9}))
    [row] = made.imported
    assert row.score_flagged is True
    said = "stored ROUGE-1 F1 0.9000, recomputed"
    assert all(said in shown for shown in (terminal(made), markdown.render(made), render_page(made)))
    assert "(!)" in terminal(made)


def test_what_stored_figures_contradict_stands_below_the_table() -> None:
    said = "stored docs/s 0.600, by the document times 0.500"
    made = report(old(totals={"avg_doc_per_sec": 0.6}, inference_time=2.0))
    assert all(said in shown for shown in (terminal(made), markdown.render(made), render_page(made)))


def test_a_report_without_imports_says_nothing_of_them() -> None:
    made = build([StoredRun("test", jobs=(stored(make_result("none")),))], {}, read_published(), Options(), "now")
    assert not any("mported" in shown for shown in (terminal(made), markdown.render(made), render_page(made)))
