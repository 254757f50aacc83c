"""What users give as a dataset by mistake: each is refused before anything runs, in words that say how to mend it."""

import gzip
import json
import os
import resource
from pathlib import Path

import pytest

import orchestrator
from pipeline import documents
from pipeline.datasets import in_place, resolve
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.host import datasets as host

GOOD = {"id": "a", "document": "Peel the apple.", "summary": "Peel it."}
OTHER = {"id": "b", "document": "Tie the rope.", "summary": "Tie it."}
LINES = b"".join(json.dumps(item).encode() + b"\n" for item in (GOOD, OTHER))


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + LINES,
        LINES.replace(b"\n", b"\r\n"),
        LINES.replace(b"\n", b"\r"),
        LINES.removesuffix(b"\n"),
    ],
    ids=["byte order mark", "CRLF", "CR", "no end of the last line"],
)
def test_how_lines_end_and_a_byte_order_mark_make_no_difference(tmp_path: Path, content: bytes) -> None:
    assert [document.id for document in read_documents(written(tmp_path, content))] == ["a", "b"]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\u000b", "\u001c"])
def test_what_some_programs_take_for_the_end_of_a_line_is_text(tmp_path: Path, separator: str) -> None:
    record = GOOD | {"document": f"One{separator}two."}
    content = json.dumps(record, ensure_ascii=False).encode() + b"\n" + json.dumps(OTHER).encode()
    assert read_documents(written(tmp_path, content))[0].document == f"One{separator}two."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES.decode().encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        (LINES.replace(b"apple", "Äpfel".encode("latin-1")), "line 1: not UTF-8 .*save the file as UTF-8"),
        (gzip.compress(LINES, mtime=0), "compressed with gzip; unpack it"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"PAR1rest", "a Parquet file; write its rows as JSON lines"),
        (
            json.dumps([GOOD, OTHER]).encode(),
            r"line 1: .*found list; .*of one array make lines with `jq -c '\.\[\]' FILE`",
        ),
        (json.dumps([GOOD, OTHER], indent=1).encode(), r"line 1: .*of one array make lines with `jq"),
        (json.dumps(GOOD, indent=1).encode(), r"line 1: .*put each on one line with `jq -c \. FILE`"),
        (b"id,document,summary\na,b,c\n", "line 1: .*a table .CSV. has to be converted to JSON lines"),
        (b"id\tdocument\tsummary\n", "line 1: .*a table .CSV. has to be converted to JSON lines"),
        (LINES + b'{"id": "c", "document": "d"}', "line 3: field 'summary' is missing; found 'id', 'document'"),
        (
            LINES + b'{"id": "c", "document": "", "summary": "s"}',
            "line 3: field 'document' is empty; fill it or remove",
        ),
        (
            LINES + b'{"id": "c", "document": ["d"], "summary": "s"}',
            "line 3: field 'document' must be text, found list",
        ),
        (LINES + b'{"id": "c", "document": "d\\u0000", "summary": "s"}', "line 3: field 'document' holds a NUL"),
        (LINES + b'{"id": "c", "id": "d", "document": "d", "summary": "s"}', "line 3: .*'id' stands twice"),
        (LINES + b'{"id": "a", "document": "d", "summary": "s"}', "line 3: id 'a' stands on line 1 already; make"),
        (LINES + b'{"id": " b\\t", "document": "d", "summary": "s"}', "differs from 'b' on line 2 by white space or"),
        (LINES + b"\0\0\0", "line 3: not valid JSON"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_mend(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError, match=message) as caught:
        read_documents(path)
    assert str(caught.value).startswith(str(path))


def test_ids_that_look_the_same_in_another_unicode_form_are_refused(tmp_path: Path) -> None:
    composed, decomposed = GOOD | {"id": "caf\u00e9"}, OTHER | {"id": "cafe\u0301"}
    path = written(tmp_path, b"".join(json.dumps(item).encode() + b"\n" for item in (composed, decomposed)))
    with pytest.raises(UsageError, match=r"line 2: id .* on line 1 by white space or Unicode normalisation alone"):
        read_documents(path)


def test_a_line_without_end_is_refused_without_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)  # a sparse file: a gigabyte without a line's end
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="line 1: longer than 64 MiB; each line must be one JSON object"):
        read_documents(path)
    risen_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert risen_kib < 4 * documents.LONGEST_LINE_BYTES / 1024


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe, which a careless reader waits on for ever."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    return tmp_path / "pipe.jsonl"


def test_a_pipe_is_no_dataset_and_is_not_waited_for(pipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pipe\.jsonl: the dataset can't be read"):
        read_documents(pipe)
    for own_file in (in_place, host.copied):
        with pytest.raises(UsageError, match="not a file; --dataset takes a JSONL file"):
            resolve(str(pipe), tmp_path, own_file)


@pytest.mark.parametrize("given", ["/dev/zero", "/dev", "."])
def test_a_device_or_a_folder_is_no_dataset(given: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_documents(Path(given))
    with pytest.raises(UsageError, match="not a file; --dataset takes a JSONL file"):
        host.resolve(given, tmp_path)


def test_a_link_to_itself_is_no_dataset(tmp_path: Path) -> None:
    link = tmp_path / "loop.jsonl"
    link.symlink_to(link)
    with pytest.raises(UsageError, match="not a file"):
        host.resolve(str(link), tmp_path)
    with pytest.raises(UsageError, match="not a file"):
        resolve("loop.jsonl", tmp_path, in_place)


def test_a_list_of_articles_may_begin_with_a_byte_order_mark_and_must_be_a_file(pipe: Path, tmp_path: Path) -> None:
    from pipeline.datasets import read_articles

    listed = tmp_path / "urls.txt"
    listed.write_bytes(b"\xef\xbb\xbfhttps://x/A\r\nhttps://x/B\r\n")
    assert read_articles(listed) == {"https://x/A", "https://x/B"}
    with pytest.raises(UsageError, match="the list of articles can't be read"):
        read_articles(pipe)


def test_a_mistake_ends_the_command_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, LINES + b"{broken\n")
    folders = [f"--{name}={tmp_path / name}" for name in ("results", "cache", "data")]
    command = ["--gpu", "cpu", "--launcher", "process", "--experiment", "lead-3", "--dataset", str(path), *folders]
    assert orchestrator.main(command) == 2
    assert "mine.jsonl: line 3: not valid JSON" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["mine.jsonl"]
