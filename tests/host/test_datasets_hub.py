"""Datasets of the Hub: flat columns, any by its name, what is announced, hashes, and downloads that break off."""

import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import Dataset, HubParquet, NotPrepared, describe, load_datasets
from pipeline.documents import Document, read_documents
from pipeline.errors import UsageError
from pipeline.host.corpora.flatten import Flattener, with_usual_id
from pipeline.host.corpora.hub_name import HubName, parse_hub_name
from pipeline.host.dataset_options import FieldChoice
from pipeline.host.datasets import prepare, resolve
from pipeline.prepared import Fields
from tests.host.hub import Hub, prepare_elsewhere, serving, start_preparing

PIECE_BYTES = 10 << 20
"""What the Hub's library writes at once."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [
    {"id": "a", "article": "One.\nTwo.", "highlights": "1 .\n2 ."},
    {"id": "b", "article": " ", "highlights": "Empty."},
    {"id": "c", "article": "Three.", "highlights": None},
    {"id": "a", "article": "Again.", "highlights": "Again."},
]
FIELDS = {"document": "article", "summary": "highlights"}


def parquet(rows: list[dict[str, Any]] = ROWS) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def listed(name: str) -> HubParquet:
    hub = load_datasets()[name].hub
    assert hub is not None
    return hub


def manifest_of(folder: Path) -> dict[str, Any]:
    [path] = (folder / "prepared").glob("*.manifest.json")
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


@pytest.fixture
def news() -> Iterator[Hub]:
    """A dataset with two configurations and two splits of one of them."""
    files = {"1.0/test-00000-of-00001.parquet": parquet(ROWS[:1]), "2.0/train-00000-of-00001.parquet": parquet()}
    files |= {"2.0/test-00001-of-00002.parquet": parquet([ROWS[0] | {"id": "z"}])}
    files |= {"2.0/test-00000-of-00002.parquet": parquet(), "README.md": b"# News"}
    with serving(Hub("someone/news", COMMIT, files, refs=("main", "v1"))) as hub:
        yield hub


@pytest.fixture
def xsum() -> Iterator[Hub]:
    """XSum with one article that makes the file of some 24 MB, more than two of the pieces that are written at once."""
    rows = [{"id": "1", "document": "Twelve bytes" * 2_000_000, "summary": "Text."}]
    stream, known = io.BytesIO(), listed("xsum")
    pq.write_table(pa.Table.from_pylist(rows), stream, compression="none", use_dictionary=False, write_statistics=False)
    with serving(Hub(known.repo, known.revision, {known.files[0]: stream.getvalue()})) as hub:
        yield hub


def test_texts_of_flat_columns_stand_as_they_are_and_rows_without_one_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    path.write_bytes(parquet())
    found = prepare("cnn-dailymail", tmp_path, parquet_files=[path])
    assert list(read_documents(tmp_path / found.path)) == [Document("a", "One.\nTwo.", "1 .\n2 .")]
    assert manifest_of(tmp_path)["dropped"] == {"empty_document": 1, "empty_summary": 1, "duplicate_id": 1}
    assert manifest_of(tmp_path)["origin"]["fields"] == {"id": "id", **FIELDS, "url": None}


def test_every_dataset_of_the_hub_is_described_with_its_licence_and_pinned_to_a_commit() -> None:
    for entry in load_datasets().values():
        if entry.hub is not None:
            assert re.fullmatch(r"[0-9a-f]{40}", entry.hub.revision)
            assert entry.licence in describe(entry)


def test_a_list_of_articles_is_refused_where_a_dataset_has_no_urls(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("https://x/A\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--articles chooses from a fetched dataset by URL; it can't be used with 'xs"):
        resolve("xsum", tmp_path, urls)


def test_a_size_that_is_not_recorded_is_asked_for_and_shown_with_the_licence_before_the_download(
    xsum: Hub, tmp_path: Path
) -> None:
    assert listed("xsum").download_mb is None
    announced, outcome = prepare_elsewhere(tmp_path, "xsum", HF_ENDPOINT=xsum.url).splitlines()
    assert re.search(r"licence unknown .*BBC.* from EdinburghNLP/xsum at 7d4d486c on .* Hub, 25 MB", announced)
    assert "documents=1" in outcome


def test_a_file_with_another_sha256_than_the_recorded_one_is_refused_and_deleted(tmp_path: Path) -> None:
    cnn = listed("cnn-dailymail")
    with serving(Hub(cnn.repo, cnn.revision, {cnn.files[0]: parquet()})) as hub:
        printed = prepare_elsewhere(tmp_path, "cnn-dailymail", HF_ENDPOINT=hub.url)
    assert cnn.files_sha256 is not None
    assert re.search(rf"has sha256 {hashlib.sha256(parquet()).hexdigest()}, not {cnn.files_sha256[0]}; it was", printed)
    assert "Run --prepare again" in printed
    assert not list(tmp_path.rglob("*.parquet*[!k]"))


def test_a_file_with_another_sha256_than_the_hub_names_is_refused(xsum: Hub, tmp_path: Path) -> None:
    xsum.sha256 = "1" * 64
    printed = prepare_elsewhere(tmp_path, "xsum", HF_ENDPOINT=xsum.url)
    assert f"not {'1' * 64}; it was deleted" in printed


def test_a_download_whose_connection_breaks_goes_on_where_it_ended(xsum: Hub, tmp_path: Path) -> None:
    xsum.cuts = [15_000_000]
    assert "documents=1" in prepare_elsewhere(tmp_path, "xsum", HF_ENDPOINT=xsum.url)
    assert xsum.ranges() == [None, f"bytes={PIECE_BYTES}-"]


def test_a_download_that_was_killed_goes_on_in_the_next_command(xsum: Hub, tmp_path: Path) -> None:
    xsum.cuts, xsum.stalls = [15_000_000], True
    killed = start_preparing(tmp_path, "xsum", {}, HF_ENDPOINT=xsum.url)
    deadline = time.monotonic() + 30
    part = tmp_path / "cache" / "EdinburghNLP--xsum" / xsum.commit / f"{listed('xsum').files[0]}.part"
    while not (part.exists() and part.stat().st_size >= PIECE_BYTES) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    held = part.stat().st_size
    assert held == PIECE_BYTES
    assert "documents=1" in prepare_elsewhere(tmp_path, "xsum", HF_ENDPOINT=xsum.url)
    assert xsum.ranges() == [None, f"bytes={held}-"]
    assert not part.exists()


def test_what_was_left_of_a_longer_file_is_fetched_from_its_start(xsum: Hub, tmp_path: Path) -> None:
    part = tmp_path / "cache" / "EdinburghNLP--xsum" / xsum.commit / f"{listed('xsum').files[0]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 30_000_000)
    assert "documents=1" in prepare_elsewhere(tmp_path, "xsum", HF_ENDPOINT=xsum.url)
    assert xsum.ranges() == [None]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("hub:a/b", HubName("a/b")),
        ("hub:a/b:test", HubName("a/b", split="test")),
        ("hub:a/b:3.0.0/test", HubName("a/b", config="3.0.0", split="test")),
        ("hub:a/b@refs/convert/parquet:c/test", HubName("a/b", "refs/convert/parquet", "c", "test")),
    ],
)
def test_a_name_on_the_hub_has_a_revision_a_configuration_and_a_split(given: str, parts: HubName) -> None:
    assert parse_hub_name(given) == parts


@pytest.mark.parametrize(
    "given", ["hub:", "hub:b", "hub:a/b/c", "hub:a/b:", "hub:a/b:c/d/e", "hub:../b", "hub:a/b@../"]
)
def test_what_is_no_name_on_the_hub_is_refused_in_words(given: str) -> None:
    with pytest.raises(UsageError, match=rf"--dataset '{re.escape(given)}'"):
        parse_hub_name(given)


def test_any_dataset_is_fetched_by_its_name_there_and_its_commit_recorded(news: Hub, tmp_path: Path) -> None:
    given = "hub:someone/news@main:2.0/test"
    before = resolve(given, tmp_path, fields=FieldChoice(**FIELDS))
    assert isinstance(before, NotPrepared)
    announced, outcome = prepare_elsewhere(tmp_path, given, FIELDS, HF_ENDPOINT=news.url).splitlines()
    assert re.search(r"licence mit; from someone/news at 01234567 on the Hugging Face Hub, 1 MB", announced)
    assert "documents=2" in outcome
    origin = manifest_of(tmp_path)["origin"]
    assert (origin["repo"], origin["revision"]) == ("someone/news", COMMIT)
    assert origin["files"] == ["2.0/test-00000-of-00002.parquet", "2.0/test-00001-of-00002.parquet"]
    found = resolve(given, tmp_path, fields=FieldChoice(**FIELDS))
    assert isinstance(found, Dataset)
    assert [item.id for item in read_documents(tmp_path / found.path)] == ["a", "z"]
    assert origin["fields"]["id"] == "id"


def test_ids_of_a_dataset_of_the_hub_without_any_are_made_of_file_and_row(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    path.write_bytes(parquet([{"document": f"d{number}", "summary": "s"} for number in range(2)]))
    fields = with_usual_id(Fields("document", "summary"), [path])
    assert [record["id"] for record in Flattener(fields).records([path])] == ["test.parquet:1", "test.parquet:2"]


def test_a_name_that_leaves_a_choice_of_splits_is_answered_with_what_there_is(news: Hub, tmp_path: Path) -> None:
    for given, fault in (
        ("hub:someone/news:test", "has several splits"),
        ("hub:someone/news:2.0/dev", "has no split 2.0/dev"),
    ):
        printed = prepare_elsewhere(tmp_path, given, FIELDS, HF_ENDPOINT=news.url)
        assert f"error: someone/news: {fault}; name one, such as hub:someone/news:1.0/test" in printed
        assert printed.rstrip().endswith("there are 1.0/test, 2.0/test, 2.0/train")


def test_a_field_that_a_dataset_of_the_hub_does_not_have_is_named_with_the_option(news: Hub, tmp_path: Path) -> None:
    printed = prepare_elsewhere(tmp_path, "hub:someone/news:1.0/test", {"document": "artikel"}, HF_ENDPOINT=news.url)
    assert "column 'artikel': not there, only id, article, highlights; did you mean article?" in printed
    assert "--document-field" in printed


def test_of_a_dataset_without_parquet_files_the_hubs_conversion_is_taken(tmp_path: Path) -> None:
    converted = {"default/test/0000.parquet": parquet(ROWS[:1])}
    with serving(Hub("someone/old", COMMIT, {"test.csv": b"id"}, branches={"refs/convert/parquet": converted})) as hub:
        printed = prepare_elsewhere(tmp_path, "hub:someone/old:test", FIELDS, HF_ENDPOINT=hub.url)
    assert "documents=1" in printed
    assert manifest_of(tmp_path)["origin"]["files"] == ["default/test/0000.parquet"]


def test_a_dataset_of_the_hub_that_is_not_there_is_an_error_with_the_mend(news: Hub, tmp_path: Path) -> None:
    printed = prepare_elsewhere(tmp_path, "hub:someone/else", HF_ENDPOINT=news.url)
    assert "error: someone/else could not be fetched from the Hugging Face Hub" in printed
    assert "Check the name" in printed
