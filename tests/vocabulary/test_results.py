"""Result files round-trip, appear whole, and are refused with advice when they can't be read."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.files import write_json
from pipeline.measures import DocumentResult
from pipeline.results import (
    DOCUMENTS_FILE,
    RESULT_FILE,
    Failure,
    document_at,
    document_line,
    documents_with_offsets,
    read_documents,
    read_result,
    write_documents,
    write_result,
)
from tests.builders import make_result

DOCUMENTS = [DocumentResult("a", "One.", "stop", 10, 3), DocumentResult("b", "Zwölf\u2028Zeilen", "length", 10, 3)]


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    result = make_result("none", 0.5)
    write_result(tmp_path, result)
    assert read_result(tmp_path / RESULT_FILE) == result


def test_a_failure_is_written_with_the_word_class(tmp_path: Path) -> None:
    failure = Failure("cuda_oom", "load", "out of memory", "use a smaller batch")
    result = make_result("none", status="failed", failure=failure)
    write_result(tmp_path, result)
    assert json.loads((tmp_path / RESULT_FILE).read_text())["failure"]["class"] == "cuda_oom"
    assert read_result(tmp_path / RESULT_FILE).failure == failure


def test_a_result_of_a_newer_version_is_refused_with_advice(tmp_path: Path) -> None:
    write_json(tmp_path / RESULT_FILE, {"schema_version": 99})
    with pytest.raises(UsageError, match="schema_version 99, this version reads 1; read it with the version"):
        read_result(tmp_path / RESULT_FILE)


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1', b"\xff\x00", b"[]"])
def test_a_damaged_result_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / RESULT_FILE
    path.write_bytes(content)
    with pytest.raises(UsageError, match=RESULT_FILE):
        read_result(path)


def test_an_infinite_figure_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_result(tmp_path, make_result("none", float("inf")))
    assert list(tmp_path.iterdir()) == []


def test_documents_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_documents(tmp_path, DOCUMENTS)
    assert read_documents(tmp_path / DOCUMENTS_FILE) == DOCUMENTS


def test_documents_too_many_to_read_at_once_can_be_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents(tmp_path, DOCUMENTS)
    path = tmp_path / DOCUMENTS_FILE
    monkeypatch.setattr("pipeline.results.LARGEST_DOCUMENTS_BYTES", path.stat().st_size - 1)
    with pytest.raises(UsageError, match="which is more than is read at once"):
        read_documents(path)
    places, found = zip(*documents_with_offsets(path), strict=True)
    assert list(found) == DOCUMENTS
    with path.open("rb") as stream:
        assert [document_at(stream, place) for place in reversed(places)] == DOCUMENTS[::-1]


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / DOCUMENTS_FILE
    path.write_text(document_line(DOCUMENTS[0]) + document_line(DOCUMENTS[1])[:20], encoding="utf-8")
    assert read_documents(path) == DOCUMENTS[:1]


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / DOCUMENTS_FILE
    path.write_text("{torn\n" + document_line(DOCUMENTS[0]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"documents\.jsonl: line 1"):
        read_documents(path)
