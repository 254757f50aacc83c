"""What scoring and reporting take, by the number of documents: two experiments' results, as Markdown, HTML and CSV.

Run from the repository's root: `.venv/bin/python -m benchmarks.report_speed`, with --times for reports over so many
times the documents that were scored, each standing as often under ids of its own. Documents, references and outputs are
made of the bundled sample's sentences, seeded: outputs and references of some 60 to 90 words. `lead-3` is run over them
as any job is, which is what is scored. Its files then stand for two rows that run a model, the second with some of the
outputs exchanged, so that the report compares them document by document. --record writes
benchmarks/results/report_speed.json.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.analysis.sentences import split_sentences
from pipeline.documents import fingerprint, read_documents
from pipeline.files import read_json, write_json
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult
from pipeline.results import (
    DOCUMENTS_FILE,
    RESULT_FILE,
    Result,
    documents_writer,
    now_utc,
    read_result,
    write_result,
)
from pipeline.results import read_documents as read_outputs

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "data" / "sample" / "howto_en.jsonl"
RECORD = Path(__file__).parent / "results" / "report_speed.json"
SHORTEST, LONGEST = 60, 90
LATER_SENTENCES = 20
FORMATS = "md,html,csv"
RUN = "many"
SEED = 0


def make_documents(path: Path, count: int) -> None:
    """Documents whose first three sentences have SHORTEST to LONGEST words together, and references of as many."""
    sentences = [text for document in read_documents(SAMPLE) for text in split_sentences(document.document)]
    words = [word for text in sentences for word in text.removesuffix(".").split()]
    rng = random.Random(SEED)

    def passage(least: int, most: int) -> str:
        length = rng.randint(least, most)
        start = rng.randrange(len(words) - length)
        return " ".join(word.rstrip(".!?") for word in words[start : start + length])

    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            first = " ".join(f"{passage(SHORTEST // 3, LONGEST // 3).capitalize()}." for _ in range(3))
            document = f"{first} {' '.join(rng.choices(sentences, k=LATER_SENTENCES))}"
            summary = f"{passage(SHORTEST, LONGEST)}."
            stream.write(json.dumps({"id": f"made-{number}", "document": document, "summary": summary}) + "\n")


def multiply(source: Path, path: Path, times: int) -> None:
    """Each document so many times."""
    with source.open(encoding="utf-8") as read, path.open("w", encoding="utf-8") as stream:
        for line in read:
            document = json.loads(line)
            stream.writelines(json.dumps({**document, "id": name}) + "\n" for name in ids(document["id"], times))


def ids(name: str, times: int) -> Iterator[str]:
    """Of so many copies of a document."""
    return (f"{name}-{number}" for number in range(times))


def orchestrator(*arguments: str) -> tuple[float, int]:
    """Seconds of a command, from its start to its end, and the most memory that it held, in bytes."""
    started = time.perf_counter()
    command = [sys.executable, "orchestrator.py", *arguments]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{shlex.join(command)}: ended with status {status}")
    return time.perf_counter() - started, used.ru_maxrss * 1024


def stand_for(result: Result, outputs: Sequence[DocumentResult], experiment: str, folder: Path, times: int) -> None:
    """Write the lead's result and outputs, so many times each, as those of an experiment that runs a model."""
    folder.mkdir()
    job = replace(result.job, experiment=experiment, optimization=experiment, model="made-up", ranked=True)
    tokens = [len(output.text.split()) for output in outputs]
    with documents_writer(folder) as write:
        for output, count in zip(outputs, tokens, strict=True):
            for name in ids(output.id, times):
                write(replace(output, id=name, output_tokens=count, ttft_s=0.01, tpot_s=0.01))
    metrics = replace(result.metrics, docs=len(outputs) * times, output_tokens_mean=statistics.mean(tokens))
    write_result(folder, replace(result, job=job, metrics=metrics, prompt_ids_sha256="0" * 64))


def measured(count: int, times: int, folder: Path) -> dict[str, Any]:
    """Seconds of scoring so many documents and of reporting over times as many, and what the report holds and wrote."""
    scored, documents = folder / "scored.jsonl", folder / "documents.jsonl"
    make_documents(scored, count)
    multiply(scored, documents, times)
    results = folder / "results"
    common = ["--results", str(results), "--data", str(folder), "--launcher", "process"]
    job = ["--gpu", "cpu", "--experiment", "lead-3", "--dataset", str(scored), "--docs", str(count), "--run", RUN]
    orchestrator(*job, *common, "--formats", "md")
    [path] = (results / RUN).glob(f"*/{RESULT_FILE}")
    result, outputs = read_result(path), read_outputs(path.parent / DOCUMENTS_FILE)
    shutil.rmtree(path.parent)
    assert result.metrics is not None
    work = replace(
        result.job.workload,
        documents=documents.name,
        docs=count * times,
        documents_sha256=fingerprint(read_documents(documents)),
    )
    result = replace(result, job=replace(result.job, workload=work))
    exchanged = [
        replace(outputs[place ^ 1], id=output.id) if place % 10 < 2 and place ^ 1 < len(outputs) else output
        for place, output in enumerate(outputs)
    ]
    stand_for(result, outputs, "none", results / RUN / "none", times)
    stand_for(result, exchanged, "vllm", results / RUN / "vllm", times)
    report_s, peak_bytes = orchestrator(
        "--report", RUN, "--results", str(results), "--data", str(folder), "--formats", FORMATS
    )
    written = {name: (results / RUN / f"report.{name}").stat().st_size for name in FORMATS.split(",")}
    score_s = result.timing.score_s
    assert score_s is not None
    return {
        "documents": count * times,
        "scored": count,
        "output_words_mean": round(statistics.mean(len(output.text.split()) for output in outputs), 1),
        "score_s": round(score_s, 2),
        "report_s": round(report_s, 2),
        "report_peak_bytes": peak_bytes,
        "bytes": written,
    }


def main() -> int:
    """Print a line for each number of documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder, in which everything is left")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    arguments = parser.parse_args()
    found = []
    for count in arguments.docs:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep / str(count) if arguments.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            found.append(measured(count, arguments.times, folder.resolve()))
        print(json.dumps(found[-1]), flush=True)
    if arguments.record:
        known = read_json(RECORD)["by_documents"] if RECORD.exists() else []
        kept = [row for row in known if row["documents"] not in {one["documents"] for one in found}]
        about = {"measured_at": now_utc(), "seed": SEED, "experiments": 2, "cpus": usable_cpus()}
        write_json(
            RECORD, {"by_documents": sorted(kept + [about | row for row in found], key=lambda row: row["documents"])}
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
