"""A user's own CSV, TSV, Parquet and JSON lines, their fields of any name, one or many, turned into documents."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import Dataset
from pipeline.documents import Document, read_documents
from pipeline.errors import UsageError
from pipeline.host.corpora import own
from pipeline.host.dataset_options import FieldChoice
from pipeline.host.datasets import resolve

ROWS: list[dict[str, Any]] = [
    {"id": "a", "document": "Tie the rope, then\npull.", "summary": "Tie it."},
    {"id": "b", "document": 'Öffne die „Tür".', "summary": "Geh hinein."},
]
DOCUMENTS = [Document(**row) for row in ROWS]


def written(path: Path, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    """The rows as a file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def found(given: Path | str, tmp_path: Path, **fields: str) -> Dataset:
    dataset = resolve(str(given), tmp_path / "data", fields=FieldChoice(**fields))
    assert isinstance(dataset, Dataset)
    return dataset


def documents(given: Path | str, tmp_path: Path, **fields: str) -> list[Document]:
    return list(read_documents(tmp_path / "data" / found(given, tmp_path, **fields).path))


def renamed(rows: Sequence[dict[str, Any]] = ROWS) -> list[dict[str, Any]]:
    return [{"text": row["document"], "abstract": row["summary"]} for row in rows]


@pytest.mark.parametrize("name", ["mine.csv", "mine.tsv", "mine.parquet", "MINE.jsonl"])
def test_documents_are_the_same_from_every_kind_of_file(name: str, tmp_path: Path) -> None:
    assert documents(written(tmp_path / name), tmp_path) == DOCUMENTS


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet", "mine.jsonl"])
def test_fields_of_other_names_are_named_and_ids_made_of_file_and_row(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, renamed())
    read = documents(path, tmp_path, document="text", summary="abstract")
    assert [(item.document, item.summary) for item in read] == [(item.document, item.summary) for item in DOCUMENTS]
    assert [item.id for item in read] == [f"{name}:1", f"{name}:2"]


def test_another_field_can_tell_documents_apart_and_be_a_number(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.parquet", [row | {"number": 7 + at} for at, row in enumerate(ROWS)])
    assert [item.id for item in documents(path, tmp_path, id="number")] == ["7", "8"]


@pytest.mark.parametrize(
    "article",
    [
        {"document": ["One.\n", " Two."], "summary": ["1", "2"]},
        [{"document": "One.", "summary": "1"}, {"document": "Two.", "summary": "2"}],
    ],
    ids=["struct of lists", "list of structs"],
)
@pytest.mark.parametrize("name", ["mine.parquet", "mine.jsonl"])
def test_dotted_names_reach_into_sections_which_are_joined(name: str, article: Any, tmp_path: Path) -> None:
    path = written(tmp_path / name, [{"id": "a", "article": article}])
    read = documents(path, tmp_path, document="article.document", summary="article.summary")
    assert read == [Document("a", "One. Two.", "1 2")]


def test_a_column_whose_name_has_a_dot_goes_before_what_the_dot_reaches_into(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", [{"id": "a", "article.text": "One.", "summary": "1"}])
    assert documents(path, tmp_path, document="article.text") == [Document("a", "One.", "1")]


def test_a_pattern_takes_all_files_in_the_order_of_their_names_whatever_their_kinds(tmp_path: Path) -> None:
    for name in ("corpus/b.csv", "corpus/deep/c.parquet", "corpus/a.jsonl"):
        written(tmp_path / name, renamed(ROWS[:1]))
    read = found(str(tmp_path / "corpus" / "**"), tmp_path, document="text", summary="abstract")
    assert [item.id for item in read_documents(tmp_path / "data" / read.path)] == [
        "a.jsonl:1",
        "b.csv:1",
        "deep/c.parquet:1",
    ]
    assert read.name.startswith("corpus-")
    manifest = json.loads((tmp_path / "data" / read.path).with_suffix(".manifest.json").read_text(encoding="utf-8"))
    assert manifest["origin"]["files"] == ["a.jsonl", "b.csv", "deep/c.parquet"]
    assert manifest["origin"]["fields"] == {"document": "text", "summary": "abstract", "id": None, "url": None}


def test_what_was_converted_is_not_written_again_and_other_fields_are_another_dataset(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", [row | {"title": "Knots"} for row in ROWS])
    first = found(path, tmp_path)
    before = (tmp_path / "data" / first.path).stat().st_mtime_ns
    assert found(path, tmp_path) == first
    assert (tmp_path / "data" / first.path).stat().st_mtime_ns == before
    assert found(path, tmp_path, summary="title").path != first.path
    written(path, ROWS[:1])
    assert found(path, tmp_path).path != first.path


def test_rows_are_read_as_they_are_taken(tmp_path: Path) -> None:
    """The second file can't be read, which shows only when its turn comes."""
    first, second = written(tmp_path / "a.csv"), written(tmp_path / "b.csv")
    sources = [own.Source(path.name, path) for path in (first, second)]
    records = own.records(sources, own.settle_fields(sources, FieldChoice(id="document")))
    second.write_bytes(b"id,document,summary\na,\xff,s\n")
    assert [next(records)["id"] for _ in ROWS] == [row["document"] for row in ROWS]
    with pytest.raises(UsageError, match=r"b\.csv: not UTF-8"):
        next(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,text,summary\na,b,c\n", r"column 'document': not there, only id, text, summary; .*--document-field"),
        (b"id,documents,summary\na,b,c\n", "did you mean documents"),
        (b"id,document,abstract\na,b,c\n", r"column 'summary': not there, .*--summary-field"),
        (b"id;document;summary\na;b;c\n", "column 'document': not there, only id;document;summary"),
        (b"", "the file is empty"),
        (b"id,document,summary\n", "no article is left to write"),
        (b"id,document,document\na,b,c\n", "column 'document' stands twice"),
        (b"id,document,summary\na,b,c\na,b\n", "row 2, line 3: has 2 values, and there are 3 columns; .*in quotes"),
        (b"id,document,summary\na,one, two,c\n", "row 1, line 2: has 4 values"),
        (b'id,document,summary\na,"b\n\n,c\n', r"line 4: not a row of CSV .*end its quotes"),
        (b"id,document,summary\na,b,c\n\nb,,c\n", "row 2, line 4: field 'document' is empty"),
        (b"id,document,summary\na,\0,c\n", "row 1, line 2: field 'document' holds a NUL character"),
        ("id,document,summary\na,é,c\n".encode("latin-1"), "not UTF-8 .*save the file as UTF-8"),
        ("id,document,summary\na,b,c\n".encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        (b"id,document,summary\na,b,c\n a,b,c\n", r"row 2, line 3: id ' a' stands in .*row 1, line 2 already"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place_and_its_mend(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        found(path, tmp_path)
    assert "mine" in str(caught.value)
    assert not list(tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("rows", "fields", "message"),
    [
        ([{"id": "a", "text": "b", "summary": "c"}], {}, "column 'document': not there, only id, text, summary"),
        ([{"id": "a", "document": 1.5, "summary": "c"}], {}, "column 'document': expected text, found double; name an"),
        ([{"id": 1.5, "document": "b", "summary": "c"}], {}, "column 'id': expected text, found double; name another"),
        (
            [{"id": "a", "article": {"text": "b"}, "summary": "c"}],
            {"document": "article.document"},
            r"column 'article\.document': not there, only article\.text; .*--document-field",
        ),
        ([*ROWS, {"id": "c", "document": None, "summary": "c"}], {}, "row 3: field 'document' is empty"),
        ([*ROWS, ROWS[0]], {}, r"row 3: id 'a' stands in .*mine\.parquet: row 1 already.*--id-field"),
    ],
)
def test_a_mistake_in_a_parquet_file_is_named_with_its_place_and_its_mend(
    rows: list[dict[str, Any]], fields: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "mine.parquet", rows)
    with pytest.raises(UsageError, match=message):
        found(path, tmp_path, **fields)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"mine\.parquet: not a readable Parquet file .*; fetch or write it again"):
        found(path, tmp_path)


def test_a_line_whose_field_is_of_another_kind_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", [*renamed(), {"text": {"of": "b"}, "abstract": "c"}])
    with pytest.raises(UsageError, match=r"line 3: field 'text': must be text, or a list of texts, found dict; name"):
        found(path, tmp_path, document="text", summary="abstract")


def test_files_of_a_pattern_with_other_columns_are_named(tmp_path: Path) -> None:
    written(tmp_path / "corpus" / "a.csv")
    written(tmp_path / "corpus" / "b.csv", renamed())
    with pytest.raises(UsageError, match=r"b\.csv: column 'document': not there, only text, abstract"):
        found(str(tmp_path / "corpus" / "*.csv"), tmp_path)
    written(tmp_path / "corpus" / "b.csv", [{"document": "b", "summary": "c"}])
    with pytest.raises(UsageError, match=r"b\.csv: column 'id': not there, .*--id-field"):
        found(str(tmp_path / "corpus" / "*.csv"), tmp_path)


def test_a_file_of_a_pattern_without_a_line_adds_nothing(tmp_path: Path) -> None:
    written(tmp_path / "corpus" / "a.jsonl")
    (tmp_path / "corpus" / "b.jsonl").touch()
    assert documents(str(tmp_path / "corpus" / "*.jsonl"), tmp_path) == DOCUMENTS


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("corpus/*.jsonl", r"--dataset '.*\*\.jsonl': no file matches; correct the pattern, and quote it"),
        ("corpus/*", r"notes\.txt: not a kind that is read \(\.jsonl, .*\.parquet\); narrow the pattern"),
        ("corpus/none.csv", r"none\.csv: no such file"),
    ],
)
def test_what_names_no_file_of_a_kind_that_is_read_is_refused(given: str, message: str, tmp_path: Path) -> None:
    written(tmp_path / "corpus" / "notes.txt")
    with pytest.raises(UsageError, match=message):
        found(tmp_path / given, tmp_path)


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    written(tmp_path / "1.csv", renamed())
    assert documents(written(tmp_path / "[1].csv"), tmp_path) == DOCUMENTS


def test_fields_of_a_dataset_that_has_its_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--document-field, .*datasets\.yaml says so of sample; leave them out"):
        resolve("sample", tmp_path, fields=FieldChoice(document="text"))
