"""WikiLingua from Parquet files of its nested schema: flattening, choosing, manifests, damage and the Hub."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
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

ROOT = Path(__file__).parent.parent.parent
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
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-in for the Hub have the file."""
    pq.write_table(as_struct_of_lists(ARTICLES), tmp_path / "published.parquet")
    monkeypatch.setattr(FakeHub, "content", (tmp_path / "published.parquet").read_bytes())


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


class FakeHub(http.server.BaseHTTPRequestHandler):
    """Answers for the one file at the one commit as the Hub does, and 404 for all else."""

    content = b""
    known = True

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.content)

    def _answer(self, body: bytes) -> None:
        expected = f"/datasets/{hub().repo}/resolve/{hub().revision}/{hub().files[0]}"
        if self.path != expected or not self.known:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", hub().revision)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def mirror() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def prepare_elsewhere(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Prepare in a process of its own: the Hub library reads its settings from the environment once."""
    script = (
        "from pathlib import Path\n"
        "from pipeline.errors import BenchmarkError\n"
        "from pipeline.host.datasets import prepare\n"
        f"try: print(prepare('wikilingua', Path({str(tmp_path)!r}), cache=Path({str(tmp_path / 'cache')!r})))\n"
        "except BenchmarkError as error: print('error:', error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.usefixtures("published")
def test_it_is_fetched_from_the_hub_or_a_mirror_at_the_pinned_commit(mirror: str, tmp_path: Path) -> None:
    done = prepare_elsewhere(tmp_path, HF_ENDPOINT=mirror)
    assert "documents=3" in done.stdout, done
    manifest = json.loads((tmp_path / "prepared/wikilingua-en.manifest.json").read_text(encoding="utf-8"))
    assert (manifest["origin"]["repo"], manifest["origin"]["revision"]) == (hub().repo, hub().revision)
    assert manifest["origin"]["files"] == list(hub().files)
    assert resolve("wikilingua", tmp_path) == Dataset("wikilingua", "prepared/wikilingua-en.jsonl", 3)


@pytest.mark.usefixtures("published")
def test_a_fetched_file_that_was_changed_is_made_anew_by_prepare(mirror: str, tmp_path: Path) -> None:
    prepare_elsewhere(tmp_path, HF_ENDPOINT=mirror)
    path = tmp_path / "prepared/wikilingua-en.jsonl"
    path.write_text("{}", encoding="utf-8")
    # the download is in the cache, so that no network is needed the second time
    assert "documents=3" in prepare_elsewhere(tmp_path, HF_HUB_OFFLINE="1").stdout
    assert len(lines(path)) == 3


def test_a_hub_that_does_not_have_the_commit_is_an_error_with_the_mend(
    mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(FakeHub, "known", False)
    message = prepare_elsewhere(tmp_path, HF_ENDPOINT=mirror).stdout
    assert message.startswith(f"error: {hub().repo} at {hub().revision} could not be fetched")
    assert "404" in message


def test_without_network_the_error_says_how_to_do_without(tmp_path: Path) -> None:
    message = prepare_elsewhere(tmp_path, HF_HUB_OFFLINE="1").stdout
    assert "could not be fetched" in message
    assert "HF_ENDPOINT" in message
    assert "--dataset sample" in message
    assert not (tmp_path / "prepared").exists()
