"""A real engine over shards, each in a worker of its own: the same as one job over all documents."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.analysis.sentences import split_sentences
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.files import write_json
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.merge import ShardsWall, merge
from pipeline.host.prepare import Preparation
from pipeline.jobs import make_job, shard_jobs
from pipeline.plan import Request, Selected, select
from pipeline.report.watch import LineWatcher
from pipeline.results import DOCUMENTS_FILE, LOG_FILE, RESULT_FILE, Result, read_result
from pipeline.results import read_documents as read_completions
from pipeline.spec import HostFacts, Job, Workload
from tests.conformance.observing import CATALOG, CPU, MODEL

DOCS, SHARDS, NEW_TOKENS = 8, 4, 6
DATASET = "short.jsonl"
SENTENCES = 3
"""Of each document: a prompt is read at some hundred tokens a second on a CPU."""


def run(launcher: ProcessLauncher, item: Selected, job: Job) -> Result:
    """One worker's job, from its file to its result."""
    folder = launcher.results / job.folder
    write_json(folder / "job.json", codec.encode(job))
    ended = launcher.run(
        item.image, item.variant, ["--job", f"{job.folder}/job.json"], folder / LOG_FILE, lambda _line: None
    )
    assert ended.code == 0, (folder / LOG_FILE).read_text()
    return read_result(folder / RESULT_FILE)


def made_of(launcher: ProcessLauncher, job: Job) -> list[tuple[Any, ...]]:
    documents = read_completions(launcher.results / job.folder / DOCUMENTS_FILE)
    return [
        (item.id, item.text, item.finish_reason, item.prompt_tokens, item.output_tokens, item.prompt_sha256)
        for item in documents
    ]


def write_dataset(path: Path, sample: Path) -> None:
    """The sample's first documents, shortened."""
    with path.open("w", encoding="utf-8") as stream:
        for document in choose(read_documents(sample), DOCS, 0):
            text = " ".join(split_sentences(document.document)[:SENTENCES])
            stream.write(json.dumps({"id": document.id, "document": text, "summary": document.summary}) + "\n")


def test_a_model_s_outputs_and_scores_are_those_of_the_unsharded_job(cache: Path, data: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / DATASET, data / "sample" / "howto_en.jsonl")
    launcher = ProcessLauncher(tmp_path, cache, tmp_path)
    [item] = select(["gguf-q4"], CATALOG, MODEL, CPU, launcher.why_not)
    assert isinstance(item, Selected)
    prepared = Preparation(CATALOG, launcher, CPU, {}, cache, tmp_path / "logs", LineWatcher()).prepare([item])
    documents_sha256 = fingerprint(read_documents(tmp_path / DATASET))
    workload = Workload("short", DATASET, documents_sha256, DOCS, 0, CATALOG.prompts[MODEL.prompt], NEW_TOKENS)
    request = Request("shards", "single", None, workload, MODEL, "process")
    whole, split = (
        replace(
            make_job(item, replace(request, shards=number), CPU, prepared.weights_of(item), HostFacts()),
            precision=None,  # whose rates would be measured, which takes longer than the work
        )
        for number in (1, SHARDS)
    )
    one = run(launcher, item, whole)
    merged = merge(tmp_path, split, [run(launcher, item, part) for part in shard_jobs(split)], ShardsWall())
    assert made_of(launcher, split) == made_of(launcher, whole)
    assert (merged.prompt_ids_sha256, merged.quality) == (one.prompt_ids_sha256, one.quality)
    assert merged.quality is not None and merged.quality.rouge1_f1 is not None
    assert merged.metrics is not None and one.metrics is not None
    assert merged.metrics.output_tokens_mean == one.metrics.output_tokens_mean
