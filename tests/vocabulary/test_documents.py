"""Reading a dataset checks it line by line; choosing from it is the same everywhere."""

import hashlib
import json
from pathlib import Path

import pytest

from pipeline.documents import Document, choose, fingerprint, read_documents
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import sha256_json

GOOD = {"id": "a", "document": "Peel the apple.", "summary": "Peel it."}


def written(tmp_path: Path, *lines: bytes | dict[str, object]) -> Path:
    path = tmp_path / "documents.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def numbered(count: int) -> list[Document]:
    return [Document(f"doc-{number}", f"Text {number}.", "Summary.") for number in range(count)]


def test_blank_lines_and_further_fields_are_no_fault(tmp_path: Path) -> None:
    assert list(read_documents(written(tmp_path, GOOD | {"url": "x"}, b"", b"  "))) == [Document(**GOOD)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{not json", "line 2: not valid JSON"),
        (b'{"id": "b", "document": "\xff", "summary": "s"}', "line 2: not UTF-8"),
        (b'["b"]', "line 2: expected a JSON object"),
        (b'{"id": "b", "document": "d"}', "line 2: field 'summary' is missing; found 'id', 'document'"),
        (b'{"id": "b", "document": 7, "summary": "s"}', "line 2: field 'document' must be text, found int"),
        (b'{"id": "b", "document": " ", "summary": "s"}', "line 2: field 'document' is empty"),
        (b'{"id": "a", "document": "d", "summary": "s"}', "line 2: id 'a' stands on line 1 already"),
    ],
)
def test_a_malformed_line_is_named_with_its_file_and_number(tmp_path: Path, line: bytes, message: str) -> None:
    path = written(tmp_path, GOOD, line)
    with pytest.raises(UsageError, match=message) as caught:
        read_documents(path)
    assert str(path) in str(caught.value)


def test_an_empty_dataset_is_an_error_that_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the dataset is empty; it needs one JSON object a line"):
        read_documents(written(tmp_path))


def test_a_smaller_choice_is_part_of_a_larger_one() -> None:
    documents = numbered(50)
    assert set(choose(documents, 5, seed=3)) <= set(choose(documents, 20, seed=3))


def test_a_choice_keeps_the_datasets_order() -> None:
    chosen = choose(numbered(50), 20, seed=3)
    assert [document for document in numbered(50) if document in chosen] == list(chosen)


def test_the_choice_is_of_those_whose_hashes_with_the_seed_are_the_least() -> None:
    ranked = sorted(numbered(50), key=lambda item: hashlib.sha256(f"3:{item.id}".encode()).digest())
    assert set(choose(numbered(50), 20, seed=3)) == set(ranked[:20])


def test_another_seed_chooses_other_documents() -> None:
    assert list(choose(numbered(50), 10, seed=1)) != list(choose(numbered(50), 10, seed=2))


def test_more_documents_than_there_are_is_an_error() -> None:
    with pytest.raises(UsageError, match="51 documents asked for, the dataset has 50; lower --docs"):
        choose(numbered(50), 51, seed=0)


def test_the_fingerprint_changes_with_a_single_character() -> None:
    documents = numbered(3)
    changed = [*documents[:2], Document("doc-2", "Text 2!", "Summary.")]
    assert fingerprint(documents) != fingerprint(changed)


def test_the_fingerprint_is_that_of_the_documents_as_one_value() -> None:
    documents = numbered(3)
    assert fingerprint(documents) == sha256_json([[item.id, item.document, item.summary] for item in documents])
    assert fingerprint([]) == sha256_json([])


def test_a_repeated_id_is_found_and_named_among_many(tmp_path: Path) -> None:
    lines = [{"id": f"doc-{number}", "document": "d", "summary": "s"} for number in range(20_000)]
    path = written(tmp_path, *lines, lines[12_345] | {"summary": "another"})
    with pytest.raises(UsageError, match="line 20001: id 'doc-12345' stands on line 12346 already; make ids unique"):
        read_documents(path)


def test_documents_are_read_when_they_are_taken_and_in_any_order(tmp_path: Path) -> None:
    lines = [{"id": f"doc-{number}", "document": f"Text {number}.", "summary": "Summary."} for number in range(30)]
    documents = read_documents(written(tmp_path, *lines))
    assert list(documents) == numbered(30)
    assert [documents[29], documents[-30], *documents[4:9:2]] == [numbered(30)[at] for at in (29, 0, 4, 6, 8)]
    with pytest.raises(IndexError):
        documents[30]


def test_a_line_that_is_another_now_is_no_document(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, GOOD | {"id": "b"})
    documents = read_documents(path)
    path.write_bytes(path.read_bytes().replace(b"Peel it", b"Boil it", 1))
    assert documents[1].id == "b"
    with pytest.raises(BenchmarkError, match=r"documents\.jsonl: the documents changed while they were in use"):
        documents[0]


def test_a_file_in_its_place_changes_no_document(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    documents = read_documents(path)
    path.unlink()
    path.write_text("another")
    assert list(documents) == [Document(**GOOD)]


def test_the_bundled_sample_is_whole() -> None:
    documents = read_documents(Path("data/sample/howto_en.jsonl"))
    words = [len(document.document.split()) for document in documents]
    assert len(documents) >= 24
    assert min(words) >= 250
    assert max(words) <= 700
