"""WikiLingua from Parquet files of its nested schema: flattening, choosing, manifests, damage and the Hub."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import Dataset, HubParquet, NotPrepared, load_datasets
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.host.corpora.flatten import Flattener
from pipeline.host.datasets import prepare, resolve
from tests.host.hub import ROOT, Hub, prepare_elsewhere, serving

SITE = "https://www.wikihow.com/"
ARTICLES: list[tuple[str, list[tuple[str, str | None, str | None]]]] = [
    ("Tie-a-Knot", [("Start", "Take a rope.\nHold it. ", "Take a rope."), ("End", "Pull it tight.", "Pull.\n\nLook.")]),
    ("Say-Nothing", [("Only", "Some text.", "  \n")]),
    ("Do-Nothing", []),
    ("Öl-wechseln", [("Eins", "Lass das Öl ab.", "Öl ab."), ("Leer", None, "Filter neu.")]),
    ("Tie-a-Knot", [("Again", "Another text.", "Another.")]),
    ("Category/Tie-a-Knot", [("Other", "Not the same page.", "Not the same.")]),
]
TEXT = {"dtype": "string", "_type": "Value"}


def as_struct_of_lists(articles: Any) -> pa.Table:
    """As the dataset's own conversion lays it out, with the description of the features in the file's metadata."""
    names = ("section_name", "document", "summary")
    rows = [
        {"url": SITE + url, "article": {name: [section[i] for section in sections] for i, name in enumerate(names)}}
        for url, sections in articles
    ]
    lists = pa.struct([(name, pa.list_(pa.string())) for name in names])
    features = {"url": TEXT, "article": {"feature": dict.fromkeys(names, TEXT), "_type": "Sequence"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.Table.from_pylist(rows, pa.schema([("url", pa.string()), ("article", lists)], metadata=metadata))


def as_list_of_structs(articles: Any) -> pa.Table:
    names = ("section_name", "document", "summary")
    rows = [
        {"url": SITE + url, "article": [dict(zip(names, section, strict=True)) for section in sections]}
        for url, sections in articles
    ]
    structs = pa.list_(pa.struct([(name, pa.string()) for name in names]))
    return pa.Table.from_pylist(rows, pa.schema([("url", pa.string()), ("article", structs)]))


@pytest.fixture(params=[as_struct_of_lists, as_list_of_structs])
def parquet(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "articles.parquet"
    pq.write_table(request.param(ARTICLES), path)
    return path


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.txt"
    path.write_text(f"{SITE}Öl-wechseln\n\n{SITE}Category/Tie-a-Knot\n", encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def hub() -> HubParquet:
    entry = load_datasets()["wikilingua"]
    assert entry.hub is not None
    return entry.hub


def test_sections_become_one_document_with_one_summary_in_either_layout(parquet: Path, tmp_path: Path) -> None:
    found = prepare("wikilingua", tmp_path, parquet_files=[parquet])
    assert found == Dataset("wikilingua", "prepared/wikilingua-en.jsonl", 3)
    first, second, third = lines(tmp_path / found.path)
    assert first == {
        "id": "Tie-a-Knot",
        "url": SITE + "Tie-a-Knot",
        "document": "Take a rope. Hold it. Pull it tight.",
        "summary": "Take a rope. Pull. Look.",
    }
    assert (second["document"], second["summary"]) == ("Lass das Öl ab.", "Öl ab. Filter neu.")
    assert third["id"].startswith("Tie-a-Knot-")
    assert len(read_documents(tmp_path / found.path)) == 3


def test_the_first_section_of_each_article_is_a_dataset_of_its_own(parquet: Path, tmp_path: Path) -> None:
    found = prepare("wikilingua-first-section", tmp_path, parquet_files=[parquet])
    assert [(line["document"], line["summary"]) for line in lines(tmp_path / found.path)] == [
        ("Take a rope. Hold it.", "Take a rope."),
        ("Lass das Öl ab.", "Öl ab."),
        ("Not the same page.", "Not the same."),
    ]


def test_the_manifest_records_origin_licence_count_hash_and_drops(parquet: Path, tmp_path: Path) -> None:
    found = prepare("wikilingua", tmp_path, parquet_files=[parquet])
    content = (tmp_path / found.path).read_bytes()
    manifest = json.loads((tmp_path / "prepared/wikilingua-en.manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["bytes"] == len(content)
    assert manifest["documents"] == 3
    assert manifest["licence"] == "CC BY-NC-SA 3.0"
    assert manifest["dropped"] == {"empty_summary": 1, "empty_document": 1, "duplicate_url": 1}
    # nobody vouches that local files are the Hub's at the pinned commit
    assert (manifest["origin"]["repo"], manifest["origin"]["revision"]) == (None, None)
    assert manifest["origin"]["files_sha256"] == [hashlib.sha256(parquet.read_bytes()).hexdigest()]


def test_what_is_prepared_resolves_and_is_not_fetched_again(parquet: Path, tmp_path: Path) -> None:
    found = prepare("wikilingua", tmp_path, parquet_files=[parquet])
    assert resolve("wikilingua", tmp_path) == found
    assert prepare("wikilingua", tmp_path, cache=tmp_path / "unused") == found
    assert not (tmp_path / "unused").exists()


def test_a_list_of_urls_makes_a_file_of_its_own_whatever_its_order(
    parquet: Path, articles: Path, tmp_path: Path
) -> None:
    whole = prepare("wikilingua", tmp_path, parquet_files=[parquet])
    chosen = prepare("wikilingua", tmp_path, articles, parquet_files=[parquet])
    assert chosen.path != whole.path
    assert [line["url"] for line in lines(tmp_path / chosen.path)] == [
        SITE + "Öl-wechseln",
        SITE + "Category/Tie-a-Knot",
    ]
    articles.write_text("\n".join(reversed(articles.read_text(encoding="utf-8").split())), encoding="utf-8")
    assert resolve("wikilingua", tmp_path, articles) == chosen


def test_an_article_keeps_its_id_whatever_else_is_chosen(parquet: Path, articles: Path, tmp_path: Path) -> None:
    whole = prepare("wikilingua", tmp_path, parquet_files=[parquet])
    chosen = prepare("wikilingua", tmp_path, articles, parquet_files=[parquet])
    ids = {line["url"]: line["id"] for line in lines(tmp_path / whole.path)}
    assert all(ids[line["url"]] == line["id"] for line in lines(tmp_path / chosen.path))


def test_listed_urls_without_an_article_are_an_error_that_names_them(
    parquet: Path, articles: Path, tmp_path: Path
) -> None:
    with articles.open("a", encoding="utf-8") as stream:
        stream.write(f"{SITE}Nowhere\n{SITE}Do-Nothing\n")
    with pytest.raises(UsageError, match=f"2 of the 4 listed articles .*{SITE}Do-Nothing, {SITE}Nowhere;"):
        prepare("wikilingua", tmp_path, articles, parquet_files=[parquet])
    assert not list((tmp_path / "prepared").iterdir())


def test_an_empty_list_of_urls_is_refused(articles: Path, tmp_path: Path) -> None:
    articles.write_text("\n", encoding="utf-8")
    with pytest.raises(UsageError, match="list of articles is empty"):
        resolve("wikilingua", tmp_path, articles)


def test_a_prepared_file_that_was_changed_is_an_error(parquet: Path, tmp_path: Path) -> None:
    path = tmp_path / prepare("wikilingua", tmp_path, parquet_files=[parquet]).path
    path.write_text(path.read_text(encoding="utf-8").replace("rope", "cord"), encoding="utf-8")  # of the same length
    with pytest.raises(UsageError, match=r"wikilingua-en\.jsonl: changed since it was prepared"):
        resolve("wikilingua", tmp_path)


def test_a_file_prepared_at_another_revision_is_not_prepared(parquet: Path, tmp_path: Path) -> None:
    prepare("wikilingua", tmp_path, parquet_files=[parquet])
    path = tmp_path / "prepared/wikilingua-en.manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["origin"].update(repo=hub().repo, revision="0" * 40)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    found = resolve("wikilingua", tmp_path)
    assert isinstance(found, NotPrepared)
    assert "0000" in found.reason


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"link": "u", "article": {"document": ["d"], "summary": ["s"]}}, "column 'url'"),
        ({"url": 1, "article": {"document": ["d"], "summary": ["s"]}}, "column 'url': expected text"),
        ({"url": "u", "article": "text"}, "column 'article': expected a struct of lists or a list of structs"),
        ({"url": "u", "article": {"document": ["d"]}}, "column 'article.summary'"),
        ({"url": "u", "article": [{"document": 1, "summary": "s"}]}, "column 'article.document': expected text"),
    ],
)
def test_another_schema_is_refused_by_file_and_column(row: dict[str, Any], fault: str, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    with pytest.raises(UsageError, match=rf"other\.parquet: {fault}"):
        prepare("wikilingua", tmp_path, parquet_files=[path])


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "page.parquet"
    path.write_text("<html>not found</html>", encoding="utf-8")
    with pytest.raises(UsageError, match=r"page\.parquet: not a readable Parquet file"):
        prepare("wikilingua", tmp_path, parquet_files=[path])


def test_a_truncated_parquet_file_is_refused_by_name(parquet: Path, tmp_path: Path) -> None:
    parquet.write_bytes(parquet.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"articles\.parquet: not a readable Parquet file"):
        prepare("wikilingua", tmp_path, parquet_files=[parquet])


def test_five_thousand_articles_are_flattened_in_under_twenty_seconds(tmp_path: Path) -> None:
    words = "Hold the rope with both hands and pull it towards you. " * 35
    articles = [
        (f"Article-{n}", [("a", words, "Hold."), ("b", words, "Pull."), ("c", words, "Rest.")]) for n in range(5000)
    ]
    path = tmp_path / "many.parquet"
    pq.write_table(as_struct_of_lists(articles), path, row_group_size=1000)
    started = time.perf_counter()
    flattener = Flattener(hub().fields)
    assert sum(1 for _ in flattener.records([path])) == 5000
    assert time.perf_counter() - started < 20


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Hub]:
    """A stand-in for the Hub that has the file at the pinned commit."""
    pq.write_table(as_struct_of_lists(ARTICLES), tmp_path / "published.parquet")
    content = (tmp_path / "published.parquet").read_bytes()
    with serving(Hub(hub().repo, hub().revision, {hub().files[0]: content})) as served:
        yield served


def test_it_is_fetched_from_the_hub_or_a_mirror_at_the_pinned_commit(mirror: Hub, tmp_path: Path) -> None:
    printed = prepare_elsewhere(tmp_path, "wikilingua", HF_ENDPOINT=mirror.url)
    assert "documents=3" in printed
    assert "CC BY-NC-SA 3.0" in printed.splitlines()[0]
    manifest = json.loads((tmp_path / "prepared/wikilingua-en.manifest.json").read_text(encoding="utf-8"))
    assert (manifest["origin"]["repo"], manifest["origin"]["revision"]) == (hub().repo, hub().revision)
    assert manifest["origin"]["files"] == list(hub().files)
    assert resolve("wikilingua", tmp_path) == Dataset("wikilingua", "prepared/wikilingua-en.jsonl", 3)


def test_a_fetched_file_that_was_changed_is_made_anew_by_prepare(mirror: Hub, tmp_path: Path) -> None:
    prepare_elsewhere(tmp_path, "wikilingua", HF_ENDPOINT=mirror.url)
    path = tmp_path / "prepared/wikilingua-en.jsonl"
    path.write_text("{}", encoding="utf-8")
    # the download is in the cache, so that no network is needed the second time
    assert "documents=3" in prepare_elsewhere(tmp_path, "wikilingua", HF_HUB_OFFLINE="1")
    assert len(lines(path)) == 3


def test_a_hub_that_does_not_have_the_commit_is_an_error_with_the_mend(mirror: Hub, tmp_path: Path) -> None:
    mirror.commit = "0" * 40
    message = prepare_elsewhere(tmp_path, "wikilingua", HF_ENDPOINT=mirror.url).splitlines()[1]
    assert message.startswith(f"error: {hub().repo} at {hub().revision} could not be fetched")
    assert "404" in message


def test_without_network_the_error_says_how_to_do_without(tmp_path: Path) -> None:
    message = prepare_elsewhere(tmp_path, "wikilingua", HF_HUB_OFFLINE="1")
    assert "could not be fetched" in message
    assert "HF_ENDPOINT" in message
    assert "--dataset sample" in message
    assert not (tmp_path / "prepared").exists()


def test_of_rows_that_are_not_listed_no_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their texts are broken, which whoever reads them can't miss."""
    rows = [(f"Article-{number}", [("a", f"Text {number}.", f"Summary {number}.")]) for number in range(1000)]
    table = as_struct_of_lists(rows)
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xff"))
    texts = pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays([0, 1, 2], broken) for _ in range(3)], ["section_name", "document", "summary"]
    )
    unreadable = pa.table({"url": ["u", "v"], "article": texts}, schema=table.schema)
    path, listed = tmp_path / "articles.parquet", tmp_path / "urls.txt"
    pq.write_table(pa.concat_tables([unreadable, table, unreadable]), path)  # one row group, as it may come
    listed.write_text(f"{SITE}Article-7\n{SITE}Article-900\n", encoding="utf-8")
    found = prepare("wikilingua", tmp_path, listed, parquet_files=[path])
    assert [line["document"] for line in lines(tmp_path / found.path)] == ["Text 7.", "Text 900."]
    with pytest.raises(UsageError, match="not a readable Parquet file"):
        prepare("wikilingua", tmp_path / "whole", parquet_files=[path])


def test_a_file_of_one_row_group_is_flattened_in_less_memory_than_its_texts_take(tmp_path: Path) -> None:
    words = "Hold the rope with both hands and pull it towards you. " * 60
    articles = [(f"Article-{n}", [("a", f"{n} {words}", "Hold."), ("b", words, "Pull.")]) for n in range(25_000)]
    path = tmp_path / "many.parquet"
    pq.write_table(as_struct_of_lists(articles), path, compression="none", use_dictionary=False)
    texts_bytes = sum(len(text) for _, sections in articles for _, text, _ in sections)
    script = (
        "from pathlib import Path\nimport pyarrow.parquet\n"
        "from pipeline.datasets import load_datasets\nfrom pipeline.host.corpora.flatten import Flattener\n"
        "def peak_kib(): return int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
        "before = peak_kib()\n"
        "fields = load_datasets()['wikilingua'].hub.fields\n"
        f"documents = sum(1 for _ in Flattener(fields).records([Path({str(path)!r})]))\n"
        "print(documents, peak_kib() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    documents, risen_kib = map(int, done.stdout.split())
    assert documents == len(articles)
    assert risen_kib * 1024 < texts_bytes
