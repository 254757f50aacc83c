"""What ten million documents take in a sharded job: planner, readers, merge and report, each in a process of its own.

Run from the repository's root: `.venv/bin/python -m benchmarks.ten_million`, with --docs for other numbers of documents
than 1,000,000 and 10,000,000, and --shards for other parts than four. The documents are a few words each, seeded; the
engine says a document's first word and counts no tokens. The job is as on random weights, whose texts get no ROUGE, and
its shards don't wait for the disk with each document, so that what is timed is the work. Stages: `plan`, from the
options to the job (reading, choosing, fingerprint); `shards`, from the job file to the shard's result, two at a time;
`merge`; `report`, as Markdown, HTML and CSV. --record adds the rows to benchmarks/results/ten_million.json. Some 1,200
bytes a document are needed in --folder.
"""

import argparse
import contextlib
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orchestrator
from pipeline import codec
from pipeline.catalog import load_catalog
from pipeline.choices import make_requests, resolve_choices
from pipeline.datasets import Dataset
from pipeline.files import read_json, write_json
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.merge import ShardsWall, merge
from pipeline.jobs import make_job, shard_jobs
from pipeline.machine import usable_cpus
from pipeline.plan import Selected, select
from pipeline.results import RESULT_FILE, now_utc, read_result, write_result
from pipeline.spec import HostFacts, Job, JobWeights
from pipeline.worker import runner
from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings
from pipeline.worker.runner import Roots, run

REPOSITORY = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "results" / "ten_million.json"
SIZES = (1_000_000, 10_000_000)
DATASET = "short.jsonl"
WORDS = ("rinse", "rice", "until", "clear", "then", "add", "water", "salt", "and", "oil", "cover", "simmer", "stir")
DOCUMENT_WORDS, SUMMARY_WORDS = 6, 2
SEED = 0
AT_ONCE = 2
RANDOM = JobWeights("synthetic-hf", "weights", "synthetic", "1", "0" * 64)
MIB = 1 << 20


class FirstWord:
    """Answers every request with its document's first word."""

    def load(self) -> None:
        """Nothing to load."""

    def encode(self, prompts: Sequence[str]) -> None:
        """No model, no ids."""

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """Nothing to compile."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        """One after another."""
        for request in requests:
            yield Completion(request.id, request.document.partition(" ")[0], output_ids=None, finish_reason="stop")

    def memory(self) -> MemoryUse:
        """Nothing is known."""
        return MemoryUse()

    def settings(self) -> Settings:
        """None."""
        return Settings()

    def close(self) -> None:
        """Nothing to free."""


def write_dataset(path: Path, docs: int) -> None:
    """So many documents of DOCUMENT_WORDS words, with summaries of SUMMARY_WORDS."""
    rng = random.Random(SEED)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(docs):
            words = rng.choices(WORDS, k=DOCUMENT_WORDS + SUMMARY_WORDS)
            document, summary = " ".join(words[:DOCUMENT_WORDS]), " ".join(words[DOCUMENT_WORDS:])
            stream.write(json.dumps({"id": f"document-{number}", "document": document, "summary": summary}) + "\n")


def plan(folder: Path, docs: int, shards: int) -> Job:
    """The sharded job that a command over the dataset comes to."""
    catalog = load_catalog()
    options = parse(["--gpu", "cpu", "--experiment", "lead-3", "--docs", str(docs)], catalog, list(LAUNCHERS))
    choices = resolve_choices(options, catalog)
    [request] = make_requests(options, choices, Dataset("short", DATASET, docs), folder, "process")
    request = replace(request, shards=shards)
    [item] = select(["lead-3"], catalog, choices.models[0].model, choices.hardware, lambda _image, _variant: None)
    assert isinstance(item, Selected)
    return replace(make_job(item, request, choices.hardware, None, HostFacts()), weights=RANDOM)


def stage(name: str, folder: Path, docs: int, shards: int) -> dict[str, float]:
    """Do one stage in this process: its peak memory and its seconds."""
    begun = time.perf_counter()
    if name == "plan":
        job = plan(folder, docs, shards)
        write_json(folder / "job.json", codec.encode(job))
    else:
        job = codec.decode(Job, read_json(folder / "job.json"), "job.json")
        if name == "merge":
            results = [read_result(folder / part.folder / RESULT_FILE) for part in shard_jobs(job)]
            merged = merge(folder, job, results, ShardsWall())
            assert merged.metrics is not None and merged.metrics.docs == docs
            write_result(folder / job.folder, merged)
        elif name == "report":
            where = ["--results", str(folder), "--data", str(folder)]
            with contextlib.redirect_stdout(sys.stderr):
                assert orchestrator.main(["--report", job.run, *where, "--formats", "md,html,csv"]) == 0
        else:
            part = replace(shard_jobs(job)[int(name) - 1], resume_documents=False)
            (folder / part.folder).mkdir(parents=True)
            runner.create_backend = lambda _name, _setup: FirstWord()
            run(part, Roots(folder, folder, folder), lambda *_: None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak_bytes": peak, "seconds": time.perf_counter() - begun}


def in_own_process(name: str, folder: Path, docs: int, shards: int) -> dict[str, float]:
    """The same in a process of its own."""
    asked = ["--docs", str(docs), "--shards", str(shards), "--folder", str(folder), "--stage", name]
    command = [sys.executable, "-m", "benchmarks.ten_million", *asked]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {found['peak_bytes'] / MIB:.0f} MiB, {found['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found


def measured(docs: int, shards: int, parent: Path) -> dict[str, Any]:
    """All stages over a dataset made for it."""
    if shutil.disk_usage(parent).free < 1200 * docs:
        raise SystemExit(f"{parent}: too little room for {docs} documents; name another --folder")
    with tempfile.TemporaryDirectory(prefix="ten-million-", dir=parent) as temporary:
        folder = Path(temporary)
        write_dataset(folder / DATASET, docs)
        (folder / RANDOM.path).mkdir()
        rows: dict[str, Any] = {"plan": in_own_process("plan", folder, docs, shards)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            numbers = [str(number) for number in range(1, shards + 1)]
            rows["shards"] = list(pool.map(lambda one: in_own_process(one, folder, docs, shards), numbers))
        for name in ("merge", "report"):
            rows[name] = in_own_process(name, folder, docs, shards)
        return rows


def record(docs: int, rows: dict[str, Any]) -> None:
    """Add it to what is on record, in place of an earlier one of the same size."""
    known = read_json(RECORD) if RECORD.exists() else {}
    shape = {"at_once": AT_ONCE, "words": DOCUMENT_WORDS, "seed": SEED}
    known[str(docs)] = {"measured_at": now_utc(), "cpus": usable_cpus(), **shape, **rows}
    write_json(RECORD, known)


def main() -> int:
    """Print a row for each number of documents and stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "cache")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    parser.add_argument("--stage", help=argparse.SUPPRESS)  # how it calls itself for one stage
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(stage(given.stage, given.folder, given.docs[0], given.shards)))
        return 0
    print("| documents | stage | peak memory, MiB | µs a document |\n|---|---|---|---|")
    for docs in given.docs:
        rows = measured(docs, given.shards, given.folder)
        largest = {name: max(one[name] for one in rows["shards"]) for name in ("peak_bytes", "seconds")}
        for name, row in {**rows, "shards": largest}.items():
            print(
                f"| {docs:,} | {name} | {row['peak_bytes'] / MIB:.0f} | {row['seconds'] / docs * 1e6:.1f} |", flush=True
            )
        if given.record:
            record(docs, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
