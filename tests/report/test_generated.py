"""What a report holds of the documents of a job: the figures of all, and of many a share to show."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.documents import fingerprint, read_documents
from pipeline.measures import DocumentResult
from pipeline.report.generated import SHOWN, gather, is_shown
from pipeline.report.stored import read_run, read_texts
from pipeline.results import DOCUMENTS_FILE, write_documents
from tests.builders import make_documents, make_report, make_result, make_workload, stored

MANY = 4 * SHOWN
DATA = Path(__file__).parent.parent.parent / "data"


def documents(count: int) -> list[DocumentResult]:
    return [DocumentResult(f"document-{n}", "two words", "stop", rouge1_f1=0.5) for n in range(count)]


def test_all_documents_are_shown_of_as_many_as_a_page_holds() -> None:
    assert len(gather(documents(SHOWN), SHOWN).shown) == SHOWN


def test_of_more_about_as_many_are_shown_and_all_are_counted() -> None:
    found = gather(documents(MANY), MANY)
    assert len(found.shown) == pytest.approx(SHOWN, rel=0.05)
    assert len(found.scores) == MANY
    assert found.scores["rouge1_f1"].sum() == pytest.approx(MANY / 2)


def test_the_same_documents_are_shown_of_every_row_whatever_else_it_completed() -> None:
    some = gather(documents(MANY)[::2], MANY)
    assert [item.id for item in some.shown] == [
        f"document-{n}" for n in range(0, MANY, 2) if is_shown(f"document-{n}", MANY)
    ]


def test_what_a_document_does_not_know_is_no_number() -> None:
    [line] = gather([DocumentResult("one", "two words", "stop")], 1).scores.to_dict("records")
    assert line.pop("output_words") == 2
    assert all(pd.isna(value) for value in line.values())


def test_of_a_job_that_generated_nothing_nothing_is_shown() -> None:
    found = gather([], 5)
    assert (len(found.scores), list(found.shown_with_scores())) == (0, [])


def test_scores_of_a_shown_document_are_those_that_are_known() -> None:
    [(item, scores)] = gather(documents(1), 1).shown_with_scores()
    assert (item.id, scores) == ("document-0", {"rouge1_f1": 0.5})


def test_figures_of_a_report_count_every_document_and_its_documents_are_those_that_are_shown() -> None:
    made = make_documents([0.25, 0.75] * (MANY // 2))
    result = make_result("none", docs=MANY, workload=make_workload(docs=MANY))
    [table] = make_report([stored(result, made)]).tables
    assert table.rows[0].scores["rouge1_f1"].n == MANY
    assert {document.id for document in table.documents} == {item.id for item in made if is_shown(item.id, MANY)}


def test_texts_are_read_of_the_shown_documents_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = DATA / "sample" / "howto_en.jsonl"
    every = read_documents(sample)
    work = make_workload(docs=len(every), documents="sample/howto_en.jsonl", documents_sha256=fingerprint(every))
    monkeypatch.setattr("pipeline.report.generated.SHOWN", 10)
    texts, faults = read_texts(DATA, [work])
    shown = [document.id for document in every if is_shown(document.id, len(every))]
    assert 0 < len(shown) < len(every)
    assert (list(texts[work.documents_sha256]), faults) == (shown, [])


def test_a_document_that_stands_twice_is_named(tmp_path: Path) -> None:
    result = make_result("none", docs=2)
    write_documents(tmp_path, [replace(item, id="twice") for item in documents(2)])
    run, faults = read_run("mine", None, [], {tmp_path: result}, "mine")
    assert run.jobs[0].generated is None
    assert faults == [
        f"{tmp_path / DOCUMENTS_FILE}: holds document 'twice' twice; delete the job's folder to run it again"
    ]
