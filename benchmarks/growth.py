"""What the worker needs for more and more documents: its peak memory, and seconds for each 1,000 of them.

Run from the repository's root: `.venv/bin/python -m benchmarks.growth`, with --docs for other numbers of documents than
1,000, 10,000, 100,000 and 1,000,000. The job is lead-3's, each in a process of its own, over short documents that are
made up of the bundled sample's words, seeded. --unscored: as on random weights, whose texts get no ROUGE, which is most
of the work. --record adds the rows to benchmarks/results/growth.json.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline import codec
from pipeline.documents import fingerprint, read_documents
from pipeline.entries import Prompt
from pipeline.files import read_json, write_json
from pipeline.machine import usable_cpus
from pipeline.results import now_utc
from pipeline.spec import Job, JobGpu, JobWeights, Workload
from pipeline.worker.runner import Roots, run

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "data" / "sample" / "howto_en.jsonl"
RECORD = Path(__file__).parent / "results" / "growth.json"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
DATASET = "growth.jsonl"
SENTENCES, WORDS, SUMMARY_WORDS = 4, 6, 8
SEED = 0
RANDOM = JobWeights("synthetic-hf", "weights", "synthetic", "1", "0" * 64)
MIB = 1 << 20


def write_dataset(path: Path, docs: int) -> None:
    """So many documents of SENTENCES sentences of WORDS words, with summaries of SUMMARY_WORDS."""
    words = [word.strip(".,") for document in read_documents(SAMPLE) for word in document.document.split()]
    rng = random.Random(SEED)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(docs):
            sentences = [" ".join(rng.choices(words, k=WORDS)).capitalize() + "." for _ in range(SENTENCES)]
            summary = " ".join(rng.choices(words, k=SUMMARY_WORDS))
            record = {"id": f"document-{number}", "document": " ".join(sentences), "summary": summary}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def make_job(dataset: Path, docs: int, *, scored: bool = True) -> Job:
    """lead-3 over the whole dataset, as the orchestrator would have it run."""
    sha256 = fingerprint(read_documents(dataset))
    return Job(
        schema_version=1,
        key="0" * 64,
        run="growth",
        folder=f"growth/lead-3--{docs}",
        experiment="lead-3",
        optimization="none",
        ranked=False,
        backend="lead",
        image="reference",
        variant="cpu",
        launcher="process",
        scenario="offline",
        launch=1,
        dtype="float32",
        options={"sentences": 3},
        batch_size=None,
        gpu=JobGpu("cpu", "CPU", "cpu"),
        model=None,
        weights=None if scored else RANDOM,
        workload=Workload("growth", DATASET, sha256, docs, SEED, Prompt("plain", "{document}"), 60),
        lock_sha256="0" * 64,
        code_sha256="0" * 64,
    )


def measure(job_file: Path, folder: Path) -> dict[str, float]:
    """Run the job in this process: its peak memory, and its seconds: in all, of all its processors, and by phase."""
    job = codec.decode(Job, read_json(job_file), str(job_file))
    begun, before = time.perf_counter(), os.times()
    timing = run(job, Roots(folder, folder, folder), lambda *_: None).timing
    seconds, after = time.perf_counter() - begun, os.times()
    own, scoring = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "peak_bytes": own * 1024,
        "largest_scoring_process_bytes": scoring * 1024,
        "seconds": seconds,
        "processor_s": sum(after[:4]) - sum(before[:4]),
        "generate_s": timing.generate_s or 0.0,
        "score_s": timing.score_s or 0.0,
    }


def measured(docs: int, *, scored: bool) -> dict[str, float]:
    """The same in a process of its own, over a dataset made for it."""
    with tempfile.TemporaryDirectory(prefix="growth-", dir=REPOSITORY / "cache") as name:
        folder = Path(name)
        write_dataset(folder / DATASET, docs)
        job = make_job(folder / DATASET, docs, scored=scored)
        (folder / RANDOM.path).mkdir()
        (folder / job.folder).mkdir(parents=True)
        write_json(folder / "job.json", codec.encode(job))
        command = [sys.executable, "-m", "benchmarks.growth", "--measure", str(folder)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found | {"dataset_bytes": (folder / DATASET).stat().st_size}


def record(kind: str, docs: int, row: dict[str, float]) -> None:
    """Add it to what is on record, in place of an earlier one of the same kind."""
    rows = read_json(RECORD) if RECORD.exists() else {}
    shape = {"sentences": SENTENCES, "words": WORDS, "summary_words": SUMMARY_WORDS, "seed": SEED}
    rows.setdefault(kind, {})[str(docs)] = {"measured_at": now_utc(), "cpus": usable_cpus(), **shape, **row}
    write_json(RECORD, rows)


def main() -> int:
    """Print a row for each number of documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--unscored", action="store_true")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # how it calls itself for one number
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure / "job.json", given.measure)))
        return 0
    print("| documents | peak memory, MiB | seconds per 1,000 | of which generating | scoring | processors' |")
    print("|---|---|---|---|---|---|")
    for docs in given.docs:
        row = measured(docs, scored=not given.unscored)
        thousands = docs / 1000
        each = " | ".join(
            f"{row[name] / thousands:.2f}" for name in ("seconds", "generate_s", "score_s", "processor_s")
        )
        print(f"| {docs:,} | {row['peak_bytes'] / MIB:.0f} | {each} |", flush=True)
        if given.record:
            record("unscored" if given.unscored else "scored", docs, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
