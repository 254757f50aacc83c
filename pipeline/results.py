"""What a job leaves behind: result.json and documents.jsonl, their types, readers and writers.

A figure that is not known is None, never 0. Times are seconds, memory is bytes, energy is joules.
"""

import datetime
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from pipeline import codec
from pipeline.entries import Rates, Scenario, Tuned
from pipeline.errors import UsageError
from pipeline.files import open_atomically, open_regular, read_json, write_json
from pipeline.measures import DocumentResult, Metrics, Quality, RepeatSample, Roofline, Timing, UsedSettings
from pipeline.names import Identifier, ImageName, Name, Sha256
from pipeline.plain import parse_json, shown
from pipeline.redact import redact
from pipeline.spec import Job, Shard, Workload

SCHEMA_VERSION = 1
RESULT_FILE = "result.json"
DOCUMENTS_FILE = "documents.jsonl"
REPEATS_FILE = "repeats.jsonl"
LOG_FILE = "log.txt"
IMPORTED = "imported"
"""The field that tells a result.json made from old files (pipeline/legacy) from one that was measured."""
LARGEST_DOCUMENTS_BYTES = 1 << 31
"""Of what is read at once."""
LONGEST_LINE_BYTES = 1 << 28
MEND = "delete the job's folder to run it again"

_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

Line = TypeVar("Line", DocumentResult, RepeatSample)

Status = Literal["ok", "failed", "timed_out", "skipped"]
Phase = Literal["plan", "prepare", "start", "load", "encode", "search", "warmup", "generate", "score", "save"]


class OtherKind(UsageError):
    """A result.json imported from old files (pipeline/legacy) where a measured one is wanted, or the reverse."""


@dataclass(frozen=True)
class Failure:
    """Why a job is not ok. class_: a class of failures.yaml, `unknown` where none matches."""

    class_: str
    phase: Phase
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class JobSummary:
    """The job as a reader of results sees it: names, not settings.

    command: see HostFacts; launch, repeats, gpus, shards, shard: see Job.
    synthetic: on random weights, which tell of speed, memory and energy alone.
    """

    key: Sha256
    run: Name
    experiment: Name
    optimization: str
    ranked: bool
    backend: Identifier
    model: Name | None
    model_revision: str | None
    gpu: Name
    image: ImageName
    variant: Name | None
    launcher: Name
    scenario: Scenario
    launch: int
    workload: Workload
    command: int | None = None
    repeats: int = 1
    preset: Name | None = None
    synthetic: bool = False
    tuned: Tuned | None = None
    gpus: int = 0
    shards: int = 1
    shard: Shard | None = None


@dataclass(frozen=True)
class Weights:
    """kind: real, rtn (round-to-nearest quantised here, not calibrated) or synthetic."""

    kind: Literal["real", "rtn", "synthetic"]
    sha256: str
    made_by: str | None = None
    perplexity: float | None = None
    perplexity_original: float | None = None


@dataclass(frozen=True)
class Environment:
    """Captured unasked. memory_bytes: of the GPU, or of the machine where no GPU is used.

    rates: measured after the timed section, of this job or of an earlier one of the command (HostFacts). throttled: the
    driver's reasons for lower clocks seen in the timed section; empty where there were none, None where they can't be
    told. read_ahead_bytes: what the orchestrator read into the page cache for later jobs in the timed section; None
    where it reads nothing ahead. gpu_uuids: of the GPUs that it computed on. side_by_side: the experiments whose jobs
    ran on this host's other GPUs at some time of this one. node: its name, told by the launcher where it starts jobs on
    several.
    """

    gpu_name: str | None = None
    gpu_count: int = 0
    compute_capability: float | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    cpu: str | None = None
    cpu_count: int | None = None
    memory_bytes: int | None = None
    python: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    image_digest: str | None = None
    compile_cache: Literal["cold", "warm"] | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    host_os: str | None = None
    rates: Rates | None = None
    throttled: tuple[str, ...] | None = None
    read_ahead_bytes: int | None = None
    gpu_uuids: tuple[str, ...] = ()
    side_by_side: tuple[str, ...] = ()
    node: str | None = None


@dataclass(frozen=True)
class ShardSummary:
    """What one shard of a job came to; its own folder, `shard-<number>-of-<N>`, holds the rest.

    docs: it completed; resumed: of them, how many an earlier attempt did. generate_s: None where there are such.
    device: what it ran on, as far as that is known: a GPU's UUID, with its node's name where there are nodes.
    """

    number: int
    status: Status
    docs: int | None = None
    resumed: int | None = None
    docs_per_s: float | None = None
    output_tokens_per_s: float | None = None
    generate_s: float | None = None
    load_s: float | None = None
    peak_memory_bytes: int | None = None
    gpu_name: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Result:
    """One job's outcome, failures included: the content of result.json.

    attempts: how often the job was started; more than once where a failure was of a class that may pass by itself.
    roofline: by the hardware's listed rates; roofline_measured: by those measured on it. shards: each of those that the
    job was split into; devices: how many GPUs (or machines without one) they ran on, None where that is not known.
    """

    job: JobSummary
    status: Status
    failure: Failure | None = None
    settings: UsedSettings = field(default_factory=UsedSettings)
    weights: Weights | None = None
    prompt_ids_sha256: str | None = None
    environment: Environment = Environment()
    timing: Timing = field(default_factory=Timing)
    metrics: Metrics | None = None
    quality: Quality | None = None
    roofline: Roofline | None = None
    roofline_measured: Roofline | None = None
    warnings: tuple[str, ...] = ()
    finished_at: str | None = None
    attempts: int = 1
    shards: tuple[ShardSummary, ...] = ()
    devices: int | None = None
    schema_version: int = SCHEMA_VERSION


def now_utc() -> str:
    """The time of day for people, in ISO 8601; durations never come from it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def summarize_job(job: Job) -> JobSummary:
    """The part of a job that its result repeats."""
    return JobSummary(
        key=job.key,
        run=job.run,
        experiment=job.experiment,
        optimization=job.optimization,
        ranked=job.ranked,
        backend=job.backend,
        model=job.model.name if job.model else None,
        model_revision=job.weights.revision if job.weights else None,
        gpu=job.gpu.name,
        image=job.image,
        variant=job.variant,
        launcher=job.launcher,
        scenario=job.scenario,
        launch=job.launch,
        workload=job.workload,
        command=job.host.command,
        repeats=job.repeats,
        preset=job.preset,
        synthetic=job.synthetic,
        tuned=job.tuned,
        gpus=job.gpus,
        shards=job.shards,
        shard=job.shard,
    )


def settings_asked(job: Job) -> UsedSettings:
    """A job's settings as far as they are known before its engine has run: a failed job's, too, tell it from others."""
    return UsedSettings(batch_size_asked=None if job.find_batch_size else job.batch_size)


def to_json(result: Result) -> dict[str, Any]:
    """A result as plain values, in the file's own words and order, without secrets in what came from logs."""
    value = codec.encode(result)
    if value["failure"] is not None:
        told = {name: redact(text) if isinstance(text, str) else text for name, text in value["failure"].items()}
        value["failure"] = {"class": told.pop("class_"), **told}
    value["warnings"] = [redact(warning) for warning in value["warnings"]]
    return {"schema_version": value.pop("schema_version"), **value}


def write_result(folder: Path, result: Result) -> None:
    """Write result.json atomically."""
    write_json(folder / RESULT_FILE, to_json(result))


def read_result(path: Path) -> Result:
    """Read one result.json. A UsageError names what is wrong; a newer schema version is refused with advice.

    OtherKind for an imported one.
    """
    value = read_versioned(path)
    if IMPORTED in value:
        raise OtherKind(f"{path}: was imported from old files and not measured here; --report shows it")
    if isinstance(value.get("failure"), dict) and "class" in value["failure"]:
        value["failure"]["class_"] = value["failure"].pop("class")
    return codec.decode(Result, value, str(path))


def read_versioned(path: Path) -> dict[str, Any]:
    """The fields of a result.json of this schema version, measured or imported; a UsageError for any other file."""
    value = read_json(path)
    if not isinstance(value, dict) or "schema_version" not in value:
        raise UsageError(f"{path}: not a result file (no schema_version); move it away or delete it")
    if value["schema_version"] != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: schema_version {shown(value['schema_version'])}, this version reads {SCHEMA_VERSION}; "
            "read it with the version that wrote it"
        )
    return value


def document_line(document: DocumentResult | RepeatSample) -> str:
    """One line of documents.jsonl or of repeats.jsonl, newline included."""
    return _LINE.encode(vars(document)) + "\n"


@contextmanager
def documents_writer(folder: Path) -> Iterator[Callable[[DocumentResult], None]]:
    """What is called with each document of documents.jsonl, which appears when the block ends well."""
    with open_atomically(folder / DOCUMENTS_FILE) as stream:

        def write(document: DocumentResult) -> None:
            stream.write(document_line(document))

        yield write


def write_documents(folder: Path, documents: Iterable[DocumentResult]) -> None:
    """Write documents.jsonl atomically."""
    with documents_writer(folder) as write:
        for document in documents:
            write(document)


def read_documents(path: Path) -> list[DocumentResult]:
    """Read documents.jsonl. A torn last line (the writer was killed) is dropped; damage elsewhere is a UsageError."""
    return _read_whole(DocumentResult, path)


def read_repeats(path: Path) -> list[RepeatSample]:
    """Read repeats.jsonl, in the order in which it was written; see read_documents."""
    return _read_whole(RepeatSample, path)


def documents_with_offsets(path: Path) -> Iterator[tuple[int, DocumentResult]]:
    """Each document of a documents.jsonl of any size, with its line's offset in bytes; see read_documents."""
    return _read_lines(DocumentResult, path)


def document_at(stream: BinaryIO, offset: int) -> DocumentResult:
    """The document of the line at that offset, which documents_with_offsets or this process had there before."""
    stream.seek(offset)
    return DocumentResult(**json.loads(stream.readline().decode()))


def _read_whole(kind: type[Line], path: Path) -> list[Line]:
    found = _read_lines(kind, path)
    if path.is_file() and path.stat().st_size > LARGEST_DOCUMENTS_BYTES:
        raise UsageError(f"{path}: larger than {LARGEST_DOCUMENTS_BYTES} bytes, which is more than is read at once")
    return [line for _, line in found]


def _read_lines(kind: type[Line], path: Path) -> Iterator[tuple[int, Line]]:
    offset = 0
    try:
        with open_regular(path) as stream:
            for number in itertools.count(1):
                line = stream.readline(LONGEST_LINE_BYTES)
                where = f"{path}: line {number}"
                if len(line) == LONGEST_LINE_BYTES:
                    raise UsageError(f"{where}: longer than a line of its kind is; {MEND}")
                if not line.endswith(b"\n"):
                    return
                yield offset, _read_line(kind, line.removesuffix(b"\n"), where)
                offset += len(line)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error


def _read_line(kind: type[Line], line: bytes, where: str) -> Line:
    try:
        return codec.decode(kind, parse_json(line, where), where)
    except UsageError as error:
        raise UsageError(f"{error}; {MEND}") from error
