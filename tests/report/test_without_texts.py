"""A report without texts (--without-texts): nothing of documents, references and summaries, and all else as it is."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline import codec
from pipeline.documents import Document
from pipeline.measures import DocumentResult
from pipeline.report import csv_file, html, markdown
from pipeline.report.build import Options
from pipeline.report.html.documents import documents_json
from pipeline.report.model import Report
from pipeline.report.stored import StoredJob
from tests.builders import make_documents, make_report, make_result, make_workload, stored

DOCS = 45
WORK = make_workload(docs=DOCS)
SAID = "<dt>Documents' texts</dt><dd>left out, with their references and summaries (--without-texts)</dd>"
PLANTED = ("confidentialdocument", "confidentialreference", "confidentialsummary", "confidentialtitle")


def job(experiment: str, docs_per_s: float) -> StoredJob:
    return stored(make_result(experiment, docs_per_s, workload=WORK, docs=DOCS), outputs())


def outputs() -> list[DocumentResult]:
    made = make_documents([0.2 + number / 200 for number in range(DOCS)])
    return [
        replace(
            one, id=f"confidentialtitle {number}", text=f"Of confidentialsummary {number}.", ttft_s=0.5 + number / 90
        )
        for number, one in enumerate(made)
    ]


def report(**options: bool) -> Report:
    """Over two experiments whose documents, references, summaries and ids each hold one of the planted words."""
    articles = [Document(one.id, "On confidentialdocument.", "The confidentialreference.") for one in outputs()]
    texts = {WORK.documents_sha256: {one.id: one for one in articles}}
    return make_report([job("none", 0.5), job("vllm", 2.0)], Options(**options), texts)  # type: ignore[arg-type]


def as_json(made: Report) -> str:
    """As --report --json prints it."""
    return json.dumps(codec.encode(made))


WITH, WITHOUT = report(), report(texts=False)


@pytest.fixture(scope="module")
def page() -> str:
    return html.render(WITHOUT)


@pytest.fixture(scope="module")
def full_page() -> str:
    return html.render(WITH)


def test_a_page_holds_the_texts_unless_they_are_left_out(full_page: str, page: str) -> None:
    assert [word for word in PLANTED if word in full_page] == list(PLANTED)
    assert "confidential" not in page


@pytest.mark.parametrize("render", [markdown.render, csv_file.render, as_json])
def test_no_other_form_holds_a_text_either(render: Callable[[Report], str]) -> None:
    assert "confidential" not in render(WITHOUT)


@pytest.mark.parametrize("render", [markdown.render, csv_file.render])
def test_the_files_that_show_figures_alone_are_the_same(render: Callable[[Report], str]) -> None:
    assert render(WITHOUT) == render(WITH)


def test_the_page_says_that_texts_were_left_out(full_page: str, page: str) -> None:
    assert SAID in page
    assert "--without-texts" not in full_page


def test_a_page_without_texts_is_the_full_one_but_for_the_viewers_documents_and_that_sentence(
    full_page: str, page: str
) -> None:
    assert page.replace(f"<div>{SAID}</div>", "").replace(documents_json(WITHOUT), "") == full_page.replace(
        documents_json(WITH), ""
    )


def test_the_charts_are_the_same(full_page: str, page: str) -> None:
    def charts(text: str) -> list[str]:
        return re.findall(r"<figure\b.*?</figure>", text, re.DOTALL)

    assert "Time to first token" in page
    assert charts(page) == charts(full_page) != []


def test_each_documents_figures_stay_under_its_place() -> None:
    shown, kept = WITH.tables[0].documents, WITHOUT.tables[0].documents
    assert [one.id for one in kept] == [str(place) for place in range(1, DOCS + 1)]
    for one, other in zip(shown, kept, strict=True):
        assert {name: replace(output, text=None) for name, output in one.outputs.items()} == other.outputs


def test_the_viewer_gets_no_document_even_of_a_report_that_holds_them() -> None:
    assert json.loads(documents_json(replace(WITH, texts=False))) == {"texts": [], "tables": []}
