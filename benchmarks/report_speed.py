"""How long scoring and reporting take, by the number of documents: two experiments' results, as Markdown, HTML and CSV.

Run from the repository's root: `.venv/bin/python -m benchmarks.report_speed`. Documents, references and outputs are
made of the bundled sample's sentences, seeded: outputs and references of some 60 to 90 words. `lead-3` is run over them
as any job is, which is what is scored. Its files then stand for two rows that run a model, the second with some of the
outputs exchanged, so that the report compares them document by document. --record writes
benchmarks/results/report_speed.json.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.analysis.sentences import split_sentences
from pipeline.documents import read_documents
from pipeline.files import write_json
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult, Metrics
from pipeline.results import (
    DOCUMENTS_FILE,
    RESULT_FILE,
    Result,
    now_utc,
    read_result,
    write_documents,
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


def orchestrator(*arguments: str) -> float:
    """Seconds of a command, from its start to its end."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "orchestrator.py", *arguments], cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - started


def stand_for(result: Result, outputs: Sequence[DocumentResult], experiment: str, folder: Path) -> None:
    """Write the lead's result and outputs as those of an experiment that runs a model."""
    folder.mkdir()
    job = replace(result.job, experiment=experiment, optimization=experiment, model="made-up", ranked=True)
    tokens = [len(output.text.split()) for output in outputs]
    with_tokens = [
        replace(output, output_tokens=count, ttft_s=0.01, tpot_s=0.01)
        for output, count in zip(outputs, tokens, strict=True)
    ]
    metrics = replace(result.metrics or Metrics(len(outputs)), output_tokens_mean=statistics.mean(tokens))
    write_documents(folder, with_tokens)
    write_result(folder, replace(result, job=job, metrics=metrics, prompt_ids_sha256="0" * 64))


def measured(count: int, folder: Path) -> dict[str, Any]:
    """Seconds of scoring and of reporting over so many documents, and the sizes of what the report wrote."""
    documents = folder / "documents.jsonl"
    make_documents(documents, count)
    results = folder / "results"
    common = ["--results", str(results), "--data", str(folder), "--launcher", "process"]
    job = ["--gpu", "cpu", "--experiment", "lead-3", "--dataset", str(documents), "--docs", str(count), "--run", RUN]
    orchestrator(*job, *common, "--formats", "md")
    [path] = (results / RUN).glob(f"*/{RESULT_FILE}")
    result, outputs = read_result(path), read_outputs(path.parent / DOCUMENTS_FILE)
    stand_for(result, list(outputs), "none", results / RUN / "none")
    exchanged = [
        replace(outputs[place ^ 1], id=output.id) if place % 10 < 2 and place ^ 1 < len(outputs) else output
        for place, output in enumerate(outputs)
    ]
    stand_for(result, exchanged, "vllm", results / RUN / "vllm")
    shutil.rmtree(path.parent)
    report_s = orchestrator("--report", RUN, "--results", str(results), "--data", str(folder), "--formats", FORMATS)
    written = {name: (results / RUN / f"report.{name}").stat().st_size for name in FORMATS.split(",")}
    score_s = result.timing.score_s
    assert score_s is not None
    return {
        "documents": count,
        "output_words_mean": round(statistics.mean(len(output.text.split()) for output in outputs), 1),
        "score_s": round(score_s, 2),
        "report_s": round(report_s, 2),
        "bytes": written,
    }


def main() -> int:
    """Print a line for each number of documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--keep", type=Path, help="an empty folder, in which everything is left")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    arguments = parser.parse_args()
    found = []
    for count in arguments.docs:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep / str(count) if arguments.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            found.append(measured(count, folder.resolve()))
        print(json.dumps(found[-1]), flush=True)
    if arguments.record:
        about = {"measured_at": now_utc(), "seed": SEED, "experiments": 2, "cpus": usable_cpus()}
        write_json(RECORD, {**about, "by_documents": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
